//! The witness: somebody else who keeps tree heads, so that nobody here can take them back.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use transparency::SignedTreeHead;

use crate::config::WitnessPlace;
use crate::head_folder::HeadFolder;

/// How long a server may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Hands tree heads to the witness.
pub(crate) enum Witness {
    Folder(HeadFolder),
    Server(reqwest::Client, reqwest::Url),
}

impl Witness {
    /// # Errors
    /// When this machine cannot speak HTTP.
    pub(crate) fn open(place: &WitnessPlace) -> anyhow::Result<Self> {
        Ok(match place {
            WitnessPlace::Folder(path) => Self::Folder(HeadFolder::new(path.clone())),
            WitnessPlace::Server(url) => {
                let redirect = reqwest::redirect::Policy::none();
                let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).redirect(redirect);
                Self::Server(client.build()?, url.clone())
            }
        })
    }

    /// Hands one over; doing it again changes nothing but that the witness has it twice.
    ///
    /// # Errors
    /// Why the witness does not have it, in a sentence.
    pub(crate) async fn hand_over(&self, signed: &SignedTreeHead) -> Result<(), String> {
        let failed = |said: &dyn std::fmt::Display| {
            format!(
                "the witness does not take tree heads: {said}; it is tried again, see that it runs and takes them"
            )
        };
        match self {
            Self::Folder(folder) => {
                let (folder, signed) = (folder.clone(), signed.clone());
                let appended =
                    tokio::task::spawn_blocking(move || folder.append_head(&signed)).await;
                appended.map_err(|panic| failed(&panic))?.map_err(|error| failed(&error))
            }
            Self::Server(client, url) => {
                let post =
                    client.post(url.clone()).header(CONTENT_TYPE, "text/plain; charset=utf-8");
                let answer = post.body(signed.to_text()).send().await;
                let answer = answer.map_err(|error| failed(&error.without_url()))?;
                let status = answer.status();
                if status.is_success() {
                    Ok(())
                } else {
                    Err(failed(&format_args!("it answers {status}")))
                }
            }
        }
    }
}
