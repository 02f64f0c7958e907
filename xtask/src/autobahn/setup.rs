//! The Autobahn suite in a folder of its own, without docker and without root: CPython 2.7 out of Debian 11's packages, the suite
//! and its libraries from PyPI.
//!
//! In: `conformance/autobahn/debian.sha256` and `requirements.txt`, which name every file with its hash. Out: a [`Suite`] that can be called.
//! Nothing is installed on the machine. What is there already is kept until one of the two files changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::tools;
use crate::workspace::{Workspace, answer, call};

/// Where Debian keeps what its mirrors have dropped.
const ARCHIVE: &str = "http://archive.debian.org/debian";
/// What a wheel for CPython 2.7 is called.
const FOR_PYTHON_2: [&str; 10] = [
    "--python-version",
    "27",
    "--implementation",
    "cp",
    "--abi",
    "cp27mu",
    "--platform",
    "manylinux2010_x86_64",
    "--platform",
    "manylinux1_x86_64",
];
/// Packages that exist as source only; they are pure Python, and their folder is the package.
const SOURCES: [&str; 2] = ["autobahn", "txaio"];

/// The suite, unpacked.
pub struct Suite {
    folder: PathBuf,
}

impl Suite {
    /// Fetches and unpacks it, unless it is there.
    pub fn set_up(workspace: &Workspace) -> Result<Self> {
        let suite = Self {
            folder: workspace.target()?.join("autobahn"),
        };
        let pins = workspace.root.join("conformance/autobahn");
        let read = |name: &str| {
            fs::read_to_string(pins.join(name)).with_context(|| format!("{name} of the suite"))
        };
        let debian = read("debian.sha256")?;
        let wanted = format!("{debian}{}", read("requirements.txt")?);
        let stamp = suite.folder.join(".installed-from");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(suite);
        }
        if suite.folder.exists() {
            fs::remove_dir_all(&suite.folder).context("the suite of before")?;
        }
        suite.install_python(workspace, &debian)?;
        suite.install_packages(workspace, &pins.join("requirements.txt"))?;
        fs::write(&stamp, wanted).context("the stamp of the suite")?;
        Ok(suite)
    }

    /// `wstest` with these arguments, which writes to `log` what it has to say.
    pub fn wstest(&self, workspace: &Workspace, arguments: &[&str], log: &Path) -> Result<()> {
        let root = self.folder.join("root/usr");
        let mut wstest = workspace.command(root.join("bin/python2.7"));
        let run = "from autobahntestsuite.wstest import run; run()";
        wstest
            .args(["-c", run])
            .args(arguments)
            .env("LD_LIBRARY_PATH", root.join("lib/x86_64-linux-gnu"))
            .env("PYTHONHOME", &root)
            .env("PYTHONPATH", self.folder.join("site"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let output = fs::File::create(log).with_context(|| log.display().to_string())?;
        wstest.stderr(output.try_clone()?).stdout(output);
        call(&mut wstest).with_context(|| format!("see {}", log.display()))
    }

    /// A folder beside the suite.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn install_python(&self, workspace: &Workspace, packages: &str) -> Result<()> {
        for tool in ["curl", "dpkg-deb", "sha256sum", "tar"] {
            ensure!(
                answer(workspace.command(tool).arg("--version")).is_some(),
                "{tool} is missing; the suite is set up on Linux with Debian's tools"
            );
        }
        ensure!(
            cfg!(target_arch = "x86_64"),
            "the suite's packages are pinned for x86-64"
        );
        let debs = self.made("debs")?;
        let root = self.made("root")?;
        let mirrors = mirrors(workspace);
        for line in packages.lines() {
            let (hash, path) = line.split_once("  ").context("debian.sha256")?;
            let name = path.rsplit('/').next().unwrap_or(path);
            fetch(workspace, &mirrors, path, &debs.join(name))?;
            fs::write(debs.join("expected"), format!("{hash}  {name}\n"))?;
            let mut check = workspace.command("sha256sum");
            check.current_dir(&debs).args(["--check", "--quiet"]);
            call(check.arg("expected"))?;
            let mut unpack = workspace.command("dpkg-deb");
            call(unpack.arg("--extract").arg(debs.join(name)).arg(&root))?;
        }
        Ok(())
    }

    fn install_packages(&self, workspace: &Workspace, requirements: &Path) -> Result<()> {
        tools::python(workspace)?;
        let venv = self.folder.join("venv");
        let mut make = workspace.command("python3");
        call(make.args(["-m", "venv"]).arg(&venv))?;
        let python = venv.join("bin/python");
        let (wheels, site) = (self.made("wheels")?, self.made("site")?);
        let mut pip = workspace.command(&python);
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--require-hashes"])
            .args(["--only-binary=:all:", "--no-binary"])
            .arg(SOURCES.join(","))
            .args(FOR_PYTHON_2)
            .arg("--dest")
            .arg(&wheels)
            .arg("--requirement");
        call(pip.arg(requirements))?;
        for file in fs::read_dir(&wheels)? {
            let file = file?.path();
            call(&mut unpacker(workspace, &python, &file, &site)?)?;
        }
        // A namespace package whose marker pip would make.
        fs::write(site.join("zope/__init__.py"), "").context("site/zope")
    }

    fn made(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }
}

