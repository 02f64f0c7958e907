//! Where app files come from: the ones built into the binary, or a folder.

use std::fs;
use std::path::Path;

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
    /// Mistakes in app files, with file, line and column, one a line.
    #[error("{0}")]
    Mistakes(String),
    /// Nothing to serve.
    #[error("there is no app file in {0}")]
    None(String),
    /// Two files say the same name.
    #[error("two app files say that they are `{0}`")]
    Twice(String),
    /// The app for the root is not there.
    #[error("there is no app `{name}`; the apps are: {known}")]
    Root {
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
            Ok(app) => apps.push(app),
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

/// Reads one app file.
pub fn read(path: &Path) -> Result<String, AppsError> {
    fs::read_to_string(path).map_err(|error| AppsError::Read {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

fn from_folder(folder: &Path) -> Result<Vec<(String, String)>, AppsError> {
    let unreadable = |error: std::io::Error| AppsError::Read {
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
