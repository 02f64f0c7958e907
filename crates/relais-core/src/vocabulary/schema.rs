//! What clients may put into an event or a request: one compiled JSON Schema for each field.
//!
//! Out of an app file come [`Fields`]; a payload that fits them becomes [`Values`], one slot for each field. Unknown
//! fields are ignored, a missing or wrong one is told by name with what was expected. References to other documents are
//! refused, and patterns run in linear time, so no file or payload can make a check slow or reach for the network.

use std::borrow::Cow;
use std::sync::Arc;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value, json};
use smallvec::SmallVec;
use toml::de::DeValue;

use super::mistake::suggestion;
use super::reader::{Entry, Table, json, kind};
use crate::error::{Code, Error};

/// Fields that one event or request may have.
pub(super) const FIELDS_MAX: usize = 64;

/// One field of a payload.
#[derive(Debug)]
pub struct Field {
    /// Its name on the wire.
    pub name: Arc<str>,
    /// Its JSON Schema (draft 2020-12).
    pub schema: Value,
    /// Whether it must be there. Never for a field with a default.
    pub required: bool,
    /// What it is when it is not there.
    pub default: Option<Value>,
    /// What is accepted, in words.
    pub expected: String,
    validator: Validator,
}

/// The fields of a payload, in the order of the file.
#[derive(Debug, Default)]
pub struct Fields(pub(super) Vec<Field>);

/// What a client gave for each field, checked; `whole` is all that came, unknown fields included.
pub(super) struct Values<'v> {
    slots: SmallVec<[Option<Cow<'v, Value>>; 8]>,
    whole: Option<&'v Map<String, Value>>,
}

impl<'v> Values<'v> {
    pub(super) fn get(&self, index: usize) -> Option<&Value> {
        self.slots.get(index)?.as_deref()
    }

    pub(super) fn whole(&self) -> Option<&'v Map<String, Value>> {
        self.whole
    }
}

impl Fields {
    /// All fields, for documents.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.0.iter()
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|field| &*field.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|field| &*field.name)
    }

    /// Checks a payload, field by field. `subject` names the event or request in the error.
    pub(super) fn check<'v>(
        &self,
        subject: &str,
        whole: Option<&'v Map<String, Value>>,
        given: impl Fn(usize, &Field) -> Option<Cow<'v, Value>>,
    ) -> Result<Values<'v>, Error> {
        let mut slots = SmallVec::with_capacity(self.0.len());
        for (index, field) in self.0.iter().enumerate() {
            slots.push(field.check(subject, given(index, field))?);
        }
        Ok(Values { slots, whole })
    }
}

impl Field {
    fn check<'v>(
        &self,
        subject: &str,
        given: Option<Cow<'v, Value>>,
    ) -> Result<Option<Cow<'v, Value>>, Error> {
        // A client library that writes `null` for what it has not got means that it is not there.
        let Some(value) = given.filter(|value| !value.is_null()) else {
            if let Some(default) = &self.default {
                return Ok(Some(Cow::Owned(default.clone())));
            }
            if self.required {
                return Err(self.refusal(subject, "is missing"));
            }
            return Ok(None);
        };
        match self.validator.validate(&value) {
            Ok(()) => {}
            Err(error) if error.instance_path().as_str().is_empty() => {
                return Err(self.refusal(subject, "does not fit"));
            }
            Err(error) => {
                let path = error.instance_path().as_str().replace('/', ".");
                let text = format!(
                    "unable to take \"{subject}\"; field \"{}{path}\" does not fit: {}",
                    self.name,
                    error.masked()
                );
                return Err(Error::new(Code::InvalidPayload, text));
            }
        }
        Ok(Some(value))
    }

    fn refusal(&self, subject: &str, problem: &str) -> Error {
        let text = format!(
            "unable to take \"{subject}\"; field \"{}\" {problem}: expected {}",
            self.name, self.expected
        );
        Error::new(Code::InvalidPayload, text)
    }

    /// The types that the schema allows, if it says so.
    pub(super) fn types(&self) -> Option<Vec<&str>> {
        match self.schema.get("type")? {
            Value::String(one) => Some(vec![one]),
            Value::Array(several) => several.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }
}

