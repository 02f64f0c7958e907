//! `cargo xtask test`: every check of the project, in the order in which a mistake is cheapest to see.

use anyhow::Result;

use crate::steps::Steps;
use crate::workspace::{Workspace, call};
use crate::{conformance, tidy, tools};

/// Runs them all; with `fast`, what takes longest is left out: doc tests, the load generator and conformance.
pub fn all(workspace: &Workspace, fast: bool) -> Result<()> {
    let mut steps = Steps::new();
    if !steps.run("toolchain", || tools::toolchain(workspace)) {
        // Another compiler formats, warns and fails differently: nothing below would mean anything.
        return steps.finish();
    }
    steps.run("fmt", || {
        call(workspace.cargo().args(["fmt", "--all", "--check"]))
    });
    steps.run("clippy", || {
        call(workspace.cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    });
    steps.run("tidy", || tidy::run(workspace));
    steps.run("unit and contract tests", || {
        tools::nextest(workspace)?;
        call(
            workspace
                .cargo()
                .args(["nextest", "run", "--workspace", "--no-fail-fast"]),
        )
    });
    if !fast {
        steps.run("doc tests", || {
            call(
                workspace
                    .cargo()
                    .args(["test", "--doc", "--workspace", "--quiet"]),
            )
        });
        steps.run("load generator", || load_generator(workspace));
        steps.run("conformance", || conformance::run(workspace, false, &[]));
    }
    steps.finish()
}

/// bench/ is a workspace of its own, whose other member is a server to compare with: only what is ours is checked.
fn load_generator(workspace: &Workspace) -> Result<()> {
    let cargo = |task: &[&str], rest: &[&str]| {
        let mut command = workspace.cargo();
        command.args(task);
        command.args([
            "--manifest-path",
            "bench/Cargo.toml",
            "--package",
            "loadgen",
        ]);
        call(command.args(rest))
    };
    cargo(&["fmt"], &["--check"])?;
    cargo(
        &["clippy", "--quiet", "--all-targets"],
        &["--", "-D", "warnings"],
    )?;
    cargo(&["test", "--quiet"], &[])
}
