//! The rule for names that clients choose: event names, namespaces, the `type` of a plain frame.
//!
//! In: a name and the rules. Out: nothing, or why it is refused. Which names exist is for others to know.

/// What a name may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameRules {
    /// Longest name, in bytes of UTF-8 after unescaping. Default 255.
    pub bytes_max: usize,
    /// Whether control characters (Unicode category Cc: C0, DEL, C1) may occur. Default false.
    pub control_characters: bool,
}

impl Default for NameRules {
    fn default() -> Self {
        Self {
            bytes_max: 255,
            control_characters: false,
        }
    }
}

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than [`NameRules::bytes_max`].
    #[error("name of {bytes} bytes; at most {bytes_max} are allowed")]
    TooLong {
        /// The name's length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Holds a control character.
    #[error("name with a control character")]
    ControlCharacter,
}

impl NameRules {
    /// Checks one name.
    ///
    /// # Errors
    /// [`NameError`] when the name is too long or holds a control character.
    pub fn check(&self, name: &str) -> Result<(), NameError> {
        if name.len() > self.bytes_max {
            return Err(NameError::TooLong {
                bytes: name.len(),
                bytes_max: self.bytes_max,
            });
        }
        if !self.control_characters && name.chars().any(char::is_control) {
            return Err(NameError::ControlCharacter);
        }
        Ok(())
    }
}
