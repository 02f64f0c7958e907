//! The programs that checks need from outside: is it there, is it new enough, and if not, get it or say how.
//!
//! As root on a Debian-like system a missing package is installed with apt-get; anybody else is told the exact command.
//! Nothing is installed twice.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace::{Workspace, answer, call};

/// Compiler, formatter and linter are the ones that `rust-toolchain.toml` names.
pub fn toolchain(workspace: &Workspace) -> Result<()> {
    let path = workspace.root.join("rust-toolchain.toml");
    let text = std::fs::read_to_string(&path).context("rust-toolchain.toml")?;
    let channel = pinned_channel(&text).context("rust-toolchain.toml names no channel")?;
    let rustc = answer(workspace.command("rustc").arg("--version"))
        .context("no rustc; see https://rustup.rs")?;
    ensure!(
        rustc.split(' ').nth(1) == Some(channel),
        "this is `{rustc}`, the workspace is pinned to {channel}; run `rustup toolchain install {channel}`"
    );
    println!("{rustc}");
    for component in ["fmt", "clippy"] {
        if answer(workspace.cargo().args([component, "--version"])).is_none() {
            call(workspace.command("rustup").args([
                "component",
                "add",
                "--toolchain",
                channel,
                if component == "fmt" {
                    "rustfmt"
                } else {
                    component
                },
            ]))?;
        }
    }
    Ok(())
}

fn pinned_channel(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("channel"))?;
    line.split('"').nth(1)
}

/// cargo-nextest, the test runner.
pub fn nextest(workspace: &Workspace) -> Result<()> {
    if answer(workspace.cargo().args(["nextest", "--version"])).is_some() {
        return Ok(());
    }
    call(
        workspace
            .cargo()
            .args(["install", "--locked", "cargo-nextest"]),
    )
}

/// Node.js 20 or newer, with npm.
pub fn node(workspace: &Workspace) -> Result<()> {
    if answer(workspace.command("node").arg("--version")).is_none() {
        install(workspace, &["nodejs", "npm"])?;
    } else if answer(workspace.command("npm").arg("--version")).is_none() {
        install(workspace, &["npm"])?;
    }
    let version = answer(workspace.command("node").arg("--version")).context("no node")?;
    let major = version.trim_start_matches('v').split('.').next();
    let major: u32 = major
        .and_then(|text| text.parse().ok())
        .context("node's version")?;
    ensure!(
        major >= 20,
        "this is node {version}, the conformance tests need 20 or newer; see https://nodejs.org"
    );
    Ok(())
}

/// Python 3 that can make virtual environments.
pub fn python(workspace: &Workspace) -> Result<()> {
    let ready = || {
        answer(
            workspace
                .command("python3")
                .args(["-c", "import ensurepip, venv"]),
        )
    };
    if ready().is_some() {
        return Ok(());
    }
    install(workspace, &["python3", "python3-venv"])?;
    ensure!(
        ready().is_some(),
        "python3 is there, its modules venv and ensurepip are not"
    );
    Ok(())
}

fn install(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    let root = answer(workspace.command("id").arg("-u")).as_deref() == Some("0");
    let apt = answer(workspace.command("apt-get").arg("--version")).is_some();
    if !root || !apt {
        bail!("{names} is missing; run `sudo apt-get install -y {names}`");
    }
    let install = || {
        let mut command = apt_get(workspace);
        command
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages);
        command
    };
    // A fresh machine has no package lists yet; a machine that has them needs no update.
    if call(&mut install()).is_err() {
        call(apt_get(workspace).arg("update"))?;
        call(&mut install())?;
    }
    Ok(())
}

fn apt_get(workspace: &Workspace) -> Command {
    let mut command = workspace.command("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::pinned_channel;

    #[test]
    fn the_pinned_channel_is_read_from_the_toolchain_file() {
        let text = "[toolchain]\nchannel = \"1.95.0\"\ncomponents = [\"clippy\"]\n";
        assert_eq!(pinned_channel(text), Some("1.95.0"));
        assert_eq!(pinned_channel("[toolchain]\n"), None);
    }
}
