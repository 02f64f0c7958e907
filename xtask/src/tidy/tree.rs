//! The files that belong to the project: what git tracks or would track, read as text.
//!
//! Without git (an unpacked archive) every file counts, but for the folders that builds and installations fill.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::workspace::{Workspace, answer};

/// Folders that are never ours, wherever they are.
const FILLED_BY_TOOLS: [&str; 5] = [".git", "target", "node_modules", ".venv", "data"];

/// One text file.
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl File {
    /// Whether it only serves tests: by its folder or its name.
    pub fn is_test(&self) -> bool {
        let path = &self.path;
        let name = path.rsplit('/').next().unwrap_or(path);
        ["conformance/", "bench/", "crates/relais-testkit/"]
            .iter()
            .any(|folder| path.starts_with(folder))
            || path.contains("/tests/")
            || path.contains("/fuzz/")
            || name == "tests.rs"
            || name.ends_with("_tests.rs")
            || name.contains(".test.")
    }
}

/// All of them.
pub struct Tree {
    /// Text files, by path.
    pub files: Vec<File>,
    /// Every path, folders and binary files too, for links.
    pub paths: BTreeSet<String>,
}

impl Tree {
    /// Reads the workspace.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let listed = answer(workspace.command("git").args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]));
        let names = match listed {
            Some(text) => text.lines().map(str::to_owned).collect(),
            None => walk(&workspace.root, "")?,
        };
        let mut tree = Self {
            files: Vec::new(),
            paths: BTreeSet::new(),
        };
        for path in names {
            // A file that git still knows and that is gone from the disk is no file of the project.
            let Ok(bytes) = fs::read(workspace.root.join(&path)) else {
                continue;
            };
            tree.add(path, bytes);
        }
        Ok(tree)
    }

    /// Adds one file, and the folders it is in to the paths.
    pub fn add(&mut self, path: String, bytes: Vec<u8>) {
        for (end, _) in path.match_indices('/') {
            self.paths.insert(path[..end].to_owned());
        }
        self.paths.insert(path.clone());
        if let Ok(text) = String::from_utf8(bytes) {
            self.files.push(File { path, text });
        }
    }
}

fn walk(root: &Path, folder: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(folder)).with_context(|| folder.to_owned())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}{name}");
        if !entry.file_type()?.is_dir() {
            found.push(path);
        } else if !FILLED_BY_TOOLS.contains(&name.as_str()) {
            found.extend(walk(root, &format!("{path}/"))?);
        }
    }
    Ok(found)
}
