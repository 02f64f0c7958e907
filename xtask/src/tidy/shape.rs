//! Sizes, and how a Rust file opens.

use super::Finding;
use super::source::{Source, block_end, is_word};

const FILE_LINES_MAX: usize = 600;
const FILE_LINES_NOTED: usize = 500;
const FUNCTION_LINES_MAX: usize = 80;
const FUNCTION_LINES_NOTED: usize = 60;

/// Checks one file.
pub fn check(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |line, rule, found, right, note| {
        findings.push(Finding {
            file: source.file.path.clone(),
            line,
            rule,
            found,
            right,
            note,
        });
    };
    let text = &source.file.text;
    if !text.starts_with("//!") {
        let right = "open with `//!`: what it owns, what comes in and goes out, what it deliberately does not do";
        add(
            1,
            "opening",
            "the file does not open with `//!`".to_owned(),
            right,
            false,
        );
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_NOTED {
        let right = "at most 500 is well, 600 is the limit; is it two ideas?";
        add(
            1,
            "file-size",
            format!("{lines} lines"),
            right,
            lines <= FILE_LINES_MAX,
        );
    }
    for function in functions(source) {
        if function.lines > FUNCTION_LINES_NOTED {
            let right = "at most 60 lines is well, 80 is the limit; name its parts";
            let found = format!("`{}` has {} lines", function.name, function.lines);
            let note = function.lines <= FUNCTION_LINES_MAX;
            add(function.line, "function-size", found, right, note);
        }
    }
    findings
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Every `fn name … { … }`; declarations without a body and function types are none.
fn functions(source: &Source<'_>) -> Vec<Function> {
    let code = &source.code;
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].bytes().next_back();
        let rest = &code[at + 3..];
        let name = &rest[..rest
            .bytes()
            .position(|byte| !is_word(byte))
            .unwrap_or(rest.len())];
        if before.is_some_and(is_word) || name.is_empty() {
            continue;
        }
        if let Some(opening) = body(code, at) {
            let (first, last) = (source.line(at), source.line(block_end(code, opening) - 1));
            found.push(Function {
                name: name.to_owned(),
                line: first,
                lines: last - first + 1,
            });
        }
    }
    found
}

/// The opening brace of the body: the first one outside of brackets, unless a semicolon comes before it.
fn body(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::source::Source;
    use crate::tidy::tree::File;

    fn found(text: String) -> Vec<String> {
        let path = "crates/relais-core/src/a.rs".to_owned();
        let file = File { path, text };
        let findings = check(&Source::read(&file));
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_must_open_with_its_story() {
        let found = found("use std::fmt;\n".to_owned());
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/relais-core/src/a.rs:1: opening: "));
    }

    #[test]
    fn a_long_file_is_noted_and_a_longer_one_refused() {
        let long = |lines: usize| found(format!("//! A.\n{}", "//\n".repeat(lines - 1)));
        assert!(long(500).is_empty());
        assert!(long(600)[0].contains("note: file-size: 600 lines"));
        assert!(long(601)[0].contains(":1: file-size: 601 lines"));
    }

    #[test]
    fn a_long_function_is_noted_and_a_longer_one_refused() {
        let long = |lines: usize| {
            let body = "    x();\n".repeat(lines - 2);
            found(format!("//! A.\nfn f(a: [u8; 4]) -> u8 {{\n{body}}}\n"))
        };
        assert!(long(60).is_empty());
        assert!(long(80)[0].contains(":2: note: function-size: `f` has 80 lines"));
        assert!(long(81)[0].contains(":2: function-size: `f` has 81 lines"));
    }

    #[test]
    fn declarations_and_function_types_have_no_size() {
        let text = "//! A.\ntrait T { fn f(&self) -> u8; }\ntype F = fn (u8) -> u8;\n";
        assert!(found(text.to_owned()).is_empty());
    }
}
