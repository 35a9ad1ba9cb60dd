//! Two engines on generated boards: alike, blind, and broken. The engines answer with the real
//! network; what makes them differ is done to its answers.

use boards::write_boards;
use domain::Sha256;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use inference::engine::{BatchSizes, EmbeddedEngine, EngineError};
use vision::{CropBatch, CropOutput};

use super::*;

/// The embedded network whose answers are altered on the way out.
struct Altered {
    model: ModelIdentity,
    network: EmbeddedEngine,
    alter: fn(&mut CropOutput) -> Result<(), EngineError>,
}

impl Engine for Altered {
    fn model(&self) -> &ModelIdentity {
        &self.model
    }

    fn batch_sizes(&self) -> &BatchSizes {
        self.network.batch_sizes()
    }

    fn infer(&self, crops: CropBatch) -> BoxFuture<'_, Result<Vec<CropOutput>, EngineError>> {
        let alter = |mut output| (self.alter)(&mut output).map(|()| output);
        let altered =
            self.network.run(&crops).and_then(|outputs| outputs.into_iter().map(alter).collect());
        async move { altered }.boxed()
    }
}

fn altered(alter: fn(&mut CropOutput) -> Result<(), EngineError>) -> Arc<dyn Engine> {
    let network = EmbeddedEngine::load().expect("the model");
    let sha256 = Sha256::digest_of(b"altered");
    let model = ModelIdentity { name: "golden-compare".into(), version: "2".into(), sha256 };
    Arc::new(Altered { model, network, alter })
}

fn shipped() -> Arc<dyn Engine> {
    Arc::new(EmbeddedEngine::load().expect("the model"))
}

fn set() -> Arc<FixedSet> {
    generated(4, 2, 0)
}

fn generated(flawed: usize, clean: usize, photographs: usize) -> Arc<FixedSet> {
    Arc::new(FixedSet::from_generator(GeneratedBoards { flawed, clean, photographs }))
}

#[tokio::test]
async fn a_model_is_never_worse_than_itself() {
    let mut done = Vec::new();
    let same =
        compare_engines(shipped(), shipped(), &set(), |boards| done.push(boards)).await.unwrap();
    assert_eq!(done, [1, 2, 3, 4, 5, 6]);
    assert_eq!((same.boards, same.changed.len(), same.worse_ways()), (6, 0, vec![]));
    assert_eq!(same.old.found, same.new.found);
    let FindingMatches { matched, renamed, only_old, only_new, .. } = same.matches;
    assert!(matched >= 12 && same.crops >= matched, "{same:?}");
    assert_eq!((renamed, only_old, only_new), (0, 0, 0));
    assert!(same.old.found.found * 100 >= same.labels * 90, "{same:?}");
    assert!(same.old.ms_per_crop > 0.0 && same.new.ms_per_crop > 0.0, "{same:?}");
}

#[tokio::test]
async fn a_model_that_sees_nothing_is_refused_and_passes_no_flawed_board() {
    let blind = altered(|output| {
        output.probabilities = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        Ok(())
    });
    let compared = compare_engines(shipped(), blind, &set(), |_| ()).await.unwrap();
    let worse = compared.worse_ways();
    // What differs and has no name is unexplained: the boards go to review, whatever the network says.
    let [WorseWay::FewerDefectsFound { new: 0, .. }] = &worse[..] else { panic!("{worse:?}") };
    // Findings that are only doubtful count here as well.
    let sure = compared.old.found.found + compared.old.found.false_calls;
    assert!(compared.matches.only_old >= sure && sure > 0, "{compared:?}");
}

#[tokio::test]
async fn a_model_that_sees_nothing_on_photographs_is_refused() {
    let blind = altered(|output| {
        output.probabilities = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        Ok(())
    });
    let compared = compare_engines(shipped(), blind, &generated(0, 0, 2), |_| ()).await.unwrap();
    let named = compared.old.found.named;
    assert!(compared.not_comparable == 0 && compared.labels >= 8, "{compared:?}");
    assert!(named * 10 >= compared.labels * 7, "{named} of {}", compared.labels);
    let worse = compared.worse_ways();
    let [WorseWay::FewerDefectsFound { new: 0, .. }] = &worse[..] else { panic!("{worse:?}") };
}

