//! What is accepted and yet likely not meant: misspelt names in the environment, secrets that are easy to guess, two sources of one secret.
//!
//! Goes out: sentences for the log at the start. No value is ever in them.

use relais_core::vocabulary::suggestion;

use super::{Settings, TABLE};

/// Names that begin like this are meant for us.
const PREFIX: &str = "RELAIS_";

/// Names of the environment that begin as ours do, and that no setting has.
pub fn unknown_names(names: impl Iterator<Item = String>) -> Vec<String> {
    let known: Vec<&str> = TABLE
        .iter()
        .flat_map(|row| row.env)
        .copied()
        .filter(|name| name.starts_with(PREFIX))
        .collect();
    let is_known = |name: &str| {
        let of_file = name.strip_suffix("_FILE");
        TABLE.iter().any(|row| {
            let is_file = |own: &&&str| row.secret && Some(**own) == of_file;
            row.env.contains(&name) || row.env.iter().any(|own| is_file(&own))
        })
    };
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX) && !is_known(name))
        .collect();
    unknown.sort();
    let text = |name: String| {
        let help = suggestion(&name, known.iter().copied());
        match help.starts_with("; did") {
            true => format!("no setting is called {name}{help}"),
            false => format!("no setting is called {name}; `relais serve --help` names them all"),
        }
    };
    unknown.into_iter().map(text).collect()
}

/// Secrets that both `NAME` and `NAME_FILE` give.
pub(super) fn given_twice(environment: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let is_set = |name: &str| environment(name).is_some_and(|text| !text.is_empty());
    let secrets = TABLE.iter().filter(|row| row.secret);
    secrets
        .flat_map(|row| row.env)
        .filter(|name| is_set(name) && is_set(&format!("{name}_FILE")))
        .map(|name| format!("{name} and {name}_FILE are both set; {name} counts"))
        .collect()
}

impl Settings {
    /// What would be refused beyond loopback.
    pub fn warnings(&self) -> Vec<String> {
        if !self.is_loopback() {
            return Vec::new();
        }
        let all = ("JWT_SECRET".to_owned(), &self.token_keys);
        let own = self.app_token_keys.iter();
        let own = own.map(|(app, keys)| (format!("the `jwt_secret` of [apps.{app}]"), keys));
        let keys = std::iter::once(all).chain(own);
        let mut warnings: Vec<String> = keys
            .filter(|(_, keys)| keys.secret.as_ref().is_some_and(|key| key.len() < 32))
            .map(|(of, _)| format!("{of} is shorter than 32 bytes; beyond loopback it is refused"))
            .collect();
        if self.api_keys.iter().any(|key| key.len() < 16) {
            let text = "an API_KEY is shorter than 16 bytes; beyond loopback it is refused";
            warnings.push(text.to_owned());
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_of_the_environment_is_told_the_nearest_known_one() {
        let names = [
            "RELAIS_APP_DIR",
            "RELAIS_DATA",
            "RELAIS_SOMETHING_ELSE",
            "PATH",
        ];
        let said = unknown_names(names.into_iter().map(str::to_owned));
        assert_eq!(
            said,
            [
                "no setting is called RELAIS_APP_DIR; did you mean \"RELAIS_APPS_DIR\"?",
                "no setting is called RELAIS_SOMETHING_ELSE; `relais serve --help` names them all",
            ]
        );
    }

    #[test]
    fn a_secret_that_two_names_give_is_told() {
        let environment = |name: &str| match name {
            "JWT_SECRET" | "JWT_SECRET_FILE" | "API_KEY_FILE" => Some("x".to_owned()),
            _ => None,
        };
        let said = given_twice(&environment);
        assert_eq!(
            said,
            ["JWT_SECRET and JWT_SECRET_FILE are both set; JWT_SECRET counts"]
        );
    }
}
