//! Reports that tests have made are kept, where somebody asks for them, to be held against the standard afterwards.

use sha2::{Digest as _, Sha256};

/// The folder that they are kept in.
const FOLDER: &str = "CHIPQ_TEST_PDFS";

/// Keeps a report under its digest, where `CHIPQ_TEST_PDFS` names a folder: `deploy/check-pdfs` looks at all of them.
///
/// # Panics
/// When these bytes are no PDF, or cannot be written down.
pub fn keep_pdf(bytes: &[u8]) {
    assert!(bytes.starts_with(b"%PDF-"), "no PDF");
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let name = format!("{}.pdf", hex::encode(Sha256::digest(bytes)));
    let file = std::path::Path::new(&folder).join(name);
    if !file.exists() {
        // Two tests may keep the same one at the same time.
        let draft = file.with_extension(format!("{}.draft", uuid::Uuid::new_v4()));
        let kept = std::fs::write(&draft, bytes).and_then(|()| std::fs::rename(&draft, &file));
        kept.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}