/// The command that unpacks a wheel, or the package of a source archive, into a folder.
fn unpacker(workspace: &Workspace, python: &Path, file: &Path, to: &Path) -> Result<Command> {
    let name = (file.file_name().and_then(|name| name.to_str())).context("a file without name")?;
    if name.ends_with(".whl") {
        let mut unpack = workspace.command(python);
        unpack.args(["-m", "zipfile", "-e"]).arg(file).arg(to);
        return Ok(unpack);
    }
    let Some(folder) = name.strip_suffix(".tar.gz") else {
        bail!("{name} is neither a wheel nor a source archive");
    };
    let package = folder.split('-').next().unwrap_or(folder);
    let mut unpack = workspace.command("tar");
    unpack.args(["--extract", "--gzip", "--strip-components=1", "--file"]);
    unpack.arg(file).arg("--directory").arg(to);
    unpack.arg(format!("{folder}/{package}"));
    Ok(unpack)
}

/// Where Debian's packages may be: the mirrors that apt is set up with, and the archive for the day on which they drop Debian 11.
fn mirrors(workspace: &Workspace) -> Vec<String> {
    let mut apt = workspace.command("apt-get");
    apt.args(["indextargets", "--format", "$(SITE)"]);
    let sites = answer(apt.arg("Created-By: Packages")).unwrap_or_default();
    let mut mirrors = debian_mirrors(&sites);
    mirrors.push(ARCHIVE.to_owned());
    mirrors
}

/// Those of apt's sites that are Debian itself, each once.
fn debian_mirrors(sites: &str) -> Vec<String> {
    let mut mirrors: Vec<String> = (sites.lines())
        .map(|site| site.trim_end_matches('/').to_owned())
        .filter(|site| site.starts_with("http") && site.ends_with("/debian"))
        .collect();
    mirrors.dedup();
    mirrors
}

/// Fetches a file from the first mirror that has it.
fn fetch(workspace: &Workspace, mirrors: &[String], path: &str, to: &Path) -> Result<()> {
    for mirror in mirrors {
        let mut curl = workspace.command("curl");
        curl.args(["--fail", "--silent", "--show-error", "--location"]);
        curl.args(["--retry", "3", "--output"]).arg(to);
        if call(curl.arg(format!("{mirror}/{path}"))).is_ok() {
            return Ok(());
        }
    }
    bail!("no mirror of Debian has {path}")
}

#[cfg(test)]
mod tests {
    use super::debian_mirrors;

    #[test]
    fn the_mirrors_are_those_of_debian_itself() {
        let sites = "http://deb.example.org/debian\nhttp://deb.example.org/debian\n\
                     http://deb.example.org/debian-security\nhttps://deb.example.com/node_20.x\n";
        assert_eq!(debian_mirrors(sites), ["http://deb.example.org/debian"]);
    }
}
