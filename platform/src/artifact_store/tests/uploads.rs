//! What counts as an upload and what does not.

use std::time::Duration;

use super::*;

/// Refuses `bytes`, then proves that nothing was left behind and the slot still takes a good
/// picture.
async fn refused(bytes: &[u8], expected: impl Into<ExpectedUpload> + Send) -> UploadError {
    let ((folder, store), id) = (store(), new_id());
    let error = put(&store, id, bytes, expected).await.unwrap_err();
    assert_eq!(files_in(folder.path()), 0, "a refused upload left something behind");
    assert_eq!(store.describe_stored(id).await.unwrap(), None);
    let good = picture(ImageFormat::Png);
    put(&store, id, &good, MediaType::Png).await.unwrap();
    error
}

#[tokio::test]
async fn a_whole_picture_is_stored_under_a_key_made_of_its_id_alone() {
    let (folder, store) = store();
    for (format, media_type) in
        [(ImageFormat::Png, MediaType::Png), (ImageFormat::Jpeg, MediaType::Jpeg)]
    {
        let (id, bytes) = (new_id(), picture(format));
        for piece in [1, 7, 100_000] {
            let stored = put_in_pieces(&store, id, &bytes, media_type, piece).await.unwrap();
            assert_eq!((stored.width, stored.height), (160, 120));
            assert_eq!((stored.media_type, stored.bytes), (media_type, bytes.len() as u64));
            assert_eq!(stored.sha256, Sha256::digest_of(&bytes));
            assert_eq!(store.describe_stored(id).await.unwrap(), Some(stored));
        }
        assert_eq!(store.get(id).await.unwrap(), bytes);
        let text = id.to_string();
        let path = folder.path().join("artifacts").join(&text[34..]).join(&text);
        assert_eq!(std::fs::read(path).unwrap(), bytes);
    }
    assert_eq!(files_in(folder.path()), 2);
}

#[tokio::test]
async fn an_empty_upload_is_refused() {
    assert!(matches!(refused(b"", MediaType::Png).await, UploadError::Empty));
}

#[tokio::test]
async fn a_picture_cut_at_any_byte_is_refused_as_truncated() {
    let (_folder, store) = store();
    for (format, media_type) in
        [(ImageFormat::Png, MediaType::Png), (ImageFormat::Jpeg, MediaType::Jpeg)]
    {
        let whole = picture(format);
        for length in (8..whole.len()).step_by(whole.len() / 40).chain([whole.len() - 1]) {
            let error = put(&store, new_id(), &whole[..length], media_type).await.unwrap_err();
            assert!(matches!(error, UploadError::Truncated), "{media_type} at {length}: {error}");
        }
        let error = refused(&whole[..whole.len() / 2], media_type).await;
        assert!(matches!(error, UploadError::Truncated));
    }
}

#[tokio::test]
async fn a_mislabelled_picture_is_refused_with_both_types() {
    let error = refused(&picture(ImageFormat::Png), MediaType::Jpeg).await;
    let message = error.to_string();
    assert!(matches!(error, UploadError::Mismatch { .. }));
    assert!(message.contains("image/png") && message.contains("image/jpeg"), "{message}");
}

#[tokio::test]
async fn what_is_not_a_picture_is_refused() {
    for bytes in [
        b"GIF89a\x01\x00\x01\x00".as_slice(),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x7fELF",
        b"BM",
        &[0; 5000],
    ] {
        assert!(matches!(refused(bytes, MediaType::Png).await, UploadError::NotAPicture));
    }
    // A prefix of a picture's signature is none either.
    assert!(matches!(refused(b"\x89PN", MediaType::Png).await, UploadError::NotAPicture));
}

