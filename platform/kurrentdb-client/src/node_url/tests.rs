//! URLs that name nodes, URLs that are refused, and who we are.

use super::*;

fn problems(url: &str) -> Vec<KurrentUrlProblem> {
    url.parse::<KurrentUrl>().unwrap_err().problems
}

#[test]
fn a_url_names_nodes_or_one_name_and_how_they_are_recognised() {
    let url: KurrentUrl = "kurrentdb://a,b:2114,[::1]:5/?tls=true&ca=/etc/ca.pem".parse().unwrap();
    let shown: Vec<_> = url.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["a:2113", "b:2114", "[::1]:5"]);
    assert_eq!(url.security, TransportSecurity::Private("/etc/ca.pem".into()));
    assert!(!url.is_discovered);
    assert_eq!(Ok(url), "KurrentDB://a,b:2114,[::1]:5/?tls=true&ca=/etc/ca.pem".parse());
    let url: KurrentUrl = "kurrentdb+discover://cluster.example".parse().unwrap();
    assert!(url.is_discovered && url.security == TransportSecurity::System);
    let url: KurrentUrl = "kurrentdb://127.0.0.1?tls=false".parse().unwrap();
    assert_eq!(url.security, TransportSecurity::Off);
}

#[test]
fn everything_wrong_is_said_at_once_and_no_secret_is_repeated() {
    use KurrentUrlProblem::{Address, CaWithoutTls, OneName, Scheme, Secret, Shape, UnknownOption};
    let found = problems("kurrentdb://a:0,b?tls=maybe&ca=&nodePreference=leader&tls=true");
    assert_eq!(found[0], Address("a:0".into()));
    assert!(found.contains(&UnknownOption("nodePreference".into())));
    assert!(found.contains(&KurrentUrlProblem::Twice("tls".into())));
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(problems("kurrentdb://a?tls=false&ca=x"), [CaWithoutTls]);
    assert_eq!(problems("kurrentdb+discover://a,b"), [OneName]);
    assert_eq!(problems("kurrentdb:///x"), [Shape]);
    assert_eq!(problems("kafka://a"), [Scheme]);
    let text = "kurrentdb://admin:changeit@a".parse::<KurrentUrl>().unwrap_err();
    assert_eq!(text.problems, [Secret]);
    assert!(!text.to_string().contains("changeit"), "{text}");
}

#[test]
fn user_and_password_come_from_the_environment_or_a_file_and_are_not_shown() {
    let read = |set: &[(&str, &str)]| {
        let name = |name: &str| format!("CHIPQ_KURRENTDB_{name}");
        let find = |wanted: &str| set.iter().find(|(n, _)| name(n) == wanted);
        KurrentCredentials::from_lookup(|wanted| find(wanted).map(|(_, value)| (*value).into()))
    };
    assert_eq!(read(&[]), Ok(None));
    let both = read(&[("USER", "ops"), ("PASSWORD", "secret")]).unwrap().unwrap();
    assert_eq!(both.to_header(), "Basic b3BzOnNlY3JldA==");
    assert!(!format!("{both:?}").contains("secret"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "secret\n").unwrap();
    assert_eq!(read(&[("USER", "ops"), ("PASSWORD_FILE", file.to_str().unwrap())]), Ok(Some(both)));
    assert_eq!(read(&[("USER", "ops")]), Err(RefusedCredentials::NoPassword));
    assert_eq!(read(&[("PASSWORD", "x")]), Err(RefusedCredentials::NoUser));
    assert_eq!(read(&[("USER", "a:b"), ("PASSWORD", "x")]), Err(RefusedCredentials::Colon));
    let two = [("USER", "a"), ("PASSWORD", "x"), ("PASSWORD_FILE", "y")];
    assert_eq!(read(&two), Err(RefusedCredentials::TwoPasswords));
    let missing = read(&[("USER", "a"), ("PASSWORD_FILE", "/nowhere/at/all")]);
    assert!(matches!(missing, Err(RefusedCredentials::File { .. })));
}
