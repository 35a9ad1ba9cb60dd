//! `chipq up`: the whole platform in one process.

use std::net::SocketAddr;

use platform::auth::Users;
use platform::event_log::ActorRef;
use platform::shutdown::Shutdown;
use secrecy::ExposeSecret as _;

use crate::cli::UpArgs;
use crate::failure::{Failure, exit};
use crate::installation::Installation;
use crate::services::{READY_WITHIN, Services, StartOutcome};
use crate::wiring::bind;

/// What stands before the URL on the line that says that the platform is ready.
pub(crate) const READY: &str = "chipq is ready at ";

/// Runs every role until a signal comes.
pub(crate) async fn run(args: UpArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let users = users(args.listen, args.demo)?;
    let mut errors = args.settings.check(&args.installation);
    args.keys.check(&mut errors);
    errors.finish()?;
    let starting = async {
        let listener = bind(args.listen, "--listen").await?;
        let opened = Installation::open_for_all(&args.installation).await?;
        let keys = args.keys.place(opened.0.data_dir());
        Services::start(opened, listener, users, (&args.settings, keys)).await
    };
    let mut services = shutdown.run_until_requested(starting).await?;
    let outcome = serve(&mut services, &args, shutdown).await;
    let stopped = services.stop().await;
    outcome.and(stopped)
}

async fn serve(services: &mut Services, args: &UpArgs, shutdown: &Shutdown) -> anyhow::Result<()> {
    let ready = services.wait_until_ready(READY_WITHIN);
    if let StartOutcome::NotYet(said) = shutdown.run_until_requested(ready).await? {
        tracing::warn!(said, "serving, but not everything is ready; what needs it waits");
    }
    let login = if args.demo {
        "user demo, password demo (this machine only)".to_owned()
    } else {
        describe_login(services).await?
    };
    out!("{}", welcome_text(services, &login));
    tokio::select! {
        () = shutdown.requested() => Ok(()),
        error = services.wait_for_failure() => Err(error),
    }
}

/// Who may sign in beside accounts and clients: the demo user where it is asked for, and only from this machine.
pub(crate) fn users(listen: SocketAddr, demo: bool) -> Result<Users, Failure> {
    match (demo, listen.ip().is_loopback()) {
        (false, _) => Ok(Users::none()),
        (true, true) => Ok(Users::demo()),
        (true, false) => Err(Failure::new(
            format_args!(
                "{listen} can be reached from other machines, and the demo user could sign in"
            ),
            "leave --demo out, or listen on 127.0.0.1",
            exit::USAGE,
        )),
    }
}

/// How to sign in: by a code that makes the first administrator, while there is none. It is printed and never logged.
async fn describe_login(services: &Services) -> anyhow::Result<String> {
    let access = services.access_administration();
    if access.read().await?.is_claimed() {
        return Ok("as an account or a client".to_owned());
    }
    let reason = "the platform started without an administrator".to_owned();
    let issued = access.issue_claim_code(ActorRef::for_service("chipq"), reason).await?;
    let installation = services.installation();
    let place = match installation.is_private() {
        true => format!(" --data {}", installation.data_dir().display()),
        false => String::new(),
    };
    Ok(format!(
        "nobody yet; within an hour: chipq accounts claim --name NAME{place}\n  \
         code       {}",
        issued.code.expose_secret()
    ))
}

fn welcome_text(services: &Services, login: &str) -> String {
    let url = services.url();
    let data = services.installation().data_dir();
    let database =
        if services.installation().is_private() { "private, in that folder" } else { "yours" };
    format!(
        "{READY}{url}\n  \
         commands   {url}/docs\n  \
         queries    {url}/graphiql\n  \
         login      {login}\n  \
         data       {}\n  \
         PostgreSQL {database}\n\
         Ctrl-C stops it.\n",
        data.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_user_never_signs_in_from_elsewhere() {
        let everywhere: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        assert!(users(everywhere, true).unwrap_err().next.contains("--demo"));
        assert!(users(everywhere, false).unwrap().authenticate("demo", &"demo".into()).is_none());
        let loopback = "127.0.0.1:8080".parse().unwrap();
        assert!(users(loopback, true).unwrap().authenticate("demo", &"demo".into()).is_some());
        assert!(users(loopback, false).unwrap().authenticate("demo", &"demo".into()).is_none());
    }
}
