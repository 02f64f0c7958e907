//! A whole body held to one JSON Schema: for routes that no app file declares.

use jsonschema::Validator;
use serde_json::Value;

use super::schema::compile;
use crate::error::{Code, Error};

/// A compiled JSON Schema of a body.
#[derive(Debug)]
pub struct BodySchema(Validator);

impl BodySchema {
    /// Compiles it. Errors: what is wrong with the schema, in words.
    pub fn new(schema: &Value) -> Result<Self, String> {
        compile(schema).map(Self)
    }

    /// Whether a body fits. `subject` is the request in the error: `INVALID_PAYLOAD` with the place that does not fit.
    pub fn check(&self, subject: &str, body: &Value) -> Result<(), Error> {
        self.0.validate(body).map_err(|error| {
            let path = error.instance_path().as_str();
            let place = match path.trim_start_matches('/').replace('/', ".") {
                path if path.is_empty() => "the body".to_owned(),
                path => format!("field \"{path}\""),
            };
            let text = format!(
                "unable to take \"{subject}\"; {place} does not fit: {}",
                error.masked()
            );
            Error::new(Code::InvalidPayload, text)
        })
    }
}
