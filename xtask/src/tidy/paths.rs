//! The paths that a Rust file names: `use` trees unfolded, `self` and `super` resolved to the crate's root.

use super::source::is_word;

/// A path from the crate's root, such as `["ports", "Store"]`, and the byte where it begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// Without `crate`.
    pub path: Vec<String>,
    /// Where.
    pub at: usize,
}

/// The module that a file is, by its path inside `src/`: `capability/room.rs` is `["capability", "room"]`.
pub fn module_of(file: &str) -> Vec<String> {
    let mut module: Vec<String> = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if matches!(
        module.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        module.pop();
    }
    module
}

/// Every path that begins with `crate::`, `self::` or `super::`, in `use` lines and elsewhere.
pub fn named(code: &str, module: &[String]) -> Vec<Named> {
    let mut found = Vec::new();
    for start in ["crate::", "self::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].bytes().next_back();
            let inside = before.is_some_and(|byte| is_word(byte) || byte == b':');
            if inside {
                continue;
            }
            let mut unfolded = Vec::new();
            unfold(&code[at..], &mut Vec::new(), &mut unfolded);
            for path in unfolded {
                if let Some(path) = resolve(&path, module) {
                    found.push(Named { path, at });
                }
            }
        }
    }
    found
}

/// Unfolds one tree; returns how much of the text it took.
fn unfold(text: &str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = prefix.len();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = &text[at..];
        if let Some(group) = rest.strip_prefix('{') {
            at += 1 + unfold_group(group, prefix, found);
            break;
        }
        let end = rest.bytes().position(|byte| !is_word(byte));
        let word = &rest[..end.unwrap_or(rest.len())];
        if !word.is_empty() {
            prefix.push(word.to_owned());
            at += word.len();
        }
        if text[at..].starts_with("::") && !text[at..].starts_with("::<") {
            at += 2;
        } else {
            found.push(prefix.clone());
            break;
        }
    }
    prefix.truncate(depth);
    at
}

/// Unfolds `a, b::c, …}`; returns how much it took, brace included.
fn unfold_group(text: &str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let mut at = 0;
    while at < text.len() {
        match text.as_bytes()[at] {
            b'}' => return at + 1,
            byte if is_word(byte) => {
                at += unfold(&text[at..], prefix, found);
                // What is left of the item is its new name, `as Port`.
                at += text[at..].find([',', '}']).unwrap_or(text.len() - at);
            }
            _ => at += 1,
        }
    }
    at
}

/// The path from the crate's root; `None` where `super` leads out of it.
fn resolve(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let mut resolved = module.to_vec();
    let mut rest = path;
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "crate" => resolved.clear(),
            "self" => {}
            "super" => drop(resolved.pop()?),
            _ => break,
        }
        rest = others;
    }
    resolved.extend(rest.iter().cloned());
    Some(resolved)
}

#[cfg(test)]
mod tests {
    use super::{module_of, named};

    fn paths(code: &str, file: &str) -> Vec<String> {
        let found = named(code, &module_of(file));
        found.iter().map(|named| named.path.join("::")).collect()
    }

    #[test]
    fn a_tree_is_unfolded() {
        let code = "use crate::{ids::{Id, Seq}, ports::Store as Port, error};";
        assert_eq!(
            paths(code, "a.rs"),
            ["ids::Id", "ids::Seq", "ports::Store", "error"]
        );
    }

    #[test]
    fn super_and_self_lead_from_the_file_s_own_module() {
        assert_eq!(
            paths("use super::room::Room;", "capability/message.rs"),
            ["capability::room::Room"]
        );
        assert_eq!(
            paths("use self::page::Page;", "capability/message/mod.rs"),
            ["capability::message::page::Page"]
        );
        assert_eq!(
            paths("use super::super::ids;", "capability/message.rs"),
            ["ids"]
        );
    }

    #[test]
    fn a_path_inside_an_expression_counts_too() {
        assert_eq!(
            paths("let x = crate::ports::f::<u8>(y);", "a.rs"),
            ["ports::f"]
        );
    }

    #[test]
    fn a_file_is_a_module_by_its_path() {
        assert_eq!(module_of("lib.rs"), Vec::<String>::new());
        assert_eq!(module_of("capability/mod.rs"), ["capability"]);
        assert_eq!(module_of("capability/room.rs"), ["capability", "room"]);
    }
}