/// Schemas that a file gives a name in `[types]`, beside those that are always there.
pub(super) struct Types(Vec<(String, Value)>);

impl Types {
    /// Reads `[types]`.
    pub(super) fn read(table: Option<Table<'_>>, statuses: &[Arc<str>]) -> Self {
        let id = json!({ "type": ["string", "integer"], "minLength": 1, "maxLength": 255 });
        let mut types = vec![
            ("id".to_owned(), id),
            (
                "text".to_owned(),
                json!({ "type": "string", "minLength": 1, "maxLength": 4000 }),
            ),
            (
                "key".to_owned(),
                json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
            ),
            ("boolean".to_owned(), json!({ "type": "boolean" })),
            ("seq".to_owned(), json!({ "type": "integer", "minimum": 0 })),
            (
                "limit".to_owned(),
                json!({ "type": "integer", "minimum": 1, "maximum": 100 }),
            ),
            ("object".to_owned(), json!({ "type": "object" })),
            (
                "status".to_owned(),
                json!({ "type": "string", "enum": statuses }),
            ),
            ("any".to_owned(), json!({})),
        ];
        let Some(table) = table else {
            return Self(types);
        };
        for entry in table.named() {
            let schema = match entry.node.get_ref() {
                DeValue::Table(_) => json(entry.node),
                other => {
                    let text = format!("a type is a JSON Schema, a table, not {}", kind(other));
                    table.note(entry.node.span().start, text);
                    continue;
                }
            };
            if let Err(problem) = compile(&schema) {
                table.note(entry.node.span().start, problem);
            }
            types.retain(|(name, _)| name != entry.key);
            types.push((entry.key.to_owned(), schema));
        }
        Self(types)
    }

    /// The field that an entry of `payload`, `body` or `query` declares: `"type"`, `"type?"` or a JSON Schema with
    /// `optional` besides.
    pub(super) fn field(&self, table: &Table<'_>, entry: &Entry<'_>) -> Option<Field> {
        let at = entry.node.span().start;
        let (mut schema, mut optional) = match entry.node.get_ref() {
            DeValue::String(text) => {
                let (name, optional) = match text.strip_suffix('?') {
                    Some(name) => (name, true),
                    None => (text.as_ref(), false),
                };
                let Some(schema) = self.get(name) else {
                    let known = self.0.iter().map(|(name, _)| name.as_str());
                    let help = suggestion(name, known);
                    table.note(at, format!("unknown type \"{name}\"{help}"));
                    return None;
                };
                (schema, optional)
            }
            DeValue::Table(_) => (json(entry.node), false),
            other => {
                let text = format!(
                    "a field is the name of a type or a JSON Schema, not {}",
                    kind(other)
                );
                table.note(at, text);
                return None;
            }
        };
        let object = schema.as_object_mut()?;
        match object.remove("optional") {
            None => {}
            Some(Value::Bool(said)) => optional = said,
            Some(_) => table.note(at, "\"optional\" is true or false"),
        }
        let default = object.get("default").cloned();
        self.build(entry.key, schema, optional, default)
            .map_err(|problem| table.note(at, problem))
            .ok()
    }

    /// A field of one of the types that are always there.
    pub(super) fn plain(&self, name: &str, type_name: &str, optional: bool) -> Option<Field> {
        let schema = self.get(type_name)?;
        self.build(name, schema, optional, None).ok()
    }

    fn get(&self, name: &str) -> Option<Value> {
        let (_, schema) = self.0.iter().find(|(known, _)| known == name)?;
        Some(schema.clone())
    }

    fn build(
        &self,
        name: &str,
        schema: Value,
        optional: bool,
        default: Option<Value>,
    ) -> Result<Field, String> {
        let validator = compile(&schema)?;
        if let Some(default) = &default
            && !validator.is_valid(default)
        {
            return Err(format!("the default {default} does not fit the schema"));
        }
        Ok(Field {
            name: name.into(),
            required: !optional && default.is_none(),
            default,
            expected: describe(&schema),
            validator,
            schema,
        })
    }
}

