//! Pictures that clients sent to the store itself, and that nobody has looked at yet.
//!
//! Invariants: what arrives lies apart from what is at rest, under a name that its bearer may write again and again. It
//! is read into memory, looked at there, and those bytes alone are put to rest, if the name is free: whatever is sent
//! after that changes nothing. What was announced stands beside it, signed by this service.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use domain::{ArtifactId, Picture};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, GetResult, ObjectStoreExt as _, PutMode, PutOptions,
    UpdateVersion,
};

use super::upload::{PictureInspector, StagedPicture, StagedPlace, UploadCheck};
use super::{
    ArtifactStore, ArtifactStoreError, ExpectedUpload, UploadError, UploadLimits, UploadNotes,
    UploadPermit, object_path,
};

/// Where pictures arrive, below the store's root.
const ARRIVALS: &str = "arrivals";
/// The header that what was announced stands in.
pub(super) const NOTES_METADATA: &str = "x-amz-meta-chipq-announced";
/// The same, as the store gives it back.
const NOTES_ATTRIBUTE: &str = "chipq-announced";
/// The notes that say what was announced of the file.
const MEDIA_TYPE: &str = "type";
const SHA256: &str = "sha256";
const BYTES: &str = "bytes";
/// How often a picture is put to rest while the store says that there is one and shows none.
const CREATE_ATTEMPTS: usize = 3;

/// `arrivals/<2 hex>/<id>`, as at rest.
pub(super) fn arrival_path(id: ArtifactId) -> Path {
    let text = id.to_string();
    Path::from_iter([ARRIVALS, &text[text.len() - 2..], &text])
}

/// What was announced of a file, among the notes: [`take_expected`] takes it out again.
pub(super) fn add_expected(notes: &mut UploadNotes, expected: &ExpectedUpload) {
    notes.insert(MEDIA_TYPE.to_owned(), expected.media_type.to_string());
    notes.extend(expected.sha256.map(|sha256| (SHA256.to_owned(), sha256.to_string())));
    notes.extend(expected.bytes.map(|bytes| (BYTES.to_owned(), bytes.to_string())));
}

/// What was announced; `None` for notes that this version did not write.
pub(super) fn take_expected(notes: &mut UploadNotes) -> Option<ExpectedUpload> {
    let media_type = notes.remove(MEDIA_TYPE)?.parse().ok()?;
    let sha256 = notes.remove(SHA256).map(|text| text.parse()).transpose().ok()?;
    let bytes = notes.remove(BYTES).map(|text| text.parse()).transpose().ok()?;
    Some(ExpectedUpload { media_type, sha256, bytes })
}

/// The notes and what was announced, as one header.
pub(super) fn write_notes(notes: &UploadNotes, expected: &ExpectedUpload) -> String {
    let mut all = notes.clone();
    add_expected(&mut all, expected);
    // Text by text always has a JSON form.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&all).unwrap_or_default())
}

fn read_notes(attributes: &Attributes) -> Option<UploadNotes> {
    let header = attributes.get(&Attribute::Metadata(NOTES_ATTRIBUTE.into()))?;
    let json = URL_SAFE_NO_PAD.decode(header.as_bytes()).ok()?;
    serde_json::from_slice::<BTreeMap<_, _>>(&json).ok()
}

/// A picture that has arrived.
#[derive(Debug)]
pub struct Arrival {
    /// What its bearer was allowed.
    pub permit: UploadPermit,
    /// Its length in bytes.
    pub bytes: u64,
}

