//! Tables in the documents that repeat a table in the code: public errors and settings, held against their source.
//!
//! Only names, numbers and defaults are compared; what a row means is said in the document's own words.

use super::Finding;
use super::tree::Tree;

/// A table in the code and where users read it.
struct Repeated {
    code: &'static str,
    document: &'static str,
    /// The rows as they must begin, from the code's text.
    rows: fn(&str) -> Vec<String>,
}

const REPEATED: [Repeated; 2] = [
    Repeated {
        code: "crates/relais-core/src/error.rs",
        document: "docs/PROTOCOL.md",
        rows: error_rows,
    },
    Repeated {
        code: "crates/relais-server/src/settings/table.rs",
        document: "docs/OPERATING.md",
        rows: setting_rows,
    },
];

/// Checks that each row of the code stands in its document.
pub fn check(tree: &Tree) -> Vec<Finding> {
    REPEATED
        .iter()
        .flat_map(|table| lost(table, tree))
        .collect()
}

fn lost(table: &Repeated, tree: &Tree) -> Vec<Finding> {
    let text =
        |path: &str| (tree.files.iter().find(|file| file.path == path)).map(|file| &*file.text);
    let finding = |file: &str, found, right| Finding {
        file: file.to_owned(),
        line: 1,
        rule: "document",
        found,
        right,
        note: false,
    };
    let (Some(code), Some(document)) = (text(table.code), text(table.document)) else {
        let found = format!("it or {} is not there", table.code);
        let right = "tell xtask/src/tidy/documents.rs where the tables are";
        return vec![finding(table.document, found, right)];
    };
    let rows = (table.rows)(code);
    if rows.is_empty() {
        let found = "no row of its table is understood".to_owned();
        let right = "tell xtask/src/tidy/documents.rs how the table is written";
        return vec![finding(table.code, found, right)];
    }
    let missing = rows
        .into_iter()
        .filter(|row| !document.lines().any(|line| line.starts_with(row.as_str())));
    missing
        .map(|row| {
            let found = format!("no line begins with `{row}`");
            finding(table.document, found, "write it as the code has it")
        })
        .collect()
}

/// `row("NAME", retryable, status, close)`.
fn error_rows(code: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for (at, _) in code.match_indices("row(") {
        let parts: Vec<&str> = code[at + 4..].splitn(5, ',').map(str::trim).collect();
        let [name, retryable, status, close, ..] = parts[..] else {
            continue;
        };
        let Some(name) = name.strip_prefix('"') else {
            continue;
        };
        let name = name.trim_end_matches('"');
        let retryable = if retryable == "true" { "yes" } else { "no" };
        let close: String = close.chars().filter(char::is_ascii_digit).collect();
        let close = if close.is_empty() {
            " ".to_owned()
        } else {
            format!(" {close} ")
        };
        rows.push(format!("| `{name}` | {retryable} | {status} |{close}|"));
    }
    rows
}

/// `row("key", &["ENV", …], "default", "help")` and `secret("key", &["ENV"], "help")`.
fn setting_rows(code: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for (start, has_default) in [("row(", true), ("secret(", false)] {
        for (at, _) in code.match_indices(start) {
            let rest = code[at + start.len()..].trim_start();
            let Some((names, after)) = rest.split_once(']').filter(|_| rest.starts_with('"'))
            else {
                continue;
            };
            // Between the quotes: the key, then the names of the environment.
            let mut names = names.split('"').skip(1).step_by(2);
            let key = names.next().unwrap_or_default();
            let env: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            let default = after
                .split('"')
                .nth(1)
                .filter(|_| has_default)
                .unwrap_or_default();
            let default = if default.is_empty() {
                " ".to_owned()
            } else {
                format!(" {default} ")
            };
            rows.push(format!("| `{key}` | {} |{default}|", env.join(", ")));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::{error_rows, setting_rows};

    #[test]
    fn a_row_of_the_error_table_becomes_a_row_of_the_document() {
        let code = "const fn row(\n name: &str) {}\nA => row(\"RATE_LIMITED\", true, 429, Some(1008)),\nB => row(\n \"NOT_FOUND\",\n false,\n 404,\n None),\n";
        assert_eq!(
            error_rows(code),
            [
                "| `RATE_LIMITED` | yes | 429 | 1008 |",
                "| `NOT_FOUND` | no | 404 | |"
            ]
        );
    }

    #[test]
    fn a_row_of_the_settings_becomes_a_row_of_the_document() {
        let code = "fn row(\n key: &str,\n env: &[&str]) {}\nrow(\"port\", &[\"WS_PORT\"], \"3001\", \"Port\"),\nrow(\n \"log_level\",\n &[\"RELAIS_LOG\", \"RUST_LOG\"],\n \"\",\n \"Filter\"),\nsecret(\"api_key\", &[\"API_KEY\"], \"Keys\"),\n";
        assert_eq!(
            setting_rows(code),
            [
                "| `port` | `WS_PORT` | 3001 |",
                "| `log_level` | `RELAIS_LOG`, `RUST_LOG` | |",
                "| `api_key` | `API_KEY` | |"
            ]
        );
    }
}
