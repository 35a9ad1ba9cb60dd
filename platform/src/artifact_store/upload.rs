//! One upload, from the first byte to a visible picture.
//!
//! Bytes go to a staging name while they are counted, digested and walked; only a whole, wanted
//! picture is then renamed to its key, if that is still free. A failed or abandoned upload leaves
//! nothing under the key. Walking a picture decompresses nothing and keeps nothing but a few header
//! bytes, so a bomb costs nothing. Sources: PNG (W3C, third edition) §5; JPEG (ITU-T T.81) annex B.

use std::error::Error as StdError;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use domain::{ArtifactId, MediaType, Picture, Sha256};
use futures::{Stream, StreamExt as _};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _};
use sha2::Digest as _;

use super::error::PictureFlaw;
use super::{ArtifactStore, ArtifactStoreError, UploadError, jpeg, object_path, png};

/// Bytes gathered before they are written: what an upload takes of memory, however long it lasts.
const PART_BYTES: usize = 256 << 10;

/// How large an upload may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Most bytes. Default 32 MiB.
    pub max_bytes: u64,
    /// Most pixels, width × height. Default 64 Mpx (64 × 10⁶).
    pub max_pixels: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self { max_bytes: 32 << 20, max_pixels: 64_000_000 }
    }
}

/// What was announced of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedUpload {
    /// The announced format.
    pub media_type: MediaType,
    /// The announced digest, if any.
    pub sha256: Option<Sha256>,
    /// The announced length in bytes, if any.
    pub bytes: Option<u64>,
}

impl From<MediaType> for ExpectedUpload {
    fn from(media_type: MediaType) -> Self {
        Self { media_type, sha256: None, bytes: None }
    }
}

/// A picture that was received whole and is not stored: nobody finds it, and the next start removes it.
#[derive(Debug)]
#[must_use]
pub struct StagedPicture {
    pub(super) picture: Picture,
    pub(super) place: StagedPlace,
}

/// Where a picture is until it is stored.
#[derive(Debug)]
pub(super) enum StagedPlace {
    /// In the store, under a name that nobody else uses.
    Path(Path),
    /// In this process: it was read from where it arrived, and may be another one there by now.
    Memory(Bytes),
}

impl StagedPicture {
    /// What is known of it.
    #[must_use]
    pub const fn picture(&self) -> &Picture {
        &self.picture
    }
}

