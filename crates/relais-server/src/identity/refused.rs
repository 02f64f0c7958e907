//! Why a token was refused, for the server's log: clients are only told that it is not valid here. Nothing of the token is in it.

use relais_core::error::{Code, Error};

/// Why a token proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Longer than anything that is looked at.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// Not of the form of a token.
    #[error("it is no JWT with an algorithm that is known")]
    NoToken,
    /// No key of the app has signed it.
    #[error("no key of this app has signed it: another server's key, or another algorithm")]
    ForeignKey,
    /// A time as text is a token that nobody checked.
    #[error("its `{0}` is not a number")]
    NoTime(&'static str),
    /// Its `nbf` is ahead.
    #[error("it is not valid yet")]
    NotYet,
    /// Its `exp` is over.
    #[error("it has expired")]
    Expired,
    /// Its `iss` is not the one that was set.
    #[error("its `iss` is not the issuer of the settings")]
    OtherIssuer,
    /// Its `aud` is not the one that was set.
    #[error("its `aud` is not the audience of the settings")]
    OtherAudience,
    /// It names another app.
    #[error("it is for another app: its claim `app` is {0}")]
    OtherApp(serde_json::Value),
    /// The key set cannot be asked now.
    #[error("its key cannot be fetched: {0}")]
    NoKeySet(Error),
}

impl Refused {
    /// What the client is told.
    pub fn answer(self) -> Error {
        let invalid = |text: &str| Error::new(Code::TokenInvalid, text.to_owned());
        match self {
            Refused::NoTime(name) => invalid(&format!(
                "unable to identify; the token's {name} is not a number"
            )),
            Refused::NotYet => invalid("unable to identify; the token is not valid yet"),
            Refused::Expired => Error::new(
                Code::TokenExpired,
                "unable to identify; the token has expired",
            ),
            Refused::NoKeySet(error) => error,
            Refused::TooLong(_)
            | Refused::NoToken
            | Refused::ForeignKey
            | Refused::OtherIssuer
            | Refused::OtherAudience
            | Refused::OtherApp(_) => invalid("unable to identify; the token is not valid here"),
        }
    }
}
