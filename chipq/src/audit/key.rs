//! `chipq audit key`: the public half of the key that tree heads are signed with.

use std::process::ExitCode;

use platform::auth::{TreeHeadKey, write_public_pem};

use super::write_whole;
use crate::cli::AuditKeyArgs;
use crate::failure::{Failure, exit};
use crate::installation::default_data_dir;
use crate::key_failure::explain_key;

/// Hands it out.
pub(super) fn run(args: AuditKeyArgs) -> anyhow::Result<ExitCode> {
    let place = args.keys.place(&args.data.unwrap_or_else(default_data_dir));
    let key = if args.create {
        Some(TreeHeadKey::create(&place))
    } else {
        TreeHeadKey::find(&place).transpose()
    };
    let key = key.transpose().map_err(|error| explain_key(&error))?.ok_or_else(|| {
        Failure::new(
            format_args!("there is no key of tree heads: {}", TreeHeadKey::file_in(&place).display()),
            "name the folder that the platform serves from (--data DIR), which makes it, or the directory of its keys \
             (--keys DIR); --create makes one",
            exit::NO_INPUT,
        )
    })?;
    let pem = write_public_pem(key.public_key());
    let Some(out) = args.out else {
        out!("{pem}");
        return Ok(ExitCode::SUCCESS);
    };
    write_whole(&out, pem.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
