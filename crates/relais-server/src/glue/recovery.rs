//! Which clients are given recovery offsets. Stock JavaScript clients keep a trailing string argument for themselves; others hand it
//! to the application, which then sees an argument too many.
//!
//! Signs, surest first: `recovery=0/1` in auth or query says it outright; then the user agent (`Dart/…`, `Python/…`, `python-requests/…`);
//! then the query: python-engineio writes `transport=` before `EIO=` and its sync WebSocket sends no user agent at all, while every version of
//! engine.io-client since 4.0 writes `EIO=` first. Dart compiled for the web cannot be told from JavaScript: its apps set the default in their file.

use serde_json::Value;

/// Whether this client gets offsets. `app_default` is what the app file says.
pub fn is_wanted(
    app_default: bool,
    auth: Option<&Value>,
    query: &str,
    user_agent: Option<&str>,
) -> bool {
    if let Some(said) = auth
        .and_then(|auth| auth.get("recovery"))
        .and_then(said_in_json)
        .or_else(|| said_in_query(query))
    {
        return said;
    }
    app_default && !is_foreign_agent(user_agent.unwrap_or_default()) && !is_foreign_query(query)
}

fn said_in_json(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(said) => Some(*said),
        Value::Number(number) => said_as_text(&number.to_string()),
        Value::String(text) => said_as_text(text),
        _ => None,
    }
}

fn said_in_query(query: &str) -> Option<bool> {
    query
        .split('&')
        .find_map(|pair| said_as_text(pair.strip_prefix("recovery=")?))
}

fn said_as_text(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn is_foreign_agent(agent: &str) -> bool {
    let agent = agent.to_ascii_lowercase();
    agent.starts_with("dart/") || agent.starts_with("python")
}

fn is_foreign_query(query: &str) -> bool {
    match (query.find("EIO="), query.find("transport=")) {
        (Some(version), Some(transport)) => transport < version,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const JAVASCRIPT: &str = "EIO=4&transport=websocket";
    const PYTHON: &str = "transport=websocket&EIO=4&t=1790000000.123";

    #[test]
    fn the_app_decides_for_clients_that_look_like_javascript() {
        for agent in [
            None,
            Some("node-XMLHttpRequest"),
            Some("Mozilla/5.0 (X11; Linux x86_64)"),
        ] {
            assert!(is_wanted(true, None, JAVASCRIPT, agent));
            assert!(!is_wanted(false, None, JAVASCRIPT, agent));
        }
    }

    #[test]
    fn dart_and_python_are_told_by_agent_or_by_the_order_of_the_query() {
        assert!(!is_wanted(
            true,
            None,
            JAVASCRIPT,
            Some("Dart/3.5 (dart:io)")
        ));
        assert!(!is_wanted(
            true,
            None,
            PYTHON,
            Some("Python/3.11 aiohttp/3.9.1")
        ));
        assert!(!is_wanted(
            true,
            None,
            PYTHON,
            Some("python-requests/2.32.0")
        ));
        assert!(!is_wanted(true, None, PYTHON, None));
    }

    #[test]
    fn what_the_client_says_outranks_every_sign() {
        for yes in [
            json!({"recovery": 1}),
            json!({"recovery": true}),
            json!({"recovery": "1"}),
        ] {
            assert!(is_wanted(false, Some(&yes), PYTHON, Some("Dart/3.5")));
        }
        assert!(!is_wanted(
            true,
            Some(&json!({"recovery": 0})),
            JAVASCRIPT,
            None
        ));
        assert!(is_wanted(
            false,
            None,
            "EIO=4&transport=polling&recovery=1",
            None
        ));
        assert!(!is_wanted(
            true,
            None,
            "EIO=4&transport=polling&recovery=0",
            None
        ));
        assert!(is_wanted(
            true,
            Some(&json!({"recovery": "perhaps"})),
            JAVASCRIPT,
            None
        ));
    }
}
