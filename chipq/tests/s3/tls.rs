//! A store behind https, with a certificate of a CA of one's own.

use std::path::Path;
use std::process::Command;

use crate::platform::{chipq, finished, folder};
use crate::store::{S3Store, environment, is_installed};

fn make_certificates(folder: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kafka/make-certificates");
    assert!(Command::new(script).arg(folder).status().unwrap().success());
}

#[test]
fn a_store_is_used_by_https_once_its_ca_is_believed_and_not_before() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    make_certificates(&at("certificates"));
    let store = S3Store::start_https(&at("store"), &at("certificates/server.pem"));
    let run = |data: &str, ca: Option<&Path>| {
        let mut demo = chipq(&["demo", "--once", "--count", "2", "--listen", "127.0.0.1:0"]);
        demo.arg("--data").arg(at(data)).envs(environment(&store.https_url()));
        demo.envs(ca.map(|ca| ("SSL_CERT_FILE", ca)));
        finished(&mut demo)
    };
    let (code, _, said) = run("unbelieved", None);
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("its certificate is not believed"), "{said}");
    assert!(said.contains("SSL_CERT_FILE"), "{said}");
    // The station's upload goes by https, too.
    let (code, table, said) = run("believed", Some(&at("certificates/ca.pem")));
    assert_eq!(code, 0, "{table}\n{said}");
    assert!(table.contains("report"), "{table}");
    assert!(!at("believed/artifacts").exists(), "a folder of pictures");
}
