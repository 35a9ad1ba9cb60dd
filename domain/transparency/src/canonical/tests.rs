//! Of RFC 8785: its examples, and that the form is one.

use proptest::prelude::*;

use super::*;

fn canonical(json: &str) -> String {
    let mut out = Vec::new();
    write_canonical(json, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn refusal(json: &str) -> CanonicalError {
    write_canonical(json, &mut Vec::new()).unwrap_err()
}

#[test]
fn the_examples_of_rfc_8785_have_the_form_that_it_gives() {
    // Section 3.2.2, with the number that a double rounds left out: it is below.
    let example = r#"{
  "numbers": [1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}"#;
    let expected = "{\"literals\":[null,true,false],\"numbers\":[1e+30,4.5,0.002,1e-27],\
        \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
    assert_eq!(canonical(example), expected);
    // Section 3.2.3: sorted by UTF-16 code units, so that the emoji (D83D) stands before U+FB33.
    let example = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
        "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
    let keys = ["\\r", "1", "\u{80}", "ö", "€", "\u{1f600}", "\u{fb33}"];
    let found = canonical(example);
    let places: Vec<_> =
        keys.iter().map(|key| found.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?} {found}");
    assert_eq!(
        canonical("[56,{\"d\":true,\"10\":null,\"1\":[ ]}]"),
        "[56,{\"1\":[],\"10\":null,\"d\":true}]"
    );
}

#[test]
fn numbers_are_laid_out_as_ecmascript_does() {
    // Appendix B of RFC 8785, written with the shortest digits that a double has.
    for (given, expected) in [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0e7", "0"),
        ("5e-324", "5e-324"),
        ("-5e-324", "-5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("-9007199254740992", "-9007199254740992"),
        ("295147905179352830000", "295147905179352830000"),
        ("9.999999999999997e22", "9.999999999999997e+22"),
        ("1e23", "1e+23"),
        ("1.0000000000000001E23", "1.0000000000000001e+23"),
        ("999999999999999700000", "999999999999999700000"),
        ("1e21", "1e+21"),
        ("9.999999999999997e-7", "9.999999999999997e-7"),
        ("0.000001", "0.000001"),
        ("333333333.3333332", "333333333.3333332"),
        ("-0.0000033333333333333333", "-0.0000033333333333333333"),
        ("10", "10"),
        ("1.10", "1.1"),
        ("123e2", "12300"),
        ("0.10e-5", "0.000001"),
    ] {
        assert_eq!(canonical(given), expected, "{given}");
    }
}

#[test]
fn digits_that_a_double_does_not_hold_are_kept() {
    assert_eq!(canonical("333333333.33333329"), "333333333.33333329");
    assert_eq!(canonical("9007199254740993"), "9007199254740993");
    assert_eq!(canonical("18446744073709551615"), "18446744073709551615");
    assert_ne!(canonical("0.1"), canonical("0.10000000000000000001"));
}

#[test]
fn what_is_no_json_or_has_two_meanings_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "-",
        "1e",
        "+1",
        "nul",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"a\nb\"",
        "\"open",
        "1 2",
        "{\"a\" 1}",
        "1e9999999",
        "NaN",
    ] {
        assert!(matches!(refusal(text), CanonicalError::Syntax { .. }), "{text}");
    }
    let doubled = CanonicalError::DoubledName { name: "a".to_owned() };
    assert_eq!(refusal("{\"a\":1,\"b\":2,\"\\u0061\":3}"), doubled);
    assert_eq!(refusal(&"[".repeat(200)), CanonicalError::TooDeep);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        // One that is whole is read back as an integer.
        any::<f64>().prop_filter("a fraction", |n| n.fract() != 0.0).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_form_says_the_same_and_is_its_own_form(value in any_json()) {
        let form = canonical(&value.to_string());
        prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&form).unwrap(), &value);
        prop_assert_eq!(canonical(&form), form.clone());
        prop_assert_eq!(canonical(&serde_json::to_string_pretty(&value).unwrap()), form);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = write_canonical(&text, &mut Vec::new());
    }
}