impl ArtifactStore {
    /// Receives the picture in `body`, durably and whole, without storing it yet: [`Self::publish_staged`] or
    /// [`Self::discard_staged`] comes next.
    ///
    /// # Errors
    /// Why it does not count; see [`UploadError`]. Nothing is kept then.
    pub async fn stage_stream<E>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
        limits: &UploadLimits,
        expected: impl Into<ExpectedUpload> + Send,
    ) -> Result<StagedPicture, UploadError>
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let check = UploadCheck { limits: *limits, expected: expected.into() };
        let path = self.staging.new_path();
        let mut upload = self.objects.put_multipart(&path).await?;
        match receive_body(upload.as_mut(), body, check).await {
            Ok(picture) => Ok(StagedPicture { picture, place: StagedPlace::Path(path) }),
            Err(error) => {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "a failed upload could not be removed");
                }
                Err(error)
            }
        }
    }

    /// The bytes of a picture that is not stored yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read_staged(&self, staged: &StagedPicture) -> Result<Bytes, ArtifactStoreError> {
        match &staged.place {
            StagedPlace::Path(path) => Ok(self.objects.get(path).await?.bytes().await?),
            StagedPlace::Memory(file) => Ok(file.clone()),
        }
    }

    /// Removes a picture that is not to be stored.
    pub async fn discard_staged(&self, staged: StagedPicture) {
        let StagedPlace::Path(path) = staged.place else { return };
        if let Err(error) = self.objects.delete(&path).await {
            tracing::warn!(%error, "a staged upload could not be removed");
        }
    }

    /// Stores a staged picture under `id`, unless one is there that can be read.
    ///
    /// # Errors
    /// [`UploadError::AlreadyStored`] when another one is, or the store fails. The staged one is gone then.
    pub async fn publish_staged(
        &self,
        id: ArtifactId,
        staged: StagedPicture,
    ) -> Result<Picture, UploadError> {
        match &staged.place {
            StagedPlace::Memory(file) => {
                self.create_at_rest(id, (&staged.picture, file)).await?;
                Ok(staged.picture)
            }
            StagedPlace::Path(path) => match self.rename_to_rest(id, &staged.picture, path).await {
                Ok(Renamed::Moved) => Ok(staged.picture),
                Ok(Renamed::IsThere) => {
                    let picture = staged.picture.clone();
                    self.discard_staged(staged).await;
                    Ok(picture)
                }
                Err(error) => {
                    self.discard_staged(staged).await;
                    Err(error)
                }
            },
        }
    }

    async fn rename_to_rest(
        &self,
        id: ArtifactId,
        picture: &Picture,
        path: &Path,
    ) -> Result<Renamed, UploadError> {
        let key = object_path(id);
        match self.objects.rename_if_not_exists(path, &key).await {
            Ok(()) => return Ok(Renamed::Moved),
            Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        match self.describe_stored(id).await {
            Ok(stored) if stored.as_ref() == Some(picture) => Ok(Renamed::IsThere),
            Ok(_) => Err(UploadError::AlreadyStored),
            // Nobody has any use for what is there, and this picture is whole.
            Err(damage @ ArtifactStoreError::Unreadable { .. }) => {
                tracing::warn!(error = %damage, "a damaged picture is replaced");
                self.objects.rename(path, &key).await?;
                Ok(Renamed::Moved)
            }
            Err(error) => Err(UploadError::Store(error)),
        }
    }
}

/// How a picture came to rest.
enum Renamed {
    /// It was moved there.
    Moved,
    /// It was there already.
    IsThere,
}

/// What an upload must satisfy.
#[derive(Clone, Copy)]
pub(super) struct UploadCheck {
    pub(super) limits: UploadLimits,
    pub(super) expected: ExpectedUpload,
}

/// Writes the body to `upload` and completes it; the caller aborts when this fails.
async fn receive_body<E>(
    upload: &mut dyn MultipartUpload,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
    check: UploadCheck,
) -> Result<Picture, UploadError>
where
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut inspector = PictureInspector::default();
    let mut part = BytesMut::new();
    let mut body = pin!(body);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| UploadError::Interrupted(error.into()))?;
        inspector.push(&piece)?;
        check.check_progress(&inspector)?;
        part.extend_from_slice(&piece);
        if part.len() >= PART_BYTES {
            upload.put_part(part.split().freeze().into()).await?;
        }
    }
    let picture = check.check_complete(inspector)?;
    if !part.is_empty() {
        upload.put_part(part.freeze().into()).await?;
    }
    upload.complete().await?;
    Ok(picture)
}

impl UploadCheck {
    /// Refuses what is too long before it is read.
    pub(super) fn check_length(&self, bytes: u64) -> Result<(), UploadError> {
        let limit_bytes = self.limits.max_bytes;
        if bytes > limit_bytes { Err(UploadError::TooLarge { limit_bytes }) } else { Ok(()) }
    }

