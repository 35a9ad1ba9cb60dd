//! What parses and what does not, and that what is stored parses again.

use proptest::prelude::*;

use super::*;

fn refusal(text: &str) -> String {
    Lot::new(text).unwrap_err().to_string()
}

#[test]
fn a_name_is_taken_as_typed() {
    for name in ["L", "LOT 7/b", "Ω-42", "板-7", "é", "x".repeat(64).as_str(), "-", "...", "a'; --"]
    {
        assert_eq!(Lot::new(name).unwrap().as_str(), name);
        assert_eq!(name.parse::<PartNumber>().unwrap().to_string(), name);
        assert_eq!(String::from(Station::new(name).unwrap()), name);
    }
}

#[test]
fn the_message_names_the_field() {
    let messages = [
        Lot::new("").unwrap_err(),
        PartNumber::new("").unwrap_err(),
        Station::new("").unwrap_err(),
    ]
    .map(|invalid| invalid.to_string());
    let expected = ["lot", "part", "station"].map(|field| format!("{field} must not be empty"));
    assert_eq!(messages, expected);
}

#[test]
fn a_name_has_at_most_64_characters_however_many_bytes_they_take() {
    for character in ["x", "é", "板", "𝛀"] {
        assert!(Lot::new(&character.repeat(64)).is_ok(), "{character}");
        let refused = refusal(&character.repeat(65));
        assert_eq!(refused, "lot must be at most 64 characters long", "{character}");
    }
}

#[test]
fn a_name_neither_begins_nor_ends_with_white_space() {
    for padded in [" a", "a ", " ", "\ta", "a\n", "\u{a0}a", "a\u{3000}", "a\u{2028}"] {
        assert_eq!(refusal(padded), "lot must not begin or end with white space", "{padded:?}");
    }
}

#[test]
fn an_accent_has_a_letter_before_it() {
    for alone in ["\u{301}", "\u{301}a", "a \u{301}", "a \u{20dd}b", "\u{903}", "\u{301}\u{302}"] {
        let refused = refusal(alone);
        assert_eq!(refused, "lot must not hold an accent without a letter before it", "{alone:?}");
    }
    for carried in ["x\u{301}", "x\u{301}\u{302} y\u{308}", "-\u{301}", "क\u{93f}"] {
        assert!(Lot::new(carried).is_ok(), "{carried:?}");
    }
}

#[test]
fn a_name_holds_no_control_and_no_character_that_hides_or_turns_the_text() {
    let unprintable = [
        '\0',
        '\u{7}',
        '\n',
        '\u{1b}',
        '\u{7f}',
        '\u{85}', // controls
        '\u{202e}',
        '\u{2066}',
        '\u{200f}',
        '\u{61c}', // directions
        '\u{200b}',
        '\u{200d}',
        '\u{2060}',
        '\u{feff}',
        '\u{ad}',
        '\u{34f}', // invisible
        '\u{115f}',
        '\u{3164}',
        '\u{ffa0}',
        '\u{2800}',
        '\u{180b}',
        '\u{fe0f}', // blank
        '\u{2028}',
        '\u{2029}', // separators
        '\u{1bca0}',
        '\u{1d173}',
        '\u{e0041}', // tags and formats
        '\u{e000}',
        '\u{f0000}',
        '\u{10ffff}',
        '\u{fffd}',
        '\u{fffe}',
        '\u{fdd0}', // no meaning
    ];
    for character in unprintable {
        let refused = refusal(&format!("a{character}b"));
        assert_eq!(refused, "lot must consist of printable characters", "{character:?}");
    }
}

#[test]
fn names_that_only_differ_in_how_their_accents_were_typed_are_one() {
    for (typed, composed) in [("Gera\u{308}t", "Ger\u{e4}t"), ("\u{212b}", "\u{c5}")] {
        assert_eq!(PartNumber::new(typed), PartNumber::new(composed));
        assert_eq!(PartNumber::new(typed).unwrap().as_str(), composed);
    }
    assert_eq!(Lot::new(&"a\u{308}".repeat(64)), Lot::new(&"\u{e4}".repeat(64)));
    assert!(Lot::new(&"a\u{308}".repeat(65)).is_err());
}

