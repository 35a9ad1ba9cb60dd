//! What files say of roles, and the table of the documentation.

use super::*;

fn refusal(json: &str) -> String {
    RoleScopes::parse(json.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_file_says_what_the_roles_allow_that_it_names() {
    let read = RoleScopes::parse(br#"{"operator": ["reports:read"], "quality": []}"#).unwrap();
    assert_eq!(read.allowed_to(Role::Operator), BTreeSet::from([Scope::ReportsRead]));
    assert_eq!(read.allowed_to(Role::Quality), BTreeSet::new());
    let defaults = RoleScopes::default();
    for role in [Role::Station, Role::Engineer, Role::Auditor, Role::Admin] {
        assert_eq!(read.allowed_to(role), defaults.allowed_to(role));
    }
    assert_eq!(RoleScopes::parse(b"{}").unwrap(), defaults);
    let several = read.of_names(["operator", "station", "nobody"]);
    assert!(several.contains(&Scope::ReportsRead) && several.contains(&Scope::PartsRead));
    assert!(!several.contains(&Scope::PartsWrite));
}

#[test]
fn what_a_file_must_not_say_is_named() {
    for (json, named) in [
        ("", "JSON"),
        ("[]", "JSON object"),
        (r#"{"operator": "reports:read"}"#, "invalid type: string"),
        (r#"{"operator": [], "operator": ["reports:read"]}"#, "operator stands there twice"),
        (r#"{"boss": []}"#, "boss is not a role; the roles are station, operator"),
        (r#"{"Operator": []}"#, "Operator is not a role"),
        (r#"{"operator": ["reports:all"]}"#, "operator: reports:all is not a scope"),
        (r#"{"admin": ["access:read"]}"#, "access:write must be among its scopes"),
        (r#"{"admin": []}"#, "access:read must be among its scopes"),
    ] {
        let refused = refusal(json);
        assert!(refused.contains(named), "{json}: {refused}");
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = RoleScopes::read(&folder.path().join("roles.json")).unwrap_err().to_string();
    assert!(missing.contains("roles.json cannot be read"), "{missing}");
    let large = folder.path().join("large.json");
    std::fs::write(&large, vec![b' '; 65 << 10]).unwrap();
    assert!(RoleScopes::read(&large).unwrap_err().to_string().contains("64 KiB"));
}

#[test]
fn nobody_holds_a_role_that_allows_more() {
    let scopes = RoleScopes::default();
    let within = |role| scopes.within(&scopes.allowed_to(role)).into_iter().collect::<Vec<_>>();
    assert_eq!(within(Role::Admin), Role::ALL);
    assert_eq!(within(Role::Station), [Role::Station]);
    assert_eq!(within(Role::Operator), [Role::Station, Role::Operator]);
    let of_engineer = within(Role::Engineer);
    assert!(of_engineer.contains(&Role::Quality) && !of_engineer.contains(&Role::Auditor));
}

const TABLE_HEAD: &str = "| scope | what it allows | REST | station | operator | engineer | quality | \
                          auditor | admin |\n|---|---|---|---|---|---|---|---|---|\n";

/// The calls of `/openapi.json` that need `scope`.
fn calls_of(document: &serde_json::Value, scope: Scope) -> String {
    let mut calls = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let needed = operation["security"].as_array().into_iter().flatten();
            let mut needed = needed.filter_map(|way| way["oauth2"].as_array()).flatten();
            if needed.any(|needed| needed == scope.as_str()) {
                calls.push(format!("`{} {path}`", method.to_uppercase()));
            }
        }
    }
    calls.join("<br>")
}

/// `UPDATE_DOCS=1 cargo test -p platform --lib role_scopes` writes the table.
#[test]
fn the_table_in_the_documentation_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = fs::read_to_string(root.join("schemas/openapi.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let path = root.join("docs/signing-in.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(TABLE_HEAD).expect("the table's head");
    let after = rest.find("\n\n").map_or("", |end| &rest[end + 1..]);
    let scopes = RoleScopes::default();
    let mut wanted = before.to_owned() + TABLE_HEAD;
    for scope in Scope::ALL {
        let roles =
            Role::ALL.map(|role| if scopes.allowed_to(role).contains(&scope) { "●" } else { "" });
        let calls = calls_of(&document, scope);
        let row =
            format!("| `{scope}` | {} | {calls} | {} |\n", scope.meaning(), roles.join(" | "));
        wanted += &row;
    }
    wanted += after;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let copy = fs::read_to_string(&path).unwrap();
    assert!(
        copy == wanted,
        "docs/signing-in.md is stale; run: UPDATE_DOCS=1 cargo test -p platform --lib role_scopes"
    );
}
