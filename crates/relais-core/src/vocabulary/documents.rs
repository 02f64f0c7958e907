//! The grammar's documents are held to the program: every word of it is in them, and their examples are apps.

use jsonschema::validator_for;
use serde_json::Value;

use super::App;
use super::catalogue::OPERATIONS;
use crate::event::EventKind;

const GRAMMAR: &str = include_str!("../../../../docs/APPS.md");
const SCHEMA: &str = include_str!("../../../../docs/app.schema.json");
/// The text of every app file.
fn apps() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../apps");
    let files = std::fs::read_dir(folder).unwrap();
    let texts: Vec<String> = files
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    assert!(texts.len() >= 5);
    texts
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn words(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn the_schema_knows_the_operations_and_events_of_the_program() {
    let schema = schema();
    let client = &schema["properties"]["client"]["additionalProperties"]["properties"];
    let operations: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(words(&client["do"]["enum"]), operations);

    let server = &schema["properties"]["server"]["additionalProperties"]["properties"];
    let mut kinds: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
    kinds.extend(["session.connected", "session.ready"]);
    assert_eq!(words(&server["on"]["oneOf"][0]["enum"]), kinds);
}

#[test]
fn the_grammar_s_page_names_every_operation_field_and_event() {
    let named = |word: &str| GRAMMAR.contains(&format!("`{word}"));
    for operation in OPERATIONS {
        assert!(named(operation.name), "{}", operation.name);
        for parameter in operation.parameters {
            assert!(
                named(parameter.name),
                "{} of {}",
                parameter.name,
                operation.name
            );
        }
    }
    for kind in EventKind::ALL {
        assert!(named(kind.name()), "{}", kind.name());
    }
}

#[test]
fn every_app_file_fits_the_schema() {
    let validator = validator_for(&schema()).unwrap();
    for text in apps() {
        let app: Value = toml::from_str(&text).unwrap();
        let problems: Vec<String> = validator
            .iter_errors(&app)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{problems:#?}");
    }
}

#[test]
fn what_the_schema_refuses_is_no_app_either() {
    let validator = validator_for(&schema()).unwrap();
    for text in [
        "title = \"no name\"",
        "name = \"UPPER\"",
        "name = \"a\"\n[srver.x]\non = \"message.sent\"\ndata = {}",
        "name = \"a\"\n[client.x]\ndo = \"message.sned\"",
        "name = \"a\"\n[http.\"GIT /x\"]\nauth = \"key\"\ndo = \"stats.get\"",
    ] {
        assert!(
            !validator.is_valid(&toml::from_str(text).unwrap()),
            "{text}"
        );
        assert!(App::parse("a.toml", text).is_err(), "{text}");
    }
}

#[test]
fn the_five_minutes_of_the_grammar_s_page_make_an_app() {
    let guide = GRAMMAR.split("## The tables").next().unwrap();
    let mut text = String::new();
    for block in guide.split("```toml").skip(1) {
        let block = block.split("```").next().unwrap();
        text.extend(block.lines().map(|line| format!("{}\n", line.trim_start())));
    }
    let app = App::parse("chat.toml", &text).map_err(|mistakes| mistakes.to_string());
    assert_eq!(app.map(|app| app.name.to_string()), Ok("chat".to_owned()));
}
