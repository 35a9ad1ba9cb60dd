//! A Keycloak server of the test's own, on free ports of loopback: TLS for whoever follows its keys, plain HTTP for
//! what an administrator does there.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// How long it may take to start: it takes half a minute where nothing else runs.
const STARTS_WITHIN: Duration = Duration::from_secs(300);
const REALM: &str = "factory";
/// Of the file with its key.
const PASSWORD: &str = "changeit";

pub(crate) struct Keycloak {
    home: PathBuf,
    folder: PathBuf,
    /// Of HTTP, and of TLS.
    ports: [u16; 2],
    process: Child,
    http: reqwest::Client,
}

/// What somebody gets who signs in.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) id: String,
}

impl Keycloak {
    /// Starts it from `home`, with a database in `folder`.
    pub(crate) fn start(home: &Path, folder: &Path) -> Self {
        std::fs::copy(home.join("empty.mv.db"), folder.join("keycloak.mv.db")).unwrap();
        make_certificate(folder);
        let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners.map(|listener| listener.local_addr().unwrap().port());
        let process = launch(home, folder, ports);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
        let (home, folder) = (home.to_owned(), folder.to_owned());
        Self { home, folder, ports, process, http: http.build().unwrap() }
    }

    pub(crate) fn start_again(&mut self) {
        self.process = launch(&self.home, &self.folder, self.ports);
    }

    pub(crate) fn kill(&mut self) {
        kill_with_children(&mut self.process);
    }

    pub(crate) async fn until_it_serves(&mut self) {
        let deadline = Instant::now() + STARTS_WITHIN;
        let url = self.url("/realms/master");
        loop {
            if self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let log = || std::fs::read_to_string(self.folder.join("keycloak.log")).unwrap();
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "it does not start: {}", log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("https://127.0.0.1:{}/realms/{REALM}", self.ports[1])
    }

    /// The certificate by which it is recognised.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("keycloak.pem")
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[0])
    }

    async fn token_of(&self, realm: &str, form: &[(&str, &str)]) -> Value {
        let url = self.url(&format!("/realms/{realm}/protocol/openid-connect/token"));
        answer_of(self.http.post(url).form(form)).await
    }

    pub(crate) async fn sign_in(&self, user: &str) -> Tokens {
        self.sign_in_at("chipq-web", user).await
    }

    pub(crate) async fn sign_in_at(&self, client: &str, user: &str) -> Tokens {
        let password = format!("{user}'s password");
        let form = [
            ("grant_type", "password"),
            ("client_id", client),
            ("username", user),
            ("password", &password),
            ("scope", "openid"),
        ];
        let given = self.token_of(REALM, &form).await;
        let text = |name: &str| given[name].as_str().unwrap().to_owned();
        Tokens {
            access: text("access_token"),
            refresh: text("refresh_token"),
            id: text("id_token"),
        }
    }

    pub(crate) async fn sign_in_client(&self, client: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", "a-secret-of-this-test"),
        ];
        self.token_of(REALM, &form).await["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn log_out(&self, refresh_token: &str) {
        let url = self.url(&format!("/realms/{REALM}/protocol/openid-connect/logout"));
        let form = [("client_id", "chipq-web"), ("refresh_token", refresh_token)];
        answer_of(self.http.post(url).form(&form)).await;
    }

    /// Asks as an administrator.
    async fn administer(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", "admin"),
        ];
        let token = self.token_of("master", &form).await;
        let request = self.http.request(method, self.url(&format!("/admin/realms{path}")));
        let request = request.bearer_auth(token["access_token"].as_str().unwrap());
        answer_of(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    pub(crate) async fn import_realm(&self, realm: &str) {
        let realm = serde_json::from_str(realm).unwrap();
        self.administer(Method::POST, "", Some(realm)).await;
    }

    pub(crate) async fn give_role(&self, user: &str, role: &str) {
        let users = format!("/{REALM}/users?exact=true&username={user}");
        let user = self.administer(Method::GET, &users, None).await[0]["id"].clone();
        let role = self.administer(Method::GET, &format!("/{REALM}/roles/{role}"), None).await;
        let path = format!("/{REALM}/users/{}/role-mappings/realm", user.as_str().unwrap());
        self.administer(Method::POST, &path, Some(json!([role]))).await;
    }

    /// Adds a key of RS256; the one of the highest priority signs.
    pub(crate) async fn add_key(&self, name: &str, priority: u32) {
        let realm = self.administer(Method::GET, &format!("/{REALM}"), None).await["id"].clone();
        let key = json!({
            "name": name, "providerId": "rsa-generated", "parentId": realm,
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": {"priority": [priority.to_string()], "algorithm": ["RS256"]},
        });
        self.administer(Method::POST, &format!("/{REALM}/components"), Some(key)).await;
    }

    /// Takes a key out of use, and out of the key set.
    pub(crate) async fn disable_key(&self, name: &str) {
        let path = format!("/{REALM}/components?type=org.keycloak.keys.KeyProvider&name={name}");
        let mut key = self.administer(Method::GET, &path, None).await[0].take();
        key["config"]["enabled"] = json!(["false"]);
        key["config"]["active"] = json!(["false"]);
        let path = format!("/{REALM}/components/{}", key["id"].as_str().unwrap());
        self.administer(Method::PUT, &path, Some(key.clone())).await;
    }
}

impl Drop for Keycloak {
    fn drop(&mut self) {
        kill_with_children(&mut self.process);
    }
}

/// What was launched is a shell; the server is a child of it.
fn kill_with_children(process: &mut Child) {
    let group = format!("-{}", process.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = process.wait();
}

/// A key pair and its certificate, which nobody else has signed.
fn make_certificate(folder: &Path) {
    let java = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/keytool"));
    let keytool = |arguments: &[&str]| {
        let mut command = Command::new(java.as_deref().unwrap_or(Path::new("keytool")));
        command.args(arguments).args(["-alias", "server", "-storepass", PASSWORD, "-keystore"]);
        let output = command.arg(folder.join("keycloak.p12")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let subject = ["-dname", "CN=localhost", "-ext", "SAN=IP:127.0.0.1", "-validity", "2"];
    let kind = ["-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-storetype", "PKCS12"];
    keytool(&[&kind[..], &subject].concat());
    let certificate = keytool(&["-exportcert", "-rfc"]);
    std::fs::write(folder.join("keycloak.pem"), certificate).unwrap();
}

fn launch(home: &Path, folder: &Path, [port, tls_port]: [u16; 2]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("keycloak.log")).unwrap();
    let database = format!("jdbc:h2:file:{}/keycloak;NON_KEYWORDS=VALUE", folder.display());
    Command::new(home.join("bin/kc.sh"))
        .args(["start", "--optimized", "--cache=local", "--http-enabled=true"])
        .arg("--http-host=127.0.0.1")
        .arg(format!("--http-port={port}"))
        .arg(format!("--https-port={tls_port}"))
        .arg(format!("--https-key-store-file={}/keycloak.p12", folder.display()))
        .arg(format!("--https-key-store-password={PASSWORD}"))
        .arg(format!("--hostname=https://127.0.0.1:{tls_port}"))
        .arg(format!("--db-url={database}"))
        // It lives for a minute: code that is compiled well would not pay.
        .env("JAVA_OPTS_APPEND", "-XX:TieredStopAtLevel=1")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// The JSON that is answered, of a request that succeeds.
async fn answer_of(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (url, status) = (answer.url().to_string(), answer.status());
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}
