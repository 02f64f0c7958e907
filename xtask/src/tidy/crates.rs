//! Which crate may know which: the table, held against what `cargo metadata` says.
//!
//! Two halves: our crates among themselves, and the outside crates that one of ours walls off.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Finding;
use crate::workspace::Workspace;

/// Our crates, and which of ours each may depend on. Tests may use the testkit besides.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("relais-protocol", &[]),
    ("relais-engine", &["relais-protocol"]),
    ("relais-core", &[]),
    ("relais-store", &["relais-core"]),
    ("relais-memory", &[]),
    ("relais-painter", &[]),
    ("relais-cluster", &["relais-core"]),
    (
        "relais-server",
        &[
            "relais-protocol",
            "relais-engine",
            "relais-core",
            "relais-store",
            "relais-memory",
            "relais-painter",
            "relais-cluster",
        ],
    ),
    (
        "relais-testkit",
        &[
            "relais-protocol",
            "relais-engine",
            "relais-core",
            "relais-store",
            "relais-cluster",
        ],
    ),
    ("xtask", &[]),
];

/// For tests only.
const TEST_ONLY: &str = "relais-testkit";

/// Outside crates, and the only crates of ours that may depend on them (their tests aside).
const WALLED_OFF: &[(&str, &[&str])] = &[
    ("rusqlite", &["relais-store"]),
    ("sqlx", &["relais-store"]),
    ("redis", &["relais-cluster"]),
    ("axum", &["relais-server"]),
    ("mimalloc", &["relais-memory"]),
    ("image", &["relais-painter", "relais-server"]),
    ("libmimalloc-sys", &["relais-memory"]),
    ("jsonwebtoken", &["relais-server"]),
    ("jsonschema", &["relais-core"]),
    ("hyper", &["relais-engine", "relais-server"]),
    (
        "tokio",
        &[
            "relais-engine",
            "relais-store",
            "relais-cluster",
            "relais-server",
            "relais-testkit",
        ],
    ),
];

/// Checks every package of the workspace.
pub fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let packages = workspace.metadata["packages"].as_array();
    let mut findings = Vec::new();
    for package in packages.context("cargo metadata has no packages")? {
        let manifest = package["manifest_path"].as_str().context("no manifest")?;
        let text = fs::read_to_string(manifest).with_context(|| manifest.to_owned())?;
        let root = format!("{}/", workspace.root.display());
        let file = manifest.strip_prefix(&root).unwrap_or(manifest);
        findings.extend(check_package(package, file, &text));
    }
    Ok(findings)
}

fn check_package(package: &Value, file: &str, manifest: &str) -> Vec<Finding> {
    let name = package["name"].as_str().unwrap_or_default();
    let finding = |line, found, right| Finding {
        file: file.to_owned(),
        line,
        rule: "who-may-know-whom",
        found,
        right,
        note: false,
    };
    let Some(&(_, known)) = MAY_KNOW.iter().find(|(ours, _)| *ours == name) else {
        let found = format!("{name} has no place in the table");
        let right = "add it to MAY_KNOW in xtask/src/tidy/crates.rs and to ARCHITECTURE.md";
        return vec![finding(1, found, right)];
    };
    let mut findings = Vec::new();
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let other = dependency["name"].as_str().unwrap_or_default();
        let for_tests = dependency["kind"].as_str() == Some("dev");
        let line = line_of(manifest, other);
        if MAY_KNOW.iter().any(|(ours, _)| *ours == other) {
            let may = known.contains(&other) || (for_tests && other == TEST_ONLY);
            if !may {
                let found = format!("{name} depends on {other}");
                let right = "knowledge points one way; define a port in relais-core, or move the code to the crate that may know both";
                findings.push(finding(line, found, right));
            }
        } else if let Some((_, allowed)) = WALLED_OFF.iter().find(|(walled, _)| *walled == other)
            && !for_tests
            && !allowed.contains(&name)
        {
            let found = format!("{name} depends on {other}, which {allowed:?} wall off");
            let right = "go through the crate that owns it";
            findings.push(finding(line, found, right));
        }
    }
    findings
}

/// The line of the manifest that names a dependency.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let found = manifest.lines().position(|line| {
        let rest = line.trim_start_matches('"').strip_prefix(dependency);
        rest.is_some_and(|rest| rest.starts_with([' ', '.', '=', '"']))
    });
    found.map_or(1, |line| line + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check_package;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<Value> = (dependencies.iter())
            .map(|(name, kind)| json!({ "name": name, "kind": kind }))
            .collect();
        json!({ "name": name, "dependencies": dependencies })
    }

    #[test]
    fn a_crate_that_knows_more_than_it_may_is_found_at_its_line() {
        let package = package("relais-core", &[("serde", None), ("relais-store", None)]);
        let manifest = "[dependencies]\nserde.workspace = true\nrelais-store.workspace = true\n";
        let findings = check_package(&package, "Cargo.toml", manifest);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 3);
        assert_eq!(findings[0].found, "relais-core depends on relais-store");
    }

    #[test]
    fn a_wall_may_be_crossed_by_its_owner_and_by_tests_only() {
        let found = |name: &str, kind| {
            check_package(&package(name, &[("tokio", kind)]), "Cargo.toml", "").len()
        };
        assert_eq!(found("relais-core", None), 1);
        assert_eq!(found("relais-core", Some("dev")), 0);
        assert_eq!(found("relais-engine", None), 0);
    }

    #[test]
    fn only_tests_may_use_the_testkit() {
        let found = |kind| {
            let package = package("relais-server", &[("relais-testkit", kind)]);
            check_package(&package, "Cargo.toml", "").len()
        };
        assert_eq!(found(None), 1);
        assert_eq!(found(Some("dev")), 0);
    }

    #[test]
    fn a_crate_without_a_place_in_the_table_is_found() {
        let findings = check_package(&package("relais-magic", &[]), "Cargo.toml", "");
        assert_eq!(findings[0].found, "relais-magic has no place in the table");
    }
}
