//! JSON Schemas of what an app takes and tells.

use relais_core::event::OFFLINE;
use relais_core::vocabulary::{
    App, ClientEvent, Fact, Field, Holds, Item, Member, Path, Rule, ServerEvent, Shape, Told, Type,
};
use serde_json::{Map, Value, json};

/// Fields as the schema of one object.
pub fn object(fields: &[Field]) -> Value {
    let named = fields.iter();
    let properties: Map<String, Value> = named
        .map(|field| (field.name.to_string(), field.schema.clone()))
        .collect();
    let needed = fields.iter().filter(|field| field.required);
    let required: Vec<&str> = needed.map(|field| &*field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// What a client event carries: an object, or its bare arguments as a list.
pub fn payload(event: &ClientEvent) -> Value {
    let fields: Vec<&Field> = event.rule.fields.iter().collect();
    if event.arguments.is_empty() {
        let named = fields.iter();
        let properties: Map<String, Value> = named
            .map(|field| (field.name.to_string(), field.schema.clone()))
            .collect();
        let needed = fields.iter().filter(|field| field.required);
        let required: Vec<&str> = needed.map(|field| &*field.name).collect();
        return json!({ "type": "object", "properties": properties, "required": required });
    }
    let named = event.arguments.iter();
    let items: Vec<Value> = named
        .map(|name| {
            let field = fields.iter().find(|field| field.name == *name);
            field.map_or_else(|| json!({}), |field| field.schema.clone())
        })
        .collect();
    let needed = fields.iter().filter(|field| field.required).count();
    json!({ "type": "array", "prefixItems": items, "minItems": needed })
}

/// What a field map is about: the app, and which of its items, as far as that is known.
pub struct About<'a> {
    app: &'a App,
    kinds: Vec<&'a str>,
    statuses: Vec<&'a Value>,
}

impl<'a> About<'a> {
    /// The reply of an event or a route.
    pub fn reply(app: &'a App, rule: &'a Rule) -> Self {
        Self {
            app,
            kinds: rule.item().into_iter().collect(),
            statuses: Vec::new(),
        }
    }

    /// What a server event carries.
    pub fn event(app: &'a App, event: &'a ServerEvent) -> Self {
        let kinds = event.only("kind").into_iter().filter_map(Value::as_str);
        Self {
            app,
            kinds: kinds.collect(),
            statuses: event.only("status"),
        }
    }

    /// What a field map writes.
    pub fn shape(&self, shape: &Shape) -> Value {
        match shape {
            Shape::Constant(encoded) => match serde_json::from_str::<Value>(encoded) {
                Ok(value) => json!({ "const": value }),
                Err(_) => json!({}),
            },
            Shape::Fact(told) => {
                let (schema, is_always) = self.fact(told);
                or_null(schema, is_always)
            }
            Shape::Object(members) => self.object(members),
            Shape::In(told, inner) => {
                let is_always = told.as_ref().is_none_or(|told| told.is_always);
                or_null(self.shape(inner), is_always)
            }
            Shape::Each(told, inner) => {
                let list = json!({ "type": "array", "items": self.shape(inner) });
                or_null(list, told.is_always)
            }
        }
    }

    fn object(&self, members: &[Member]) -> Value {
        let is_there = |member: &&Member| !member.name.is_empty() && !self.is_never(member);
        let named = || members.iter().filter(is_there);
        let properties: Map<String, Value> = named()
            .map(|member| (member.name.to_string(), self.member(member)))
            .collect();
        let needed = named().filter(|member| !member.optional);
        let required: Vec<&str> = needed.map(|member| &*member.name).collect();
        let mut schema =
            json!({ "type": "object", "properties": properties, "required": required });
        if members.iter().any(|member| member.name.is_empty()) {
            // A spread: whatever else the fields have.
            schema["additionalProperties"] = true.into();
        }
        schema
    }

    /// Whether it is left out always: a field of an item of another kind.
    fn is_never(&self, member: &Member) -> bool {
        match &member.shape {
            Shape::Fact(told) if member.optional => match item_field(told) {
                Some(name) => self.app.item_field(&self.kinds, name).is_never,
                None => false,
            },
            _ => false,
        }
    }

    /// What is left out where it is absent is never null.
    fn member(&self, member: &Member) -> Value {
        match (&member.shape, member.optional) {
            (Shape::Fact(told), true) => self.fact(told).0,
            (Shape::In(Some(_), inner), true) => self.shape(inner),
            (Shape::Each(_, inner), true) => {
                json!({ "type": "array", "items": self.shape(inner) })
            }
            (shape, _) => self.shape(shape),
        }
    }

    /// What a fact is where it is there, and whether it always is.
    fn fact(&self, told: &Told) -> (Value, bool) {
        let schema = match (told.holds, &told.path) {
            (Type::Open, Path::Body(steps)) if &*steps[0] == "fields" => match steps.get(1) {
                None => json!({ "type": "object" }),
                Some(name) => {
                    let field = self.app.item_field(&self.kinds, name);
                    if field.is_never {
                        return (json!({ "type": "null" }), true);
                    }
                    let inside = steps.len() > 2;
                    let schema = match inside {
                        true => json!({}),
                        false => any_of(field.schemas),
                    };
                    return (schema, field.is_always && !inside);
                }
            },
            (Type::Open, _) => json!({}),
            (Type::Object(facts), _) => self.facts(facts),
            (Type::List(facts), _) => json!({ "type": "array", "items": self.facts(facts) }),
            (Type::Plain(holds), _) => self.plain(holds),
        };
        let has_status = told.holds == Type::Plain(Holds::ItemStatus) && self.all_have_a_status();
        (schema, told.is_always || has_status)
    }

    fn facts(&self, facts: &[Fact]) -> Value {
        let one = |Fact(name, holds, _): &Fact| {
            let schema = match holds {
                Type::Open => json!({}),
                Type::Object(facts) => self.facts(facts),
                Type::List(facts) => json!({ "type": "array", "items": self.facts(facts) }),
                Type::Plain(holds) => self.plain(*holds),
            };
            ((*name).to_owned(), schema)
        };
        let properties: Map<String, Value> = facts.iter().map(one).collect();
        let needed = facts.iter().filter(|fact| fact.2);
        let required: Vec<&str> = needed.map(|fact| fact.0).collect();
        json!({ "type": "object", "properties": properties, "required": required })
    }

    fn plain(&self, holds: Holds) -> Value {
        let names = |names: &mut dyn Iterator<Item = &str>| -> Value {
            let names: Vec<&str> = names.collect();
            match names.is_empty() {
                true => json!({ "type": "string" }),
                false => json!({ "enum": names }),
            }
        };
        match holds {
            Holds::Text => json!({ "type": "string" }),
            Holds::Uuid => json!({ "type": "string", "format": "uuid" }),
            Holds::Id => json!({ "type": ["string", "integer"] }),
            Holds::Integer => json!({ "type": "integer", "minimum": 0 }),
            Holds::Boolean => json!({ "type": "boolean" }),
            Holds::Time => json!({ "type": "string", "format": "date-time" }),
            Holds::Ids => {
                json!({ "type": "array", "items": { "type": ["string", "integer"] } })
            }
            Holds::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Holds::Role => names(&mut self.app.roles.iter().map(|(role, _)| &**role)),
            Holds::Presence => {
                let statuses = self.app.presence.statuses.iter().map(|status| &**status);
                names(&mut statuses.chain([OFFLINE]))
            }
            Holds::ItemKind if !self.kinds.is_empty() => json!({ "enum": self.kinds }),
            Holds::ItemKind => names(&mut self.app.items.0.iter().map(|item| &*item.kind)),
            Holds::ItemStatus if !self.statuses.is_empty() => json!({ "enum": self.statuses }),
            Holds::ItemStatus => {
                let mut statuses: Vec<&str> = Vec::new();
                for status in self.items().flat_map(|item| &item.statuses) {
                    if !statuses.contains(&&**status) {
                        statuses.push(status);
                    }
                }
                names(&mut statuses.into_iter())
            }
        }
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        let items = self.app.items.0.iter();
        items.filter(|item| self.kinds.is_empty() || self.kinds.contains(&&*item.kind))
    }

    fn all_have_a_status(&self) -> bool {
        self.items().all(|item| !item.statuses.is_empty())
    }
}

/// The name of the field of an item that a fact is.
fn item_field(told: &Told) -> Option<&str> {
    match (told.holds, &told.path) {
        (Type::Open, Path::Body(steps)) if &*steps[0] == "fields" => {
            steps.get(1).map(|name| &**name)
        }
        _ => None,
    }
}

fn any_of(mut schemas: Vec<Value>) -> Value {
    match schemas.len() {
        0 => json!({}),
        1 => schemas.remove(0),
        _ => json!({ "anyOf": schemas }),
    }
}

/// What is `null` where its fact is absent.
fn or_null(schema: Value, is_always: bool) -> Value {
    match is_always || schema == json!({}) {
        true => schema,
        false => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}