#[tokio::test]
async fn an_oversized_upload_is_refused_before_it_has_all_arrived() {
    let ((folder, store), id) = (store(), new_id());
    let limits = UploadLimits { max_bytes: 10_000, ..UploadLimits::default() };
    let header = picture(ImageFormat::Png)[..33].to_vec();
    // One endless chunk: only the limit ends this.
    let endless = stream::iter([Bytes::from(header), Bytes::from_static(b"\x7f\xff\xff\xffIDAT")])
        .chain(stream::repeat(Bytes::from_static(&[0; 512])))
        .map(Ok::<_, io::Error>);
    let error = put_stream(&store, id, endless, (&limits, MediaType::Png)).await.unwrap_err();
    assert!(matches!(error, UploadError::TooLarge { limit_bytes: 10_000 }), "{error}");
    assert_eq!(files_in(folder.path()), 0);
}

#[tokio::test]
async fn a_decompression_bomb_is_refused_by_its_header() {
    for (width, height) in [(100_000, 100_000), (8_001, 8_000), (i32::MAX as u32, 1)] {
        let error = refused(&bomb(width, height), MediaType::Png).await;
        assert!(matches!(error, UploadError::TooManyPixels { .. }), "{error}");
    }
    assert!(matches!(refused(&bomb(0, 5), MediaType::Png).await, UploadError::Malformed(_)));
    assert!(matches!(refused(&bomb(u32::MAX, 1), MediaType::Png).await, UploadError::Malformed(_)));
}

#[tokio::test]
async fn a_picture_with_a_broken_structure_is_refused() {
    let png = picture(ImageFormat::Png);
    let mut trailing = png.clone();
    trailing.extend_from_slice(b"PK\x03\x04 and a zip file");
    let mut renamed = png.clone();
    renamed[12..16].copy_from_slice(b"IDAT");
    let no_data = [&png[..33], b"\0\0\0\0IEND\xaeB`\x82"].concat();
    for bytes in [&trailing, &renamed, &no_data] {
        assert!(matches!(refused(bytes, MediaType::Png).await, UploadError::Malformed(_)));
    }
    let no_picture = b"\xff\xd8\xff\xd9".as_slice();
    let no_frame = b"\xff\xd8\xff\xda\x00\x02\x00\x00\xff\xd9".as_slice();
    let bad_length = b"\xff\xd8\xff\xe0\x00\x01".as_slice();
    for bytes in [no_picture, no_frame, bad_length, b"\xff\xd8hello".as_slice()] {
        assert!(matches!(refused(bytes, MediaType::Jpeg).await, UploadError::Malformed(_)));
    }
}

#[tokio::test]
async fn bytes_after_the_end_of_a_jpeg_are_tolerated_because_cameras_write_them() {
    let ((_folder, store), id) = (store(), new_id());
    let mut jpeg = picture(ImageFormat::Jpeg);
    jpeg.extend_from_slice(&[0; 64]);
    put(&store, id, &jpeg, MediaType::Jpeg).await.unwrap();
}

#[tokio::test]
async fn an_announced_digest_or_length_must_be_met() {
    let png = picture(ImageFormat::Png);
    let announced =
        ExpectedUpload { sha256: Some(Sha256::digest_of(b"other")), ..MediaType::Png.into() };
    assert!(matches!(refused(&png, announced).await, UploadError::WrongDigest { .. }));
    let announced = ExpectedUpload { bytes: Some(7), ..MediaType::Png.into() };
    assert!(matches!(refused(&png, announced).await, UploadError::WrongLength { .. }));

    let ((_folder, store), id) = (store(), new_id());
    let announced = ExpectedUpload {
        media_type: MediaType::Png,
        sha256: Some(Sha256::digest_of(&png)),
        bytes: Some(png.len() as u64),
    };
    put(&store, id, &png, announced).await.unwrap();
}

#[tokio::test]
async fn an_interrupted_upload_leaves_nothing_behind() {
    let ((folder, store), id) = (store(), new_id());
    let start = Bytes::from(picture(ImageFormat::Png)[..500].to_vec());
    let broken = stream::iter([Ok(start), Err(io::Error::from(io::ErrorKind::ConnectionReset))]);
    let limits = UploadLimits::default();
    let error = put_stream(&store, id, broken, (&limits, MediaType::Png)).await.unwrap_err();
    assert!(matches!(error, UploadError::Interrupted(_)), "{error}");
    assert_eq!(files_in(folder.path()), 0);
}

