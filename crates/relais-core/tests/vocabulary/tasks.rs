//! A wedding's tasks: what a change says, and what is told of it; and where its photos may be.

use relais_core::command::ItemAction;
use relais_core::error::Code;
use relais_core::event::{Event, EventKind};
use relais_core::ids::AudienceKey;
use serde_json::json;

use super::other_apps::{asked, item, rendered, to, user_key};
use super::{app, ask, ask_as, user};

#[test]
fn a_task_update_takes_its_fields_out_of_updates_and_tells_the_assignee() {
    let wedding = app("wedding");
    let payload = json!({ "taskId": "t-1", "updates": { "title": "Cake", "status": "done", "assignedTo": 4, "sneaky": 1 } });
    let (action, fields) = asked(&wedding, "task_update", payload);
    assert_eq!(action, ItemAction::Save);
    let expected = json!({ "item": "task", "id": "t-1", "status": "done", "assignee": 4, "fields": { "title": "Cake" } });
    assert_eq!(fields, expected);
    let wrong = json!({ "updates": { "status": "finished" } });
    let refused = ask_as(
        &wedding,
        &user("p", Some("planner")),
        "task_update",
        &[wrong],
    )
    .unwrap_err();
    assert_eq!(
        refused.message,
        r#"unable to take "task_update"; field "updates.status" does not fit: value is not one of "todo", "in_progress" or 2 other candidates"#
    );

    let body = json!({ "id": "t-1", "kind": "task", "status": "todo", "fields": { "title": "Cake" }, "owner": { "id": 1, "name": "Camille" }, "assignee": 4, "createdAt": "t", "updatedAt": "t" });
    let made = rendered(&wedding, item(EventKind::ItemAssigned, body));
    let data = r#"{"task":{"id":"t-1","title":"Cake","status":"todo","assignedTo":4,"dueDate":null,"notes":null,"createdAt":"t","updatedAt":"t"},"message":"Cake","assignedBy":"dj"}"#;
    // Everybody hears of the change; the new assignee of the task besides.
    assert_eq!(made[0].0, "task_updated");
    assert_eq!(made[0].2, to(&[AudienceKey::Tenant]));
    assert_eq!(
        made[1..],
        [(
            "task_assigned".to_owned(),
            data.to_owned(),
            to(&[user_key("4")])
        )]
    );
}

#[test]
fn one_change_of_a_task_is_told_once_and_a_new_assignee_besides() {
    let wedding = app("wedding");
    let body = json!({ "id": "t-1", "kind": "task", "status": "done", "fields": { "title": "Cake" }, "assignee": 4, "createdAt": "t", "updatedAt": "t" });
    let names = |kind: EventKind, also: &[EventKind]| {
        let event = Event {
            also: also.to_vec(),
            ..item(kind, body.clone())
        };
        let made = rendered(&wedding, event).into_iter();
        made.map(|(name, ..)| name).collect::<Vec<_>>()
    };
    use EventKind::{ItemAssigned, ItemCreated, ItemMoved, ItemUpdated};
    assert_eq!(names(ItemUpdated, &[ItemMoved]), ["task_updated"]);
    assert_eq!(
        names(ItemUpdated, &[ItemMoved, ItemAssigned]),
        ["task_updated", "task_assigned"]
    );
    assert_eq!(names(ItemAssigned, &[]), ["task_updated", "task_assigned"]);
    assert_eq!(
        names(ItemCreated, &[ItemAssigned]),
        ["task_updated", "task_assigned"]
    );
}

#[test]
fn an_explicit_null_in_an_update_clears_and_one_that_the_schema_forbids_is_refused() {
    let wedding = app("wedding");
    let payload =
        json!({ "taskId": "t-1", "tempId": "k", "updates": { "assignedTo": null, "notes": null } });
    let (_, said) = asked(&wedding, "task_update", payload);
    let expected = json!({ "item": "task", "id": "t-1", "key": "k", "assignee": null, "fields": { "notes": null } });
    assert_eq!(said, expected);
    let forbidden = json!({ "taskId": "t-1", "updates": { "title": null } });
    let actor = user("p", Some("planner"));
    let refused = ask_as(&wedding, &actor, "task_update", &[forbidden]).unwrap_err();
    assert_eq!(refused.code, Code::InvalidPayload);
}

#[test]
fn a_photo_of_a_wedding_is_at_an_https_address_or_is_an_upload_and_leads_nowhere_else() {
    let wedding = app("wedding");
    let code = |url: &str| {
        let asked = ask(&wedding, "new_photo", &[json!({ "url": url })]);
        asked.map(|_| ()).map_err(|error| error.code)
    };
    for url in [
        "https://h.example/1.jpg",
        "/files/wedding/w/1.jpg?expires=1",
    ] {
        assert_eq!(code(url), Ok(()), "{url}");
    }
    // A browser reads the second and third as addresses of another server.
    let others = [
        "http://h.example/1.jpg",
        "//h.example/1.jpg",
        "/\\h.example/1.jpg",
        "https:///h",
        "/etc/passwd",
    ];
    for url in others {
        assert_eq!(code(url), Err(Code::InvalidPayload), "{url}");
    }
}
