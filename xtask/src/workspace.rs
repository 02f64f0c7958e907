//! Where the workspace is, what cargo says about it, and how a program is called in it.
//!
//! Comes in: the folder that this crate was compiled from. Goes out: paths, `cargo metadata`, and commands that run at the
//! root without a terminal on their standard input. It does not decide what to run.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// The workspace that this program belongs to.
pub struct Workspace {
    /// Its folder.
    pub root: PathBuf,
    /// `cargo metadata --no-deps`.
    pub metadata: Value,
}

impl Workspace {
    /// Finds it and asks cargo about it.
    pub fn open() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask has no parent folder")?
            .to_path_buf();
        let output = Command::new(cargo())
            .args([
                "metadata",
                "--no-deps",
                "--offline",
                "--format-version",
                "1",
            ])
            .current_dir(&root)
            .stdin(Stdio::null())
            .output()
            .context("unable to start cargo")?;
        ensure!(
            output.status.success(),
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        Ok(Self { root, metadata })
    }

    /// Where cargo puts what it builds, `CARGO_TARGET_DIR` respected.
    pub fn target(&self) -> Result<PathBuf> {
        let folder = self.metadata["target_directory"].as_str();
        Ok(PathBuf::from(folder.context("no target_directory")?))
    }

    /// A program to be called at the root, with nothing to read from.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// The same cargo that called us.
    pub fn cargo(&self) -> Command {
        self.command(cargo())
    }
}

fn cargo() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs a command with its output shown; an error names the command as one could type it.
pub fn call(command: &mut Command) -> Result<()> {
    let text = shown(command);
    let status = command
        .status()
        .with_context(|| format!("unable to start `{text}`"))?;
    if !status.success() {
        bail!("`{text}` failed ({status})");
    }
    Ok(())
}

/// The command's standard output when it starts and succeeds.
pub fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The command as one could type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
