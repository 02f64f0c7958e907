//! An app's events as TypeScript declarations, in the form in which `socket.io-client` takes them: `Socket<ServerToClientEvents,
//! ClientToServerEvents>`.

use std::fmt::Write as _;

use relais_core::error::Code;
use relais_core::vocabulary::App;
use serde_json::Value;

/// The declarations.
pub fn declarations(app: &App) -> String {
    let codes: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("{:?}", code.row().name))
        .collect();
    let mut out = format!(
        "// {}: what `{}` speaks. Written by `relais app types`.\n\nexport type ErrorCode = {};\n\
         export interface Refusal {{ success: false; error: {{ code: ErrorCode; message: string; retryable: boolean; retryAfterMs?: number }} }}\n\
         export type Ack<T> = ({{ success: true }} & T) | Refusal;\n\n\
         export interface ClientToServerEvents {{\n",
        app.title.replace(['\n', '\r'], " "),
        app.name,
        codes.join(" | ")
    );
    for event in super::taken(app) {
        let payload = event.payload;
        let ack = match event.ack.as_object() {
            Some(nothing) if nothing.is_empty() => "{}".to_owned(),
            _ => of(&event.ack),
        };
        let mut arguments = String::new();
        match payload["prefixItems"].as_array() {
            None => {
                let _ = write!(arguments, "payload: {}, ", of(&payload));
            }
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    let _ = write!(arguments, "argument{index}: {}, ", of(item));
                }
            }
        }
        let name = quoted(event.name);
        let _ = writeln!(
            out,
            "  {name}: ({arguments}ack?: (answer: Ack<{ack}>) => void) => void;",
        );
    }
    out.push_str("}\n\nexport interface ServerToClientEvents {\n");
    for (name, data) in super::told(app) {
        let _ = writeln!(out, "  {}: (data: {}) => void;", quoted(name), of(&data));
    }
    out + "}\n"
}

/// A JSON Schema as a type; what cannot be said in one is `unknown`.
fn of(schema: &Value) -> String {
    if let Some(value) = schema.get("const") {
        return literal(value);
    }
    for (key, joint) in [
        ("enum", " | "),
        ("anyOf", " | "),
        ("oneOf", " | "),
        ("allOf", " & "),
    ] {
        if let Some(list) = schema.get(key).and_then(Value::as_array) {
            let each = list.iter().map(|one| match key {
                "enum" => literal(one),
                _ => of(one),
            });
            let each: Vec<String> = each.collect();
            return match &each[..] {
                [one] => one.clone(),
                _ => format!("({})", each.join(joint)),
            };
        }
    }
    match &schema["type"] {
        Value::String(one) => single(one, schema),
        Value::Array(several) => {
            let each = several.iter().filter_map(Value::as_str);
            let each: Vec<String> = each.map(|one| single(one, schema)).collect();
            format!("({})", each.join(" | "))
        }
        _ => "unknown".to_owned(),
    }
}

fn single(kind: &str, schema: &Value) -> String {
    match kind {
        "string" | "boolean" | "null" => kind.to_owned(),
        "integer" | "number" => "number".to_owned(),
        "array" => match schema.get("items") {
            Some(items) => format!("Array<{}>", of(items)),
            None => "unknown[]".to_owned(),
        },
        "object" => match schema.get("properties").and_then(Value::as_object) {
            None => "Record<string, unknown>".to_owned(),
            Some(properties) => {
                let required = schema["required"].as_array();
                let needs =
                    |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
                let each = properties.iter().map(|(name, one)| {
                    let mark = if needs(name) { "" } else { "?" };
                    format!("{}{mark}: {}", quoted(name), of(one))
                });
                let named = format!("{{ {} }}", each.collect::<Vec<_>>().join("; "));
                match schema["additionalProperties"] == true {
                    true => format!("{named} & {{ [field: string]: unknown }}"),
                    false => named,
                }
            }
        },
        _ => "unknown".to_owned(),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => "unknown".to_owned(),
        plain => plain.to_string(),
    }
}

fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}
