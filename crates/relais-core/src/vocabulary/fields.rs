//! What the fields of items hold, as far as those who write them say; for documents.
//!
//! In goes the name of a field, out come the schemas of all that is written into it: by events and routes of the file, and by an engine
//! of the server.

use serde_json::{Value, json};

use super::App;
use super::rule::{Rule, Source};
use super::settings::Item;

/// A field of items of some kinds.
pub struct ItemField {
    /// What is written into it; empty where nothing says it.
    pub schemas: Vec<Value>,
    /// Whether each of the items has it.
    pub is_always: bool,
    /// Whether none of these kinds can have it.
    pub is_never: bool,
}

impl App {
    /// A field of items of these kinds; without kinds, of all that have it.
    pub fn item_field(&self, kinds: &[&str], name: &str) -> ItemField {
        let is_meant = |kind: &str| kinds.is_empty() || kinds.contains(&kind);
        let has_it = |item: &&Item| {
            let fields = item.fields.as_ref();
            is_meant(&item.kind) && fields.is_none_or(|fields| contains(fields, name))
        };
        let items: Vec<&Item> = self.items.0.iter().filter(has_it).collect();
        let mut schemas: Vec<Value> = Vec::new();
        let mut add = |schema: Value| {
            if !schemas.contains(&schema) {
                schemas.push(schema);
            }
        };
        let rules = self.client.iter().map(|event| &*event.rule);
        for rule in rules.chain(self.http.iter().map(|route| &*route.rule)) {
            if rule.item.as_ref().is_some_and(|kind| is_meant(kind)) {
                rule.written(name)
                    .map(without_null)
                    .into_iter()
                    .for_each(&mut add);
            }
        }
        for item in &items {
            by_engine(item, name).into_iter().for_each(&mut add);
        }
        ItemField {
            schemas,
            is_never: items.is_empty(),
            is_always: items.iter().all(|item| contains(&item.required, name)),
        }
    }
}

impl Rule {
    /// The schema of what this rule writes into a field.
    fn written(&self, name: &str) -> Option<Value> {
        let parameters = self.parameters.iter();
        let place = parameters
            .enumerate()
            .find(|(_, known)| known.name == "fields")?
            .0;
        match self.sources.get(place)?.as_ref()? {
            Source::Field(index, steps) => {
                let steps = steps.iter().map(|step| &**step).chain([name]);
                below(&self.fields.0.get(*index)?.schema, steps)
            }
            Source::Whole => {
                let field = self.fields.iter().find(|field| *field.name == *name);
                field.map(|field| field.schema.clone())
            }
            Source::Gather(parts) => match &parts.iter().find(|(own, _)| **own == *name)?.1 {
                Source::Field(index, steps) => {
                    let steps = steps.iter().map(|step| &**step);
                    below(&self.fields.0.get(*index)?.schema, steps)
                }
                _ => None,
            },
            Source::Constant(_) => None,
        }
    }
}

/// What an engine of the server writes.
fn by_engine(item: &Item, name: &str) -> Option<Value> {
    let work = item.work.as_ref()?;
    let is = |field: &Option<std::sync::Arc<str>>| field.as_deref() == Some(name);
    match () {
        () if is(&work.progress) => Some(json!({ "type": "number" })),
        () if is(&work.seed) => Some(json!({ "type": "integer" })),
        () if is(&work.error) || is(&work.job) || is(&work.client) => {
            Some(json!({ "type": "string" }))
        }
        () => None,
    }
}

fn below<'s>(schema: &Value, mut steps: impl Iterator<Item = &'s str>) -> Option<Value> {
    let inner = steps.try_fold(schema, |schema, step| schema.get("properties")?.get(step));
    inner.cloned()
}

/// A null clears a field, and is never in it. Limits of what may be written are nothing to those who read.
fn without_null(schema: Value) -> Value {
    let types = schema["type"].as_array().map(|types| {
        let types = types.iter().filter(|one| **one != "null");
        types.cloned().collect::<Vec<_>>()
    });
    let mut kept = json!({});
    for key in [
        "const",
        "enum",
        "properties",
        "required",
        "items",
        "anyOf",
        "oneOf",
        "allOf",
    ] {
        if let Some(value) = schema.get(key) {
            kept[key] = value.clone();
        }
    }
    match types.as_deref() {
        None if schema.get("type").is_some() => kept["type"] = schema["type"].clone(),
        Some([one]) => kept["type"] = one.clone(),
        Some(several) => kept["type"] = several.into(),
        None => {}
    }
    kept
}

fn contains(names: &[std::sync::Arc<str>], name: &str) -> bool {
    names.iter().any(|own| **own == *name)
}