#[tokio::test]
async fn a_model_that_cries_wolf_is_refused_for_its_false_calls() {
    let wolf = altered(|output| {
        output.probabilities = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        output.sides = [4.0; 4];
        Ok(())
    });
    let compared = compare_engines(shipped(), wolf, &set(), |_| ()).await.unwrap();
    let worse = compared.worse_ways();
    assert!(
        worse.iter().any(|worse| matches!(worse, WorseWay::MoreFalseCalls { .. })),
        "{worse:?}"
    );
}

#[tokio::test]
async fn a_model_that_fails_on_a_board_is_named_with_the_board() {
    let broken = altered(|_| Err(EngineError::Backend { detail: "out of order".into() }));
    let error = compare_engines(shipped(), broken, &set(), |_| ()).await.unwrap_err().to_string();
    assert!(error.contains("version 2 failed on board generated-00000"), "{error}");
    assert!(error.contains("out of order"), "{error}");
}

#[tokio::test]
async fn boards_of_a_folder_are_compared_and_one_that_was_altered_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_boards(3, 11, &boards::BoardOptions::default(), folder.path()).unwrap();
    let set = Arc::new(FixedSet::from_folder(folder.path()).unwrap());
    assert!(set.name().starts_with("3 boards of chipq generated boards"), "{}", set.name());
    let same = compare_engines(shipped(), shipped(), &set, |_| ()).await.unwrap();
    assert_eq!((same.boards, same.worse_ways()), (3, vec![]));
    assert!(same.labels >= 9, "{same:?}");
    std::fs::write(folder.path().join("images/00000001_test.png"), "another").unwrap();
    let refused = compare_engines(shipped(), shipped(), &set, |_| ()).await.unwrap_err();
    assert!(matches!(refused, AcceptanceError::Set(SetError::Digest { .. })), "{refused}");
    assert!(matches!(
        FixedSet::from_folder(&folder.path().join("none")),
        Err(SetError::Read { .. })
    ));
}

#[tokio::test]
async fn a_model_whose_classes_are_permuted_is_refused_for_their_names() {
    let permuted = altered(|output| {
        output.probabilities[1..].rotate_right(1);
        Ok(())
    });
    let compared = compare_engines(shipped(), permuted, &set(), |_| ()).await.unwrap();
    assert_eq!(compared.new.found.found, compared.old.found.found, "it finds as much");
    let worse = compared.worse_ways();
    let [WorseWay::FewerRightlyNamed { new: 0, .. }] = &worse[..] else { panic!("{worse:?}") };
}

#[tokio::test]
async fn a_model_that_doubts_what_is_well_is_refused_for_the_boards_that_it_holds_up() {
    let doubtful = altered(|output| {
        if output.probabilities[0] > 0.5 {
            output.probabilities = [0.6, 0.0, 0.0, 0.0, 0.0, 0.4, 0.0, 0.0];
            output.sides = [4.0; 4];
        }
        Ok(())
    });
    // Boards on which the network in use has something to call nothing.
    let set = generated(4, 8, 0);
    let compared = compare_engines(shipped(), doubtful, &set, |_| ()).await.unwrap();
    assert_eq!(compared.new.found.found, compared.old.found.found, "it finds as much");
    assert_eq!(compared.new.found.false_calls, compared.old.found.false_calls, "and calls no more");
    let worse = compared.worse_ways();
    let [WorseWay::CleanBoardsDoNotPass { boards }, WorseWay::MoreDoubts { .. }] = &worse[..]
    else {
        panic!("{worse:?}")
    };
    assert!(!boards.is_empty());
}

#[tokio::test]
async fn a_set_of_boards_that_cannot_be_compared_accepts_no_model() {
    let folder = tempfile::tempdir().unwrap();
    write_boards(4, 11, &boards::BoardOptions::default(), folder.path()).unwrap();
    // Every board beside the golden sample of another part.
    let path = folder.path().join("manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let items = manifest["items"].as_array_mut().unwrap();
    let templates: Vec<_> = items.iter().map(|item| item["template"].clone()).collect();
    for (at, item) in items.iter_mut().enumerate() {
        let other = templates.iter().cycle().skip(at).find(|other| **other != templates[at]);
        item["template"] = other.unwrap().clone();
    }
    std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    let set = Arc::new(FixedSet::from_folder(folder.path()).unwrap());
    let compared = compare_engines(shipped(), shipped(), &set, |_| ()).await.unwrap();
    let nothing = WorseWay::SetShowsNothing { compared: 0, boards: 4, labels: 0 };
    assert_eq!(compared.worse_ways(), [nothing]);
}
