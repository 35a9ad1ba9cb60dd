//! What is wrong with the keys of an installation, in words for the terminal.

use platform::auth::KeyError;
use platform::key_holders::KeyHolderError;

use crate::failure::{Failure, exit};

/// The error, which ends in what to do.
pub(crate) fn explain_key(error: &KeyError) -> Failure {
    let code = match error {
        KeyError::StillSigns(_) | KeyError::UnknownKey(_) | KeyError::NotEmpty(_) => exit::DATA,
        KeyError::NoKeys { .. } | KeyError::NoSecret { .. } => exit::NO_INPUT,
        KeyError::File(_)
        | KeyError::Exposed { .. }
        | KeyError::OpenFolder(_)
        | KeyError::NotAKey(_)
        | KeyError::NotASecret(_)
        | KeyError::NeverStill(_)
        | KeyError::Folder { .. }
        | KeyError::EmptySet
        | KeyError::ReadOnly { .. } => exit::CANNOT_WRITE,
    };
    let text = error.to_string();
    match text.rsplit_once("; ") {
        Some((what, next)) => Failure::new(what, next, code),
        None => Failure::new(
            text,
            "see that the folder and its keys belong to the account of the platform",
            code,
        ),
    }
}

/// The same of what others have.
pub(crate) fn explain_holder(error: &KeyHolderError) -> Failure {
    let code = match error {
        KeyHolderError::Keys(error) => return explain_key(error),
        KeyHolderError::Foreign { .. } | KeyHolderError::Elsewhere(_) => exit::USAGE,
        KeyHolderError::InUse(_) => exit::DATA,
        KeyHolderError::Storage(_) => exit::UNAVAILABLE,
    };
    let text = error.to_string();
    let (what, next) = text.rsplit_once("; ").unwrap_or((&text, "try it again"));
    Failure::new(what, next, code)
}