#[tokio::test]
async fn a_stored_picture_never_changes() {
    let ((folder, store), id) = (store(), new_id());
    let (png, jpeg) = (picture(ImageFormat::Png), picture(ImageFormat::Jpeg));
    let first = put(&store, id, &png, MediaType::Png).await.unwrap();
    assert_eq!(put(&store, id, &png, MediaType::Png).await.unwrap(), first);
    let error = put(&store, id, &jpeg, MediaType::Jpeg).await.unwrap_err();
    assert!(matches!(error, UploadError::AlreadyStored), "{error}");
    assert_eq!(store.get(id).await.unwrap(), png);
    assert_eq!(files_in(folder.path()), 1);
}

#[tokio::test]
async fn of_many_uploads_at_once_to_one_slot_exactly_one_picture_remains() {
    let ((folder, store), id) = (store(), new_id());
    let (png, jpeg) = (picture(ImageFormat::Png), picture(ImageFormat::Jpeg));
    let uploads = (0..16).map(|n| match n % 2 {
        0 => put(&store, id, &png, MediaType::Png),
        _ => put(&store, id, &jpeg, MediaType::Jpeg),
    });
    let outcomes = futures::future::join_all(uploads).await;
    let stored = store.describe_stored(id).await.unwrap().unwrap();
    for outcome in outcomes {
        match outcome {
            Ok(picture) => assert_eq!(picture, stored),
            Err(error) => assert!(matches!(error, UploadError::AlreadyStored), "{error}"),
        }
    }
    assert_eq!(files_in(folder.path()), 1);
}

#[tokio::test]
async fn damage_at_rest_is_noticed() {
    let ((folder, store), id) = (store(), new_id());
    let png = picture(ImageFormat::Png);
    let stored = put(&store, id, &png, MediaType::Png).await.unwrap();
    assert_eq!(store.get_verified(id, &stored.sha256).await.unwrap(), png);
    let text = id.to_string();
    let path = folder.path().join("artifacts").join(&text[34..]).join(&text);
    std::fs::write(path, &png[..100]).unwrap();
    let error = store.get_verified(id, &stored.sha256).await.unwrap_err();
    assert!(matches!(error, ArtifactStoreError::DigestMismatch { .. }), "{error}");
    let error = store.describe_stored(id).await.unwrap_err();
    assert!(matches!(error, ArtifactStoreError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn what_was_damaged_at_rest_can_be_uploaded_again() {
    for again in [ImageFormat::Png, ImageFormat::Jpeg] {
        let ((folder, store), id) = (store(), new_id());
        put(&store, id, &picture(ImageFormat::Png), MediaType::Png).await.unwrap();
        let text = id.to_string();
        let path = folder.path().join("artifacts").join(&text[34..]).join(&text);
        std::fs::write(path, b"\x89PNG and no more").unwrap();
        let bytes = picture(again);
        let media_type = if again == ImageFormat::Png { MediaType::Png } else { MediaType::Jpeg };
        let stored = put(&store, id, &bytes, media_type).await.unwrap();
        assert_eq!(store.get_verified(id, &stored.sha256).await.unwrap(), bytes);
        assert_eq!(files_in(folder.path()), 1);
    }
}

#[tokio::test]
async fn the_pieces_are_those_of_the_picture() {
    let ((_folder, store), id) = (store(), new_id());
    let png = picture(ImageFormat::Png);
    let stored = put(&store, id, &png, MediaType::Png).await.unwrap();
    let open = store.open_picture(id, stored.sha256).await.unwrap();
    let length = open.length();
    let pieces: Vec<_> = open.into_pieces(0..length).map(Result::unwrap).collect().await;
    assert_eq!((length, pieces.concat()), (png.len() as u64, png));
}

#[tokio::test]
async fn an_artifact_that_does_not_exist_is_not_found() {
    let ((_folder, store), id) = (store(), new_id());
    assert!(matches!(store.get(id).await, Err(ArtifactStoreError::NotFound(_))));
    let opened = store.open_picture(id, Sha256::digest_of(b"")).await;
    assert!(matches!(opened.err(), Some(ArtifactStoreError::NotFound(_))));
    let length = store.stored_length(id).await;
    assert!(matches!(length, Err(ArtifactStoreError::NotFound(_))));
    assert_eq!(store.describe_stored(id).await.unwrap(), None);
    store.ping().await.unwrap();
}

#[tokio::test]
async fn what_ended_processes_left_is_swept_at_once_and_what_a_living_one_writes_is_not() {
    let (folder, living) = store();
    let staging = folder.path().join("staging");
    let killed = staging.join("killed");
    std::fs::create_dir_all(&killed).unwrap();
    std::fs::write(killed.join("upload#1"), "x").unwrap();
    let mut under_way = living.objects.put_multipart(&living.staging.new_path()).await.unwrap();
    under_way.put_part(Bytes::from_static(b"half a picture").into()).await.unwrap();
    let next = folder_store(folder.path());
    assert!(!killed.exists());
    assert_eq!(files_in(&staging), 1, "the upload under way");
    under_way.complete().await.unwrap();
    drop((living, next));
    assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 0, "each has taken its own away");
}

#[test]
fn many_that_start_at_once_sweep_nobodys_folder_away() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..200).for_each(|_| drop(folder_store(folder.path()))));
        }
    });
}

