//! The slot of a picture: free, taken or refused, and always as the upload itself is decided.

use super::*;
use crate::{Picture, PictureOwner as _, UploadSlot};

fn slot_in(events: &[E], n: u128) -> String {
    match Inspection::replay(events).upload_slot(artifact(n)) {
        Ok(UploadSlot::Free { announced }) => format!("free for {announced}"),
        Ok(UploadSlot::Taken(picture)) => {
            assert_eq!(*picture, crate::test_support::picture("board"));
            "taken".to_owned()
        }
        Err(rejection) => rejection.name().to_owned(),
    }
}

/// A board in every state; picture 1 is at rest, picture 2 was announced and never came.
fn states() -> [Vec<E>; 5] {
    let open = vec![created(), reserved(1), reserved(2), uploaded(1, "board")];
    let mut inferring = open.clone();
    inferring.push(requested([1, 2]));
    let mut judged = inferring.clone();
    judged.extend([completed(1, "board", vec![]), missing_view()]);
    let mut withdrawn = open.clone();
    withdrawn.push(voided());
    [vec![], open, inferring, judged, withdrawn]
}

#[test]
fn a_slot_is_free_only_while_the_inspection_is_open_and_taken_for_ever() {
    let missing = "inspection-not-found";
    let unknown = "artifact-not-found";
    let closed = "inference-already-requested";
    #[rustfmt::skip]
    let table = [
        // picture, then its slot when: not created, open, inferring, judged, voided
        (1, [missing, "taken", "taken", "taken", "taken"]),
        (2, [missing, "free for image/jpeg", closed, "already-judged", "voided"]),
        (3, [missing, unknown, unknown, unknown, unknown]),
    ];
    for (n, expected) in table {
        assert_eq!(states().each_ref().map(|events| slot_in(events, n)), expected, "picture {n}");
    }
}

#[test]
fn an_upload_is_decided_as_its_slot_says() {
    let png = Picture { media_type: MediaType::Png, ..picture("other") };
    for events in &states() {
        let state = Inspection::replay(events);
        for n in 1..=3 {
            let decide = |picture| state.decide(Inspection::upload_command(artifact(n), picture));
            match state.upload_slot(artifact(n)) {
                Err(refused) => {
                    assert_eq!(decide(picture("board")), Err(refused.clone()));
                    assert_eq!(decide(png.clone()), Err(refused));
                }
                Ok(UploadSlot::Taken(stored)) => {
                    assert_eq!(decide(stored.clone()), Ok(vec![]));
                    let artifact_id = artifact(n);
                    let other = Rejected::ArtifactAlreadyUploaded { artifact_id };
                    assert_eq!(decide(picture("other")), Err(other));
                }
                Ok(UploadSlot::Free { announced }) => {
                    assert_eq!(decide(picture("board")), Ok(vec![uploaded(n, "board")]));
                    let found = MediaType::Png;
                    let mismatch = Rejected::MediaTypeMismatch { announced, found };
                    assert_eq!(decide(png.clone()), Err(mismatch));
                }
            }
        }
    }
}
