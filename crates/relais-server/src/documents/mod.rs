//! What an app speaks, written down for programs: JSON Schemas of what it takes and tells, AsyncAPI, TypeScript.
//!
//! Comes in: a compiled app file. Goes out: documents. The fields that clients send have the schemas that are checked; what the server
//! tells has those of the facts that the file maps.

pub mod asyncapi;
pub mod schema;
pub mod typescript;

#[cfg(test)]
mod tests {
    use crate::app_files;

    #[test]
    fn every_event_of_every_app_is_in_both_documents_and_references_lead_somewhere() {
        for app in app_files::load(None).expect("the built-in apps are right") {
            let types = super::typescript::declarations(&app);
            let document = super::asyncapi::document(&app);
            let client = app.client.iter().map(|event| event.rule.subject.clone());
            for name in client.chain(app.server.iter().map(|event| event.name.clone())) {
                assert!(types.contains(&format!("  \"{name}\": (")), "{name}");
                let messages = document["components"]["messages"].as_object();
                let mut messages = messages.into_iter().flatten();
                assert!(messages.any(|(_, one)| one["name"] == *name), "{name}");
            }
            for (key, operation) in document["operations"].as_object().into_iter().flatten() {
                let reference = operation["messages"][0]["$ref"]
                    .as_str()
                    .unwrap_or_default();
                let inner = document.pointer(reference.trim_start_matches('#'));
                let outer = inner
                    .and_then(|inner| inner["$ref"].as_str())
                    .unwrap_or_default();
                assert!(
                    document.pointer(outer.trim_start_matches('#')).is_some(),
                    "{key}"
                );
            }
        }
    }
}
