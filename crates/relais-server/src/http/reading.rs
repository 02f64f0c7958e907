//! `GET /{app}/docs`: the HTTP side of an app as a page to read, written from its OpenAPI document. No script, nothing from elsewhere.

use std::fmt::Write as _;

use ::http::Method;
use axum::response::Response;
use serde_json::Value;

use super::app::other_methods;
use super::landing::{self, escape};
use super::openapi;
use crate::glue::apps::Served;

/// Answers with the page.
pub fn answer(served: &Served, method: &Method, base: &str) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return other_methods(&["GET", "HEAD"]);
    }
    landing::answer(
        page(&openapi::document(served, base), base),
        "text/html; charset=utf-8",
    )
}

fn page(document: &Value, base: &str) -> String {
    let title = text(&document["info"]["title"]);
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}: HTTP</title><link rel=\"stylesheet\" href=\"/relais.css\"><body><h1>{title}: HTTP</h1>\
         <p>{}</p><p>As OpenAPI 3.1: <a href=\"{base}/openapi.json\">openapi.json</a></p>",
        text(&document["info"]["description"]),
        base = escape(base)
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        let _ = write!(html, "<h2>{}</h2>", text(&tag["description"]));
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if operation["tags"][0] == tag["name"] {
                    route(
                        &mut html,
                        &format!("{} {base}{path}", method.to_uppercase()),
                        operation,
                    );
                }
            }
        }
    }
    html + "</body></html>"
}

fn route(html: &mut String, address: &str, operation: &Value) {
    let _ = write!(
        html,
        "<details><summary><code>{}</code> {}</summary>",
        escape(address),
        text(&operation["summary"])
    );
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let rows: String = parameters
        .map(|one| {
            format!(
                "<li><code>{}</code> ({}) {} {}</li>",
                text(&one["name"]),
                text(&one["in"]),
                schema(&one["schema"]),
                text(&one["description"])
            )
        })
        .collect();
    let _ = write!(html, "<ul>{rows}</ul>");
    for content in operation["requestBody"]["content"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let _ = write!(
            html,
            "<p>Body, {}:</p><pre>{}</pre>",
            escape(content.0),
            pretty(&content.1["schema"])
        );
    }
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        for content in answer["content"].as_object().into_iter().flatten() {
            let _ = write!(
                html,
                "<p>{}, {}:</p><pre>{}</pre>",
                escape(status),
                escape(content.0),
                pretty(&content.1["schema"])
            );
        }
    }
    html.push_str("</details>");
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn schema(value: &Value) -> String {
    format!("<code>{}</code>", escape(&value.to_string()))
}

fn pretty(value: &Value) -> String {
    escape(&serde_json::to_string_pretty(value).unwrap_or_default())
}
