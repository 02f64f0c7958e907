//! Links between our own documents: the file is there, and so is the heading.

use super::Finding;
use super::tree::{File, Tree};

/// Checks one Markdown file; addresses of the web are not visited.
pub fn check(file: &File, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, target) in links(&file.text) {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let Some(path) = resolve(&file.path, path) else {
            continue;
        };
        let linked = tree.files.iter().find(|other| other.path == path);
        let lost = !tree.paths.contains(&path)
            || linked.is_some_and(|other| !heading.is_empty() && !has_heading(other, heading));
        if lost {
            findings.push(Finding {
                file: file.path.clone(),
                line,
                rule: "link",
                found: format!("`{target}` leads nowhere"),
                right: "link to a file and heading that exist",
                note: false,
            });
        }
    }
    findings
}

/// Targets of `[text](target)` with their lines, fenced blocks and code spans left out, and the web too.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let in_code = line[..at].matches('`').count() % 2 == 1;
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !in_code && !elsewhere {
                found.push((index + 1, target));
            }
        }
    }
    found
}

/// The target's path from the root; `None` where it leads out of the project.
fn resolve(from: &str, target: &str) -> Option<String> {
    if target.is_empty() {
        return Some(from.to_owned());
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn has_heading(file: &File, wanted: &str) -> bool {
    !file.path.ends_with(".md")
        || (file.text.lines())
            .filter(|line| line.starts_with('#'))
            .any(|line| slug(line.trim_start_matches('#')) == wanted)
}

/// A heading as the anchor that the usual renderers make of it.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Tree, check};

    fn found(text: &str) -> Vec<String> {
        let mut tree = Tree {
            files: Vec::new(),
            paths: BTreeSet::new(),
        };
        tree.add("docs/A.md".to_owned(), text.as_bytes().to_vec());
        tree.add("docs/B.md".to_owned(), b"# The way\n".to_vec());
        tree.add("README.md".to_owned(), Vec::new());
        let findings = check(&tree.files[0], &tree);
        findings
            .iter()
            .map(|f| format!("{}:{}", f.line, f.found))
            .collect()
    }

    #[test]
    fn a_link_to_a_file_or_heading_that_is_not_there_is_found() {
        let text = "[b](B.md) [b](B.md#the-way) [r](../README.md) [d](../docs)\n\n[c](C.md) [b](B.md#the-end)\n";
        assert_eq!(
            found(text),
            ["3:`C.md` leads nowhere", "3:`B.md#the-end` leads nowhere"]
        );
    }

    #[test]
    fn code_and_the_web_are_no_links_of_ours() {
        let text = "`[a](b)` [w](https://example.org/x)\n```\n[a](b)\n```\n";
        assert!(found(text).is_empty());
    }
}
