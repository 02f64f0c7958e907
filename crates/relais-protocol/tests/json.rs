//! The scanner agrees with `serde_json` about what is JSON.

use proptest::prelude::*;
use relais_protocol::json::{Json, write_string};
use serde_json::value::RawValue;

/// Texts made of the pieces that JSON is made of, most of them slightly wrong.
fn almost_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"\\n\"",
        "\"\\u00e9\"",
        "\"\\ud800\"",
        "\\",
        "true",
        "false",
        "null",
        "nul",
        "0",
        "-0",
        "01",
        "1",
        "-1",
        "1.5",
        "1.",
        ".5",
        "1e9",
        "1E+9",
        "1e",
        "-",
        " ",
        "\n",
        "\t",
        "é",
        "\u{1}",
        "\u{7f}",
        "{\"k\":1}",
        "[1,2]",
        "{}",
        "[]",
        "__proto__",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_scanner_accepts_what_serde_json_accepts(text in almost_json()) {
        let reference = serde_json::from_str::<&RawValue>(&text);
        let ours = Json::check(&text, 127);
        prop_assert_eq!(ours.is_ok(), reference.is_ok(), "{}", text);
        if let (Ok(ours), Ok(reference)) = (ours, reference) {
            prop_assert_eq!(ours.get(), reference.get());
        }
    }
}

proptest! {
    #[test]
    fn real_values_are_accepted_compact_and_pretty(value in value()) {
        let compact = value.to_string();
        prop_assert_eq!(Json::check(&compact, 64).unwrap().get(), &compact);
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert!(Json::check(&pretty, 64).is_ok());
    }

    #[test]
    fn every_prefix_of_a_value_is_incomplete_or_shorter_json(value in value()) {
        let text = value.to_string();
        for (end, _) in text.char_indices() {
            let prefix = &text[..end];
            let reference = serde_json::from_str::<&RawValue>(prefix).is_ok();
            prop_assert_eq!(Json::check(prefix, 64).is_ok(), reference);
        }
    }

    #[test]
    fn written_strings_are_those_of_serde_json(text in any::<String>()) {
        let mut out = Vec::new();
        write_string(&mut out, &text);
        prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
    }
}

#[test]
fn special_characters_are_escaped_wherever_they_stand() {
    for special in ['"', '\\', '\n', '\0', '\u{1f}'] {
        for at in 0..20 {
            let mut text = "é".repeat(20);
            text.insert(text.char_indices().nth(at).unwrap().0, special);
            let mut out = Vec::new();
            write_string(&mut out, &text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
