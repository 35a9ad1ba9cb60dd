//! `chipq audit key`: the public half of the key that tree heads are signed with.

use std::io::Write as _;
use std::process::ExitCode;

use boards::WholeFile;
use platform::auth::{TreeHeadKey, write_public_pem};

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
    let written = WholeFile::create(&out).and_then(|mut file| {
        file.write_all(pem.as_bytes())?;
        file.finish()
    });
    written.map_err(|error| {
        Failure::new(
            format_args!("cannot write {}: {error}", out.display()),
            "name a file that you may write",
            exit::CANNOT_WRITE,
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
