//! Tidy: the rules of the house that no compiler checks.
//!
//! In come the project's files and `cargo metadata`; out come findings, each with file and line, the rule, what was found
//! and what would be right. It changes nothing, and it judges neither formatting (rustfmt) nor code (clippy).
//! One module a group of rules: [`crates`] and [`layers`] are the table of who may know whom, [`shape`] is about sizes,
//! [`leftovers`] about what must not stay, [`names`] about apps in code, [`links`] and [`documents`] about Markdown.

mod crates;
mod documents;
mod layers;
mod leftovers;
mod links;
mod names;
mod paths;
mod shape;
mod source;
mod tree;

use std::fmt;

use anyhow::{Result, bail};

use self::source::Source;
use self::tree::Tree;
use crate::workspace::Workspace;

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Path from the root of the workspace.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What is there.
    pub found: String,
    /// What would be right.
    pub right: &'static str,
    /// Only worth a thought: it fails nothing.
    pub note: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = if self.note { "note: " } else { "" };
        let Self {
            file,
            line,
            rule,
            found,
            right,
            ..
        } = self;
        write!(out, "{file}:{line}: {grade}{rule}: {found}; {right}")
    }
}

/// Prints all findings; an error when one of them is more than a note.
pub fn run(workspace: &Workspace) -> Result<()> {
    let findings = check(workspace)?;
    for finding in &findings {
        println!("{finding}");
    }
    let grave = findings.iter().filter(|finding| !finding.note).count();
    if grave > 0 {
        bail!("tidy found {grave} to mend");
    }
    println!("tidy: nothing to mend, {} to think about", findings.len());
    Ok(())
}

/// Applies every rule to the whole workspace; ordered by file and line.
pub fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let tree = Tree::read(workspace)?;
    let mut findings = crates::check(workspace)?;
    findings.extend(documents::check(&tree));
    for file in &tree.files {
        findings.extend(leftovers::check(file));
        if file.path.ends_with(".md") {
            findings.extend(links::check(file, &tree));
        }
        if file.path.ends_with(".rs") {
            let source = Source::read(file);
            findings.extend(shape::check(&source));
            findings.extend(leftovers::check_rust(&source));
            findings.extend(layers::check(&source));
            findings.extend(names::check(&source));
        }
    }
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::workspace::Workspace;

    #[test]
    fn the_workspace_itself_is_tidy() {
        let workspace = Workspace::open().expect("this test runs inside the workspace");
        let findings = check(&workspace).expect("readable");
        let grave: Vec<String> = (findings.iter().filter(|finding| !finding.note))
            .map(ToString::to_string)
            .collect();
        assert!(grave.is_empty(), "\n{}", grave.join("\n"));
    }
}
