//! No app in the code: what an application says is its file's business, so no crate may name one, tests aside.

use super::Finding;
use super::source::Source;

/// The apps whose files are in `apps/`.
const APPS: [&str; 5] = ["bam", "wedding", "classroom", "stories", "studio"];

/// The table of settings: environment variables keep the names that teams already use.
const SETTINGS: &str = "crates/relais-server/src/settings/table.rs";

/// Looks for an app's name as a word of code or of a string; comments may give examples.
pub fn check(source: &Source<'_>) -> Vec<Finding> {
    if !source.file.path.starts_with("crates/") || source.file.path == SETTINGS {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for layer in [&source.code, &source.strings] {
        for (at, word) in words(layer) {
            if APPS.contains(&word.to_ascii_lowercase().as_str()) && !source.in_test(at) {
                findings.push(Finding {
                    file: source.file.path.clone(),
                    line: source.line(at),
                    rule: "app-in-code",
                    found: format!("`{word}`"),
                    right: "say it in apps/*.toml; a crate serves every app alike",
                    note: false,
                });
            }
        }
    }
    findings
}

/// Words with their places; `joinBam`, `join_bam` and `join-bam` are two words each.
fn words(text: &str) -> Vec<(usize, &str)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut start = None;
    for at in 0..=bytes.len() {
        let byte = bytes.get(at).copied().unwrap_or(b' ');
        let hump = at > 0 && byte.is_ascii_uppercase() && bytes[at - 1].is_ascii_lowercase();
        if let Some(from) = start
            && (hump || !byte.is_ascii_alphanumeric())
        {
            found.push((from, &text[from..at]));
            start = None;
        }
        if start.is_none() && byte.is_ascii_alphanumeric() {
            start = Some(at);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::source::Source;
    use crate::tidy::tree::File;

    fn found(path: &str, text: &str) -> usize {
        let (path, text) = (path.to_owned(), text.to_owned());
        let file = File { path, text };
        check(&Source::read(&file)).len()
    }

    #[test]
    fn an_app_s_name_is_found_in_code_and_strings_but_not_in_comments_or_parts_of_words() {
        let path = "crates/relais-server/src/a.rs";
        assert_eq!(found(path, "let bam_id = \"join-bam\";"), 2);
        assert_eq!(found(path, "fn joinBam() {}"), 1);
        assert_eq!(found(path, "// such as bam\nlet bambi = 1;"), 0);
    }

    #[test]
    fn tests_and_other_folders_may_name_apps() {
        assert_eq!(found("crates/relais-server/tests/a.rs", "\"bam\""), 0);
        assert_eq!(found("xtask/src/a.rs", "\"bam\""), 0);
        let text = "#[cfg(test)]\nmod tests { const APP: &str = \"bam\"; }";
        assert_eq!(found("crates/relais-server/src/a.rs", text), 0);
    }
}