impl ArtifactStore {
    /// What has arrived for `id`, without reading it; `None` where nothing has, or pictures come through this service.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find_arrival(
        &self,
        id: ArtifactId,
    ) -> Result<Option<Arrival>, ArtifactStoreError> {
        if !self.is_remote() {
            return Ok(None);
        }
        let head = GetOptions { head: true, ..GetOptions::default() };
        match self.objects.get_opts(&arrival_path(id), head).await {
            Ok(found) => Ok(read_arrival(id, &found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what has arrived into memory and looks at it; `None` when it is gone. Its announcement is that of the same
    /// reading.
    ///
    /// # Errors
    /// Why it does not count; see [`UploadError`]. It stays where it is, and another may be sent in its place.
    pub async fn stage_arrival(
        &self,
        arrival: &Arrival,
        limits: &UploadLimits,
    ) -> Result<Option<StagedPicture>, UploadError> {
        // A transfer may have altered it: nobody is told so before another one says the same.
        let first = match self.read_arrival_once(arrival, limits).await {
            Ok(None) => return Ok(None),
            Ok(Some(read)) if read.is_proven => return Ok(Some(read.into_staged())),
            Ok(Some(read)) => Some(read.picture),
            Err(error @ (UploadError::Store(_) | UploadError::Changed)) => return Err(error),
            Err(_) => None,
        };
        match self.read_arrival_once(arrival, limits).await? {
            None => Ok(None),
            Some(read) if read.is_proven || first.as_ref() == Some(&read.picture) => {
                Ok(Some(read.into_staged()))
            }
            Some(_) => Err(UploadError::Changed),
        }
    }

    async fn read_arrival_once(
        &self,
        arrival: &Arrival,
        limits: &UploadLimits,
    ) -> Result<Option<ReadArrival>, UploadError> {
        let id = arrival.permit.artifact_id;
        let found = match self.objects.get(&arrival_path(id)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(Arrival { permit, bytes }) = read_arrival(id, &found) else { return Ok(None) };
        let check = UploadCheck { limits: *limits, expected: permit.expected };
        check.check_length(bytes)?;
        // There is memory for so much.
        if bytes > arrival.bytes {
            return Err(UploadError::Changed);
        }
        let mut inspector = PictureInspector::default();
        let mut file = BytesMut::with_capacity(usize::try_from(bytes).unwrap_or_default());
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.try_next().await? {
            inspector.push(&piece)?;
            check.check_progress(&inspector)?;
            file.extend_from_slice(&piece);
        }
        let picture = check.check_complete(inspector)?;
        let is_proven = permit.expected.sha256.is_some();
        Ok(Some(ReadArrival { picture, file: file.freeze(), is_proven }))
    }

    /// Stores bytes that were looked at under `id`, if nothing is there that can be read.
    pub(super) async fn create_at_rest(
        &self,
        id: ArtifactId,
        (picture, file): (&Picture, &Bytes),
    ) -> Result<(), UploadError> {
        let key = object_path(id);
        for _ in 0..CREATE_ATTEMPTS {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let refused = match self.objects.put_opts(&key, file.clone().into(), options).await {
                Ok(_) => return Ok(()),
                Err(refused @ object_store::Error::AlreadyExists { .. }) => refused,
                Err(error) => return Err(error.into()),
            };
            match self.describe_stored(id).await {
                Ok(Some(stored)) if stored == *picture => return Ok(()),
                Ok(Some(_)) => return Err(UploadError::AlreadyStored),
                // A conflict with another request of which nothing came: it is still free.
                Ok(None) => tracing::debug!(%refused, "nothing is at rest all the same"),
                Err(damage @ ArtifactStoreError::Unreadable { .. }) => {
                    tracing::warn!(error = %damage, "a damaged picture is replaced");
                    return self.replace_damaged(&key, file).await;
                }
                Err(error) => return Err(UploadError::Store(error)),
            }
        }
        let detail = format!("it neither takes artifact {id} nor shows it");
        Err(UploadError::Store(ArtifactStoreError::NotWritable(detail)))
    }

    /// Only what was found there is replaced.
    async fn replace_damaged(&self, key: &Path, file: &Bytes) -> Result<(), UploadError> {
        let found = self.objects.head(key).await?;
        let version = UpdateVersion { e_tag: found.e_tag, version: found.version };
        let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
        match self.objects.put_opts(key, file.clone().into(), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::Precondition { .. }) => Err(UploadError::AlreadyStored),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what has arrived for `id`: it is at rest.
    pub async fn forget_arrival(&self, id: ArtifactId) {
        if !self.is_remote() {
            return;
        }
        match self.objects.delete(&arrival_path(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => tracing::warn!(%error, "what has arrived stays until it is swept"),
        }
    }

    /// Removes what arrived before `before` and was never put to rest; how many.
    ///
    /// # Errors
    /// When the store fails; what was removed until then stays removed.
    pub async fn sweep_arrivals(&self, before: DateTime<Utc>) -> Result<u64, ArtifactStoreError> {
        if !self.is_remote() {
            return Ok(0);
        }
        let mut swept = 0;
        let mut listed = self.objects.list(Some(&Path::from(ARRIVALS)));
        while let Some(found) = listed.next().await {
            let found = found?;
            if found.last_modified < before {
                self.objects.delete(&found.location).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// The picture that a notification of the store is about; `None` when it is about something else.
    #[must_use]
    pub fn notified_artifact(&self, bucket: &str, key: &str) -> Option<ArtifactId> {
        let key = self.uploads.notified_key(bucket, key)?;
        let id = key.strip_prefix(ARRIVALS)?.rsplit('/').next()?.parse().ok()?;
        (arrival_path(id).as_ref() == key).then_some(id)
    }
}

/// A picture that was read once.
struct ReadArrival {
    picture: Picture,
    file: Bytes,
    /// Whether its digest is the one that was announced: no transfer has altered it.
    is_proven: bool,
}

impl ReadArrival {
    fn into_staged(self) -> StagedPicture {
        StagedPicture { picture: self.picture, place: StagedPlace::Memory(self.file) }
    }
}

/// What somebody put there who was not asked to counts as nothing.
fn read_arrival(id: ArtifactId, found: &GetResult) -> Option<Arrival> {
    let notes = read_notes(&found.attributes);
    let expected = notes.and_then(|mut notes| Some((take_expected(&mut notes)?, notes)));
    let Some((expected, notes)) = expected else {
        tracing::warn!(artifact_id = %id, "what arrived was not announced here, and is left alone");
        return None;
    };
    let permit = UploadPermit { artifact_id: id, expected, notes };
    Some(Arrival { permit, bytes: found.meta.size })
}
