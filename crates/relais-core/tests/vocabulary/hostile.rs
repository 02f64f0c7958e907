//! Whatever a client sends, the answer is a command or a refusal, never a panic, and refusals are short.

use std::sync::OnceLock;

use proptest::prelude::*;
use relais_core::command::Actor;
use relais_core::vocabulary::{App, Asker, Match};
use serde_json::{Map, Value};

use super::{app, user};

fn apps() -> &'static [App] {
    static APPS: OnceLock<Vec<App>> = OnceLock::new();
    APPS.get_or_init(|| {
        ["studio", "wedding", "bam", "classroom", "stories"]
            .map(app)
            .into()
    })
}

/// Fields of all apps, so that payloads come near to what is asked for.
fn field() -> impl Strategy<Value = String> {
    let names = apps()
        .iter()
        .flat_map(|app| app.client.iter().map(|event| &event.rule.fields));
    let mut names: Vec<String> = names
        .flat_map(|fields| fields.iter().map(|field| field.name.to_string()))
        .collect();
    names.extend(["__proto__", "sender", ""].map(String::from));
    prop_oneof![prop::sample::select(names), any::<String>()]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z0-9:-]{1,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((field(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn event() -> impl Strategy<Value = String> {
    let known = apps().iter().flat_map(|app| app.client.iter());
    let known: Vec<String> = known.map(|event| event.rule.subject.to_string()).collect();
    prop_oneof![9 => prop::sample::select(known), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_payload_can_do_worse_than_be_refused(
        event in event(),
        arguments in prop::collection::vec(json(), 0..4),
        key in any::<bool>(),
    ) {
        let actor = if key { Actor::Backend } else { user("alice", Some("admin")) };
        for app in apps() {
            let asker = Asker { actor: &actor, tenant: "w1" };
            match app.command(&event, &arguments, asker) {
                Ok(request) => {
                    let ack = request.answer.ack(&Map::new());
                    prop_assert!(serde_json::from_str::<Value>(&ack).is_ok(), "{ack}");
                }
                Err(error) => prop_assert!(error.message.len() < 1_000, "{}", error.message),
            }
        }
    }

    #[test]
    fn no_path_query_or_body_can_do_worse_than_be_refused(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]),
        path in "(/(tasks|bams|api|rooms|websocket|[a-z0-9%+.]{0,6})){0,5}/?",
        query in "[a-z=&%0-9+]{0,40}",
        body in json(),
    ) {
        for app in apps() {
            if let Match::Route(route, parameters) = app.http.find(method, &path) {
                let asker = Asker { actor: &Actor::Backend, tenant: "w1" };
                let _ = app.request(&route, &parameters, &query, Some(&body), asker);
            }
        }
    }

    #[test]
    fn no_token_can_do_worse_than_be_refused(claims in prop::collection::vec((
        prop::sample::select(vec!["sub", "id", "name", "role", "weddingId", "bams", "rooms", "exp"]), json(),
    ), 0..8)) {
        let claims: Map<String, Value> = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for app in apps() {
            let _ = app.identity(&claims);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_can_do_worse_than_be_no_app(text in any::<String>(), cut in 0_usize..10_000) {
        let _ = App::parse("any.toml", &text);
        let whole = include_str!("../../../../apps/bam.toml");
        let cut = (0..=cut.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
        let _ = App::parse("cut.toml", &format!("{}{text}{}", &whole[..cut], &whole[cut..]));
    }
}
