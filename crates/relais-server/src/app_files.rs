//! Where app files come from: the ones built into the binary, or a folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use relais_core::vocabulary::App;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../apps"]
#[include = "*.toml"]
struct BuiltIn;

/// Why the apps cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AppsError {
    /// A file or folder cannot be read.
    #[error("unable to read {path}; {reason}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// What was set is no folder that can be read.
    #[error(
        "unable to read the folder of app files {path}; {reason}; `apps_dir` (RELAIS_APPS_DIR) names a folder with *.toml files"
    )]
    Folder {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// Mistakes in app files, with file, line and column, one a line.
    #[error("{0}")]
    Mistakes(String),
    /// Nothing to serve.
    #[error("there is no app file in {0}")]
    None(String),
    /// Two files say the same name.
    #[error("two app files say that they are `{0}`")]
    Twice(String),
    /// The app that was asked for is not there.
    #[error(
        "there is no app `{name}`; the apps are: {known}; those of a folder are served with --apps-dir or RELAIS_APPS_DIR"
    )]
    Unknown {
        /// As set.
        name: String,
        /// All names.
        known: String,
    },
}

/// All apps of a folder, or the built-in ones, in the order of their names.
pub fn load(folder: Option<&Path>) -> Result<Vec<App>, AppsError> {
    let texts = match folder {
        Some(folder) => from_folder(folder)?,
        None => built_in(),
    };
    let mut apps: Vec<App> = Vec::new();
    let mut mistakes = Vec::new();
    for (file, text) in &texts {
        match App::parse(file, text) {
            Ok(app) if apps.iter().any(|other| other.name == app.name) => {
                return Err(AppsError::Twice(app.name.to_string()));
            }
            Ok(app) => {
                for warning in &app.warnings {
                    tracing::warn!("{warning}");
                }
                apps.push(app);
            }
            Err(error) => mistakes.push(error.to_string()),
        }
    }
    match (mistakes.is_empty(), apps.is_empty()) {
        (false, _) => Err(AppsError::Mistakes(mistakes.join("\n"))),
        (true, true) => Err(AppsError::None(folder.map_or_else(
            || "the binary".to_owned(),
            |folder| folder.display().to_string(),
        ))),
        (true, false) => Ok(apps),
    }
}

/// The app for the root: as set, else the first that wants it, else the only one.
pub fn root(wanted: Option<&str>, apps: &[Arc<App>]) -> Result<Option<Arc<str>>, AppsError> {
    let found = match wanted {
        None => apps.iter().find(|app| app.root || apps.len() == 1),
        Some(wanted) => {
            let named = apps.iter().find(|app| *app.name == *wanted);
            let names = apps.iter().map(|app| &*app.name);
            Some(named.ok_or_else(|| no_such_app(wanted, names))?)
        }
    };
    Ok(found.map(|app| app.name.clone()))
}

/// What is said of an app that is not there.
pub fn no_such_app<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> AppsError {
    let known: Vec<&str> = known.collect();
    AppsError::Unknown {
        name: name.to_owned(),
        known: known.join(", "),
    }
}

/// Reads one app file.
pub fn read(path: &Path) -> Result<String, AppsError> {
    fs::read_to_string(path).map_err(|error| AppsError::Read {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

fn from_folder(folder: &Path) -> Result<Vec<(String, String)>, AppsError> {
    let unreadable = |error: std::io::Error| AppsError::Folder {
        path: folder.display().to_string(),
        reason: error.to_string(),
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| Ok((path.display().to_string(), read(&path)?)))
        .collect()
}

fn built_in() -> Vec<(String, String)> {
    let mut names: Vec<_> = BuiltIn::iter().collect();
    names.sort();
    let text = |name: &str| {
        BuiltIn::get(name).map(|file| String::from_utf8_lossy(&file.data).into_owned())
    };
    names
        .iter()
        .filter_map(|name| Some((name.to_string(), text(name)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_where_the_folder_of_app_files_should_be_names_the_setting() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = load(Some(&file)).expect_err("no folder").to_string();
        assert!(
            error.contains("Not a directory") && error.contains("RELAIS_APPS_DIR"),
            "{error}"
        );
    }

    #[test]
    fn who_asks_for_an_app_that_is_not_there_is_told_those_that_are_and_where_others_come_from() {
        let apps = load(None).expect("built in");
        assert_eq!(
            no_such_app("quiz", apps.iter().map(|app| &*app.name)).to_string(),
            "there is no app `quiz`; the apps are: bam, classroom, stories, studio, wedding; those of a folder are served with --apps-dir or RELAIS_APPS_DIR"
        );
    }
}
