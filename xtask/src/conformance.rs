//! Black-box tests: builds what is tested, installs the clients that test it, and calls `conformance/run.mjs`.
//!
//! The runner gets `--bin PATH` (the server), `--engine-example PATH` (the engine's example `conformance`) and
//! `--python PATH` (an interpreter with `conformance/requirements.txt` installed). What is tested is decided over there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::tools;
use crate::workspace::{Workspace, call};

/// Builds, installs, runs. `reference` asks the runner to test the reference server instead of ours.
pub fn run(workspace: &Workspace, reference: bool, arguments: &[String]) -> Result<()> {
    let folder = workspace.root.join("conformance");
    tools::node(workspace)?;
    install_clients(workspace, &folder)?;
    let python = install_python(workspace, &folder)?;
    call(
        workspace
            .cargo()
            .args(["build", "--package", "relais-server", "--bin", "relais"]),
    )?;
    call(workspace.cargo().args([
        "build",
        "--package",
        "relais-engine",
        "--example",
        "conformance",
    ]))?;
    let built = workspace.target()?.join("debug");
    let mut runner = workspace.command("node");
    runner
        .arg("conformance/run.mjs")
        .arg("--bin")
        .arg(built.join("relais"))
        .arg("--engine-example")
        .arg(built.join("examples/conformance"))
        .arg("--python")
        .arg(python);
    if reference {
        runner.arg("--reference");
    }
    call(runner.args(arguments))
}

/// `npm ci`, unless what is installed is what the lock file says.
fn install_clients(workspace: &Workspace, folder: &Path) -> Result<()> {
    let stamp = folder.join("node_modules/.installed-from");
    unless_installed(&folder.join("package-lock.json"), &stamp, || {
        let mut npm = workspace.command("npm");
        npm.current_dir(folder);
        call(npm.args(["ci", "--no-audit", "--no-fund"]))
    })
}

/// A virtual environment with the requirements, unless it is there; returns its interpreter.
fn install_python(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let (environment, requirements) = (folder.join(".venv"), folder.join("requirements.txt"));
    let interpreter = environment.join("bin/python");
    unless_installed(&requirements, &environment.join(".installed-from"), || {
        tools::python(workspace)?;
        let mut venv = workspace.command("python3");
        call(venv.args(["-m", "venv", "--clear"]).arg(&environment))?;
        let mut pip = workspace.command(&interpreter);
        pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
        call(pip.arg(&requirements))
    })?;
    Ok(interpreter)
}

/// Runs `install` when `stamp` is not a copy of `wanted`, and makes it one afterwards.
fn unless_installed(
    wanted: &Path,
    stamp: &Path,
    install: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let text = fs::read_to_string(wanted).with_context(|| wanted.display().to_string())?;
    if fs::read_to_string(stamp).is_ok_and(|installed| installed == text) {
        return Ok(());
    }
    install()?;
    fs::write(stamp, text).with_context(|| stamp.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::unless_installed;

    #[test]
    fn an_installation_is_repeated_only_when_its_lock_file_changed() {
        let folder = std::env::temp_dir().join(format!("relais-xtask-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("folder");
        let (wanted, stamp) = (folder.join("lock"), folder.join("stamp"));
        let mut installed = 0;
        for text in ["one", "one", "two", "two"] {
            fs::write(&wanted, text).expect("written");
            unless_installed(&wanted, &stamp, || {
                installed += 1;
                Ok(())
            })
            .expect("installed");
        }
        fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(installed, 2);
    }
}