#[test]
fn a_name_is_no_relative_path() {
    for path in [".", ".."] {
        assert_eq!(refusal(path), "lot must not be a relative path, . or ..");
    }
}

#[test]
fn the_only_white_space_within_a_name_is_the_space() {
    assert!(Lot::new("a b").is_ok());
    for space in ['\u{a0}', '\u{1680}', '\u{2003}', '\u{202f}', '\u{205f}', '\u{3000}', '\t'] {
        let refused = refusal(&format!("a{space}b"));
        assert_eq!(refused, "lot must consist of printable characters", "{space:?}");
    }
}

#[test]
fn a_stored_name_is_parsed_again_when_it_is_read() {
    assert_eq!(serde_json::to_string(&Lot::new("L-1").unwrap()).unwrap(), r#""L-1""#);
    assert_eq!(serde_json::from_str::<Lot>(r#""L-1""#).unwrap(), Lot::new("L-1").unwrap());
    let refused = serde_json::from_str::<Lot>(r#""L-1 ""#).unwrap_err();
    assert!(refused.to_string().contains("lot must not begin or end with white space"));
    assert!(serde_json::from_str::<Lot>("7").is_err());
}

#[test]
fn an_id_is_a_uuid_and_nothing_else() {
    let text = "00000000-0000-0000-0000-0000000000a1";
    let id: InspectionId = text.parse().unwrap();
    assert_eq!(id.to_string(), text);
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("{text:?}"));
    for wrong in ["", "a1", "../../etc/passwd", &format!("{text}0")] {
        assert!(wrong.parse::<ArtifactId>().is_err(), "{wrong}");
    }
}

#[test]
fn a_report_has_the_same_id_for_ever_and_another_for_every_inspection() {
    let [one, two] = [1, 2].map(|n| ReportId::for_inspection(InspectionId(Uuid::from_u128(n))));
    assert_ne!(one, two);
    assert_eq!(one.to_string(), "a2e3c204-590c-558a-a517-c32fb77e83f6");
}

#[test]
fn a_digest_is_64_hexadecimal_digits_written_in_lower_case() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let digest = Sha256::digest_of(b"");
    assert_eq!(digest.to_string(), empty);
    assert_eq!(format!("{digest:?}"), empty);
    assert_eq!(empty.parse::<Sha256>().unwrap(), digest);
    assert_eq!(empty.to_uppercase().parse::<Sha256>().unwrap(), digest);
    assert_eq!(Sha256::from_bytes(*digest.as_bytes()), digest);
    for wrong in ["", &empty[1..], &format!("{empty}0"), &format!("0x{}", &empty[2..])] {
        let refused = wrong.parse::<Sha256>().unwrap_err().to_string();
        assert_eq!(refused, "sha256 must be 64 hexadecimal digits", "{wrong}");
    }
}

proptest! {
    #[test]
    fn whatever_text_is_taken_as_a_name_can_be_stored_printed_and_taken_again(text in ".{0,70}") {
        if let Ok(name) = Lot::new(&text) {
            let composed: String = text.nfc().collect();
            prop_assert_eq!(name.as_str(), &composed);
            prop_assert_eq!(&Lot::new(&text.nfd().collect::<String>()).unwrap(), &name);
            prop_assert!((1..=NAME_MAX_CHARS).contains(&composed.chars().count()));
            prop_assert!(!text.chars().any(|c| c.is_control()));
            let stored = serde_json::to_value(&name).unwrap();
            prop_assert_eq!(serde_json::from_value::<Lot>(stored).unwrap(), name);
        }
    }

    #[test]
    fn any_digest_reads_back_from_its_text(bytes in any::<[u8; 32]>()) {
        let digest = Sha256::from_bytes(bytes);
        prop_assert_eq!(digest.to_string().parse::<Sha256>(), Ok(digest));
    }
}