    /// Refuses as early as the bytes so far allow.
    pub(super) fn check_progress(&self, inspector: &PictureInspector) -> Result<(), UploadError> {
        self.check_length(inspector.bytes())?;
        let declared = self.expected.media_type;
        match inspector.media_type() {
            Some(found) if found != declared => {
                return Err(UploadError::Mismatch { declared, found });
            }
            _ => {}
        }
        let limit = self.limits.max_pixels;
        match inspector.dimensions() {
            Some((width, height)) if u64::from(width) * u64::from(height) > limit => {
                Err(UploadError::TooManyPixels { width, height, limit })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_complete(
        &self,
        inspector: PictureInspector,
    ) -> Result<Picture, UploadError> {
        let found = inspector.bytes();
        if found == 0 {
            return Err(UploadError::Empty);
        }
        if let Some(declared) = self.expected.bytes.filter(|&declared| declared != found) {
            return Err(UploadError::WrongLength { declared, found });
        }
        let picture = inspector.finish_picture()?;
        let found = picture.sha256;
        match self.expected.sha256 {
            Some(declared) if declared != found => {
                Err(UploadError::WrongDigest { declared, found })
            }
            _ => Ok(picture),
        }
    }
}

/// Counts, digests and walks bytes that are pushed in pieces of any size.
#[derive(Default)]
pub(super) struct PictureInspector {
    bytes: u64,
    digest: sha2::Sha256,
    format: PictureFormat,
}

#[derive(Default)]
enum PictureFormat {
    /// Fewer bytes than it takes to tell.
    #[default]
    Nothing,
    Prefix(Vec<u8>),
    Jpeg(jpeg::JpegWalk),
    Png(png::PngWalk),
}

impl PictureInspector {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), PictureFlaw> {
        self.bytes += piece.len() as u64;
        self.digest.update(piece);
        match &mut self.format {
            PictureFormat::Jpeg(walk) => walk.push(piece),
            PictureFormat::Png(walk) => walk.push(piece),
            PictureFormat::Nothing => self.sniff_format(piece.to_vec()),
            PictureFormat::Prefix(prefix) => {
                let mut prefix = std::mem::take(prefix);
                prefix.extend_from_slice(piece);
                self.sniff_format(prefix)
            }
        }
    }

    fn sniff_format(&mut self, start: Vec<u8>) -> Result<(), PictureFlaw> {
        if let Some(rest) = start.strip_prefix(&png::SIGNATURE) {
            let mut walk = png::PngWalk::default();
            walk.push(rest)?;
            self.format = PictureFormat::Png(walk);
        } else if let Some(rest) = start.strip_prefix(&jpeg::SIGNATURE) {
            let mut walk = jpeg::JpegWalk::default();
            walk.push(rest)?;
            self.format = PictureFormat::Jpeg(walk);
        } else if png::SIGNATURE.starts_with(&start) || jpeg::SIGNATURE.starts_with(&start) {
            self.format = PictureFormat::Prefix(start);
        } else {
            return Err(PictureFlaw::NotAPicture);
        }
        Ok(())
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The format, once enough bytes have passed.
    pub(super) fn media_type(&self) -> Option<MediaType> {
        match self.format {
            PictureFormat::Nothing | PictureFormat::Prefix(_) => None,
            PictureFormat::Jpeg(_) => Some(MediaType::Jpeg),
            PictureFormat::Png(_) => Some(MediaType::Png),
        }
    }

    /// Width and height in pixels, once the header has passed.
    pub(super) fn dimensions(&self) -> Option<(u32, u32)> {
        match &self.format {
            PictureFormat::Nothing | PictureFormat::Prefix(_) => None,
            PictureFormat::Jpeg(walk) => walk.dimensions(),
            PictureFormat::Png(walk) => walk.dimensions(),
        }
    }

    /// The picture, if it is whole.
    pub(super) fn finish_picture(self) -> Result<Picture, PictureFlaw> {
        let media_type = self.media_type().ok_or(PictureFlaw::NotAPicture)?;
        let whole = match &self.format {
            PictureFormat::Nothing | PictureFormat::Prefix(_) => false,
            PictureFormat::Jpeg(walk) => walk.is_whole(),
            PictureFormat::Png(walk) => walk.is_whole(),
        };
        let (width, height) = self.dimensions().filter(|_| whole).ok_or(PictureFlaw::Truncated)?;
        let sha256 = Sha256::from_bytes(self.digest.finalize().into());
        Ok(Picture { sha256, bytes: self.bytes, media_type, width, height })
    }
}