#[test]
fn one_that_keeps_the_others_from_starting_is_told_of() {
    let (folder, _store) = store();
    let staging = folder.path().join("staging");
    let held = std::fs::File::open(&staging).unwrap();
    held.lock().unwrap();
    let url = ArtifactStoreUrl::Folder(folder.path().to_owned());
    let error = open(&url, &signing_key()).unwrap_err().to_string();
    assert!(error.contains(&format!("keeps {} locked", staging.display())), "{error}");
    drop(held);
    open(&url, &signing_key()).unwrap();
}

#[tokio::test]
async fn pictures_are_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, store) = store();
    put(&store, new_id(), &picture(ImageFormat::Png), MediaType::Png).await.unwrap();
    let mode = || std::fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o700);
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    open_to_read(&ArtifactStoreUrl::Folder(folder.path().to_owned())).unwrap();
    assert_eq!(mode(), 0o700, "also one that was open");
}

#[tokio::test]
async fn a_folder_of_pictures_that_cannot_be_written_is_noticed() {
    let (folder, store) = store();
    store.ping().await.unwrap();
    let (id, bytes) = (new_id(), picture(ImageFormat::Png));
    put(&store, id, &bytes, MediaType::Png).await.unwrap();
    store.ping().await.unwrap();
    // A file in a folder's place: what even root cannot write into.
    let shard = folder.path().join("artifacts").join(&id.to_string()[34..]);
    std::fs::remove_dir_all(&shard).unwrap();
    std::os::unix::fs::symlink("/proc/self", &shard).unwrap();
    let error = store.ping().await.unwrap_err().to_string();
    assert!(error.contains(&shard.display().to_string()), "{error}");
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let url = ArtifactStoreUrl::Folder(file.clone());
    let error = open(&url, &signing_key()).unwrap_err().to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
}

#[tokio::test]
async fn an_upload_whose_handler_is_dropped_leaves_nothing_behind() {
    let ((folder, store), id) = (store(), new_id());
    let start = Bytes::from(picture(ImageFormat::Png)[..500].to_vec());
    let stalled = stream::iter([Ok::<_, io::Error>(start)]).chain(stream::pending());
    let limits = UploadLimits::default();
    let upload = put_stream(&store, id, stalled, (&limits, MediaType::Png));
    assert!(tokio::time::timeout(Duration::from_millis(100), upload).await.is_err());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while files_in(folder.path()) > 0 {
        assert!(tokio::time::Instant::now() < deadline, "the staged file is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
