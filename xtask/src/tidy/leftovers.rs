//! What must not stay behind: work to be done later, tests that do not run, paths of one machine, registry hosts.
//!
//! The words that it looks for are put together here, so that this file does not find itself.

use super::Finding;
use super::source::{Source, is_word};
use super::tree::File;

/// Where programs live, in whose comments a promise to finish later would stand.
const PROGRAMS: [&str; 9] = [
    ".rs", ".toml", ".js", ".mjs", ".ts", ".tsx", ".py", ".sql", ".sh",
];
const LATER: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
const NOT_RUN: [&str; 6] = [
    "test.skip",
    "it.skip",
    "describe.skip",
    "test.only",
    "it.only",
    "describe.only",
];
/// First folders of absolute paths that exist on somebody's machine.
const MACHINE: [&str; 5] = ["home", "root", "tmp", "work", "Users"];

/// Checks the text of any file.
pub fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let program = PROGRAMS.iter().any(|end| file.path.ends_with(end));
    let lock_file = file.path.ends_with("package-lock.json");
    for (index, line) in file.text.lines().enumerate() {
        let mut add = |rule, found: &str, right| {
            findings.push(Finding {
                file: file.path.clone(),
                line: index + 1,
                rule,
                found: format!("`{found}`"),
                right,
                note: false,
            });
        };
        if program && let Some(word) = LATER.iter().find(|word| has_word(line, word)) {
            add("leftover", word, "finish it or take it out");
        }
        if !file.path.ends_with(".rs")
            && program
            && let Some(call) = NOT_RUN.iter().find(|call| has_word(line, call))
        {
            add("leftover", call, "let the test run or take it out");
        }
        if let Some(path) = machine_path(line, file.is_test()) {
            let right =
                "take the path from a setting, the repository or the system's temporary folder";
            add("machine-path", path, right);
        }
        if lock_file && line.contains("\"resolved\": \"http") {
            let right = "write the file with omit-lockfile-registry-resolved=true, so that any registry can serve it";
            add("registry-host", "resolved", right);
        }
    }
    findings
}

/// Checks the code of a Rust file.
pub fn check_rust(source: &Source<'_>) -> Vec<Finding> {
    let forbidden = [
        (concat!("to", "do!("), "write it"),
        (concat!("unimpl", "emented!("), "write it"),
        ("#[ignore", "let the test run or take it out"),
    ];
    let found = forbidden.iter().flat_map(|&(what, right)| {
        source.code.match_indices(what).map(move |(at, _)| Finding {
            file: source.file.path.clone(),
            line: source.line(at),
            rule: "leftover",
            found: format!("`{what}`"),
            right,
            note: false,
        })
    });
    found.collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let bytes = line.as_bytes();
        let before = at > 0 && is_word(bytes[at - 1]);
        let after = bytes
            .get(at + word.len())
            .is_some_and(|&byte| is_word(byte));
        !before && !after
    })
}

/// The first absolute path into a machine's own folders. Tests may name the temporary folder.
fn machine_path(line: &str, test: bool) -> Option<&str> {
    for folder in MACHINE {
        if test && folder == "tmp" {
            continue;
        }
        let path = format!("/{folder}/");
        for (at, _) in line.match_indices(&path) {
            let before = line[..at].chars().next_back();
            // A longer path, a host's name or a relative path comes before it: not a path of the machine.
            if before.is_some_and(|c| c.is_alphanumeric() || "_-./}*~".contains(c)) {
                continue;
            }
            let rest = &line[at..];
            let end = rest.find(|c: char| c.is_whitespace() || "\"'`)<>,;".contains(c));
            return Some(&rest[..end.unwrap_or(rest.len())]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{check, check_rust};
    use crate::tidy::source::Source;
    use crate::tidy::tree::File;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let mut findings = check(&file);
        if path.ends_with(".rs") {
            findings.extend(check_rust(&Source::read(&file)));
        }
        findings
            .iter()
            .map(|f| format!("{}:{}", f.line, f.found))
            .collect()
    }

    #[test]
    fn a_promise_to_finish_later_is_found_as_a_word() {
        let later = concat!("TO", "DO");
        assert_eq!(
            found("a.mjs", &format!("x\n// {later}: y\n")),
            [format!("2:`{later}`")]
        );
        assert!(found("a.mjs", &format!("const {later}S = 1\n")).is_empty());
        assert!(found("a.md", &format!("no {later} stays\n")).is_empty());
    }

    #[test]
    fn a_test_that_does_not_run_is_found() {
        assert_eq!(found("a.rs", "#[test]\n#[ignore]\nfn f() {}\n").len(), 1);
        assert!(found("a.rs", "// about #[ignore]\n").is_empty());
        let skipped = concat!("test", ".skip");
        assert_eq!(found("a.mjs", &format!("{skipped}('x')\n")).len(), 1);
    }

    #[test]
    fn a_path_of_one_machine_is_found_and_an_address_is_none() {
        let path = format!("/{}/me/x", "home");
        assert_eq!(
            found("a.md", &format!("see `{path}`\n")),
            [format!("1:`{path}`")]
        );
        assert!(found("a.md", &format!("https://example.org{path}\n")).is_empty());
        assert!(found("a.md", &format!("..{path}\n")).is_empty());
    }

    #[test]
    fn tests_may_name_the_temporary_folder() {
        let path = format!("\"/{}/x\"\n", "tmp");
        assert!(found("crates/a/tests/b.rs", &path).is_empty());
        assert_eq!(found("crates/a/src/b.rs", &path).len(), 1);
    }

    #[test]
    fn a_lock_file_names_no_registry() {
        let text = "{\n \"resolved\": \"https://registry.example/a.tgz\"\n}\n";
        assert_eq!(found("clients/package-lock.json", text), ["2:`resolved`"]);
        assert!(found("clients/package.json", text).is_empty());
    }
}
