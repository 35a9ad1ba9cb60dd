//! What a shell and `man` want to know of the command line, written from its definition.

use std::io;
use std::path::Path;

use clap_complete::Shell;

use crate::command_line;
use crate::failure::{Failure, exit};
use crate::temporary::TemporaryFolder;

/// Prints the script by which `shell` completes what is typed behind `chipq`.
pub(crate) fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_line(), "chipq", &mut script);
    out!("{}", String::from_utf8_lossy(&script));
}

/// Writes a manual page of section 1 for `chipq`, and one for each of its subcommands, into `folder`.
///
/// # Errors
/// When they cannot be written there.
pub(crate) fn manual_pages(folder: &Path) -> anyhow::Result<()> {
    let cannot_write = |error: io::Error| {
        Failure::new(
            format_args!("cannot write manual pages into {}: {error}", folder.display()),
            "name a folder that you may write to",
            exit::CANNOT_WRITE,
        )
    };
    std::fs::create_dir_all(folder).map_err(cannot_write)?;
    let drafts = TemporaryFolder::new("man")?;
    clap_mangen::generate_to(command_line(), drafts.path()).map_err(cannot_write)?;
    for page in std::fs::read_dir(drafts.path()).map_err(cannot_write)? {
        let page = page.map_err(cannot_write)?;
        let text = std::fs::read(page.path()).map_err(cannot_write)?;
        boards::write_whole_file(&folder.join(page.file_name()), &text).map_err(cannot_write)?;
    }
    Ok(())
}
