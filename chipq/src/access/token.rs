//! `chipq token`: an access token of a platform that serves, for curl and for scripts.
//!
//! Invariant: the secret is in no argument, in no message, and is sent to the one server that is named.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::secret_input::read_secret;
use crate::cli::{TokenArgs, TokenPrincipalArgs};
use crate::failure::{Failure, exit};

/// The variable of a client's secret. It is no option: whoever lists processes reads those.
const CLIENT_SECRET: &str = "CHIPQ_CLIENT_SECRET";
/// How long the platform may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes: a token with all scopes has a thousand.
const ANSWER_MAX_BYTES: usize = 64 << 10;

/// The most of what the server says of a refusal that is printed.
const WHY_MAX_CHARS: usize = 400;

/// What a token is granted for.
enum Credential {
    Client { id: String, secret: SecretString },
    Account { name: String, password: SecretString },
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
}

/// What RFC 6749 (section 5.2) and the platform's problems say of a refusal.
#[derive(Default, Deserialize)]
struct Refused {
    error_description: Option<String>,
    detail: Option<String>,
}

/// `chipq token`
pub(crate) async fn run(args: TokenArgs) -> anyhow::Result<ExitCode> {
    let TokenArgs { principal, secret_file, url } = args;
    let read = move || read_credential(principal, secret_file);
    // Who types is waited for here, so that the terminal shows again what is typed, however it ends. A pipe may
    // never say anything: a signal is heard meanwhile.
    let credential = match io::stdin().is_terminal() {
        true => read()?,
        false => tokio::task::spawn_blocking(read).await??,
    };
    let token = request_token(&url, &credential).await?;
    outln!("{token}");
    Ok(ExitCode::SUCCESS)
}

/// The secret of who is named: from the file, a client's from its variable, else as it is typed or piped in.
fn read_credential(
    principal: TokenPrincipalArgs,
    file: Option<PathBuf>,
) -> Result<Credential, Failure> {
    let of_variable = || std::env::var(CLIENT_SECRET).ok().filter(|secret| !secret.is_empty());
    let read = |prompt| read_secret(file.as_deref(), prompt);
    match (principal.client, principal.account) {
        (Some(id), _) => {
            let secret = match of_variable().filter(|_| file.is_none()) {
                Some(secret) => secret.into(),
                None => read("Secret: ")?,
            };
            Ok(Credential::Client { id, secret })
        }
        (None, name) => {
            let password = read("Password: ")?;
            Ok(Credential::Account { name: name.unwrap_or_default(), password })
        }
    }
}

async fn request_token(base: &Url, credential: &Credential) -> Result<String, Failure> {
    let url = format!("{}/v1/token", base.as_str().trim_end_matches('/'));
    let form = match credential {
        Credential::Client { id, secret } => vec![
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("client_secret", secret.expose_secret()),
        ],
        Credential::Account { name, password } => vec![
            ("grant_type", "password"),
            ("username", name),
            ("password", password.expose_secret()),
        ],
    };
    let unreachable = |error: reqwest::Error| {
        let why = root_cause(&error.without_url());
        Failure::new(
            format_args!("{base} does not answer: {why}"),
            "start the platform, or name where it serves with --url",
            exit::UNAVAILABLE,
        )
    };
    // A secret follows no redirect to somewhere that nobody has named.
    let http = Client::builder().no_proxy().redirect(redirect::Policy::none());
    let http = http.timeout(ANSWER_WITHIN).build().map_err(unreachable)?;
    let mut answer = http.post(url).form(&form).send().await.map_err(unreachable)?;
    let body = read_body(&mut answer).await.map_err(unreachable)?;
    if answer.status().is_success() {
        let granted = serde_json::from_slice::<TokenReply>(&body);
        return granted.map(|granted| granted.access_token).map_err(|_| not_the_platform(base));
    }
    Err(refusal(base, answer.status(), &body))
}

/// As much of the answer as a token may have.
async fn read_body(answer: &mut Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_MAX_BYTES {
            body.clear();
            break;
        }
    }
    Ok(body)
}

/// What the server says of why there is no token.
fn refusal(base: &Url, status: StatusCode, body: &[u8]) -> Failure {
    let Refused { error_description, detail } = serde_json::from_slice(body).unwrap_or_default();
    let Some(why) = error_description.or(detail) else { return not_the_platform(base) };
    // A terminal takes control characters for commands.
    let why: String = why.chars().filter(|c| !c.is_control()).take(WHY_MAX_CHARS).collect();
    let busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    let (next, code) = if busy {
        ("run it again in a moment", exit::UNAVAILABLE)
    } else {
        (
            "correct that: `chipq clients list` and `chipq accounts list` show who there is, `chipq clients rotate` \
             makes another secret, `chipq accounts password` takes another password",
            exit::DATA,
        )
    };
    Failure::new(format_args!("no token: {why}"), next, code)
}

fn not_the_platform(base: &Url) -> Failure {
    Failure::new(
        format_args!("{base} answers, and is no platform that grants tokens"),
        "name where the platform serves with --url; of single roles it is the command API",
        exit::UNAVAILABLE,
    )
}

/// What the system says, without what it went through.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
        if cause.is::<io::Error>() {
            break;
        }
    }
    cause.to_string()
}