/// Compiles a JSON Schema; without remote references, with patterns in linear time.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    if let Some(problem) = misspelt(schema) {
        return Err(problem);
    }
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| {
            let path = error.instance_path().as_str();
            if path.ends_with("/pattern") {
                let pattern = error.instance();
                return format!(
                    "{pattern} is not a pattern; look-around and references back are not possible"
                );
            }
            let place = if path.is_empty() {
                String::new()
            } else {
                format!(" at \"{}\"", path.trim_start_matches('/'))
            };
            format!("not a JSON Schema{place}: {error}")
        })
}

/// JSON Schema keywords that an app file may use. A misspelt one would silently allow everything.
const KEYWORDS: &[&str] = &[
    "type",
    "enum",
    "const",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "title",
    "description",
    "default",
    "examples",
    "optional",
    "$ref",
    "$defs",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// What `type` may say.
const TYPES: &[&str] = &[
    "string", "integer", "number", "boolean", "object", "array", "null",
];

/// A keyword or type that there is not, anywhere in a schema.
fn misspelt(schema: &Value) -> Option<String> {
    for (key, value) in schema.as_object()? {
        if !KEYWORDS.contains(&key.as_str()) {
            let help = suggestion(key, KEYWORDS.iter().copied());
            return Some(format!("unknown JSON Schema keyword \"{key}\"{help}"));
        }
        let below = match (key.as_str(), value) {
            ("type", Value::String(name)) => unknown_type(name),
            ("type", Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .find_map(unknown_type),
            (
                "items"
                | "contains"
                | "not"
                | "additionalProperties"
                | "propertyNames"
                | "if"
                | "then"
                | "else",
                value,
            ) => misspelt(value),
            ("properties" | "patternProperties" | "$defs", Value::Object(schemas)) => {
                schemas.values().find_map(misspelt)
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter().find_map(misspelt)
            }
            _ => None,
        };
        if below.is_some() {
            return below;
        }
    }
    None
}

fn unknown_type(name: &str) -> Option<String> {
    let help = suggestion(name, TYPES.iter().copied());
    (!TYPES.contains(&name)).then(|| format!("unknown JSON type \"{name}\"{help}"))
}

/// A schema in words: "a text of 1 to 4000 characters", "one of \"text\", \"image\"".
fn describe(schema: &Value) -> String {
    if let Some(Value::Array(options)) = schema.get("enum") {
        let options: Vec<String> = options.iter().map(Value::to_string).collect();
        return format!("one of {}", options.join(", "));
    }
    if let Some(constant) = schema.get("const") {
        return constant.to_string();
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => return "a value".to_owned(),
    };
    let words: Vec<String> = types.iter().map(|one| describe_type(one, schema)).collect();
    words.join(" or ")
}

fn describe_type(name: &str, schema: &Value) -> String {
    let number = |key: &str| schema.get(key).filter(|value| value.is_number());
    let range = |low: Option<&Value>, high: Option<&Value>| match (low, high) {
        (Some(low), Some(high)) => format!("{low} to {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("at most {high}"),
        (None, None) => String::new(),
    };
    let sized = |word: &str, unit: &str, low: &str, high: &str| {
        let range = range(number(low), number(high));
        if range.is_empty() {
            word.to_owned()
        } else {
            format!("{word} of {range}{unit}")
        }
    };
    match name {
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format!("a text in the format \"{format}\""),
            None => sized("a text", " characters", "minLength", "maxLength"),
        },
        "integer" => sized("a whole number", "", "minimum", "maximum"),
        "number" => sized("a number", "", "minimum", "maximum"),
        "array" => sized("a list", " entries", "minItems", "maxItems"),
        "boolean" => "true or false".to_owned(),
        "object" => "an object".to_owned(),
        other => other.to_owned(),
    }
}
