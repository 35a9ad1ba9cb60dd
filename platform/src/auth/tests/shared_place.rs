//! Keys in a directory that somebody else keeps: a mounted secret that is swapped, and whatever goes wrong there.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::auth::{AgreedKey, InstallationKeys, KeyError, KeyPlace, KeyPurpose};

/// A mounted secret as Kubernetes makes one: its files are links through `..data`, which is swapped as a whole.
struct Mount {
    folder: tempfile::TempDir,
    versions: usize,
}

impl Mount {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let mut mount = Self { folder: tempfile::tempdir().unwrap(), versions: 0 };
        mount.swap(files);
        mount
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn place(&self) -> KeyPlace {
        KeyPlace::shared(self.path())
    }

    /// In the order in which kubelet does it: the new version beside the old one, the swap, then the names.
    fn swap(&mut self, files: &[(&str, &[u8])]) {
        self.versions += 1;
        let version = format!("..version_{}", self.versions);
        let folder = self.path().join(&version);
        std::fs::create_dir(&folder).unwrap();
        for (name, bytes) in files {
            write(&folder.join(name), bytes);
        }
        let link = self.path().join("..data_tmp");
        symlink(&version, &link).unwrap();
        std::fs::rename(&link, self.path().join("..data")).unwrap();
        for (name, _) in files {
            let _ = symlink(format!("..data/{name}"), self.path().join(name));
        }
        for entry in std::fs::read_dir(self.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.starts_with("..") && !files.iter().any(|(kept, _)| *kept == name) {
                std::fs::remove_file(self.path().join(name)).unwrap();
            }
        }
        let _ =
            std::fs::remove_dir_all(self.path().join(format!("..version_{}", self.versions - 1)));
    }
}

/// A key file as a mounted secret has it, for its owner and the group.
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o440)).unwrap();
}

/// Keys of tokens, and one secret, as the files of a secret.
struct Files {
    tokens: Vec<(String, Vec<u8>)>,
    secret: Vec<u8>,
}

impl Files {
    /// As many keys of tokens, made a minute apart.
    fn new(count: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let begun = later(Utc::now(), -3_600);
        let mut ring = KeyRing::create(KeyPlace::shared(folder.path()), begun).unwrap();
        for n in 1..count {
            ring.rotate(KeyPurpose::Tokens, later(begun, 60 * n)).unwrap();
        }
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> =
            names.filter(|path| path.extension().is_some_and(|found| found == "pk8")).collect();
        paths.sort();
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let tokens = paths.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect();
        Self { tokens, secret: std::fs::read(folder.path().join("url-signing-key")).unwrap() }
    }

    /// These keys of tokens, and the secret.
    fn some(&self, keys: std::ops::Range<usize>) -> Vec<(&str, &[u8])> {
        let secret = ("url-signing-key", self.secret.as_slice());
        let tokens =
            self.tokens[keys].iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
        tokens.chain([secret]).collect()
    }
}

fn ids(keys: &InstallationKeys) -> Vec<String> {
    let held = keys.held().into_iter().filter(|key| key.purpose == KeyPurpose::Tokens);
    held.map(|key| key.id).collect()
}

/// What the processes of an installation know of these keys, of which the first `known` are known to all.
fn agreement(ids: &[String], known: usize) -> Vec<AgreedKey> {
    let agreed = |(n, id): (usize, &String)| AgreedKey {
        id: id.clone(),
        purpose: KeyPurpose::Tokens,
        first_seen_at: later(Utc::now(), n as i64 - 3_600),
        is_published: true,
        signed_by: 0,
        known_by: if n < known { 2 } else { 1 },
        holders: 2,
    };
    ids.iter().enumerate().map(agreed).collect()
}

#[test]
fn a_mounted_secret_is_followed_as_it_is_swapped() {
    let (files, now) = (Files::new(2), Utc::now());
    let mut mount = Mount::new(&files.some(0..1));
    let keys = InstallationKeys::new(&KeyRing::find(mount.place()).unwrap());
    let issuer = TokenIssuer::on_keys(&keys, TokenConfig::default());
    let (verifier, old) = (issuer.verifier(), issuer.issue(&engineer(), now).unwrap().token);
    keys.agree(agreement(&ids(&keys), 1));

    mount.swap(&files.some(0..2));
    keys.read_again();
    assert_eq!((ids(&keys).len(), keys.faults()), (2, vec![]));
    keys.agree(agreement(&ids(&keys), 1));
    let signed_with = |at: usize| {
        let token = issuer.issue(&engineer(), now).unwrap().token;
        assert!(verifier.verify(&token, now).is_ok());
        let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
        assert_eq!(kid, ids(&keys)[at]);
    };
    // Old enough by its name, published, and not known to the other process.
    signed_with(0);
    assert_eq!(issuer.jwks()["keys"].as_array().unwrap().len(), 2, "it is published");
    keys.agree(agreement(&ids(&keys), 2));
    signed_with(1);
    assert!(verifier.verify(&old, now).is_ok(), "what is signed stays good");

    mount.swap(&files.some(1..2));
    keys.read_again();
    signed_with(0);
    assert_eq!(verifier.verify(&old, now), Err(AuthError::UnknownKey));
}

#[test]
fn nothing_that_becomes_of_the_directory_takes_the_keys_away() {
    let (files, now) = (Files::new(2), Utc::now());
    let folder = tempfile::tempdir().unwrap();
    let (keys_dir, away) = (folder.path().join("keys"), folder.path().join("away"));
    std::fs::create_dir(&keys_dir).unwrap();
    for (name, bytes) in files.some(0..2) {
        write(&keys_dir.join(name), bytes);
    }
    let keys = InstallationKeys::new(&KeyRing::find(KeyPlace::shared(&keys_dir)).unwrap());
    let issuer = TokenIssuer::on_keys(&keys, TokenConfig::default());
    let (known, first) = (ids(&keys), keys_dir.join(&files.tokens[0].0));
    let tokens_are_good = |what: &str, said: &str| {
        keys.read_again();
        let faults = keys.faults();
        assert!(faults.iter().any(|fault| fault.contains(said)), "{what}: {faults:?}");
        assert_eq!(ids(&keys), known, "{what}");
        let token = issuer.issue(&engineer(), now).unwrap().token;
        assert!(issuer.verifier().verify(&token, now).is_ok(), "{what}");
    };
    for half in [0, 1, 40, files.tokens[0].1.len() - 1] {
        std::fs::remove_file(&first).unwrap();
        write(&first, &files.tokens[0].1[..half]);
        tokens_are_good("half a key", "is not an Ed25519 key");
    }
    std::fs::remove_file(&first).unwrap();
    write(&first, &files.tokens[0].1);
    std::fs::set_permissions(&first, Permissions::from_mode(0o664)).unwrap();
    tokens_are_good("a key that all may read", "mode 0664");
    std::fs::set_permissions(&first, Permissions::from_mode(0o440)).unwrap();
    std::fs::rename(&keys_dir, &away).unwrap();
    tokens_are_good("a directory that is away", "cannot change or list");
    std::fs::create_dir(&keys_dir).unwrap();
    tokens_are_good("a mount point without its mount", "there are no keys of tokens");
    std::fs::set_permissions(&keys_dir, Permissions::from_mode(0o777)).unwrap();
    tokens_are_good("a directory that all may write", "every user may put keys into");
    std::fs::remove_dir(&keys_dir).unwrap();
    std::fs::rename(&away, &keys_dir).unwrap();
    keys.read_again();
    assert_eq!((ids(&keys), keys.faults()), (known.clone(), vec![]), "as it was");
    // A key that is damaged keeps no other one from being retired.
    std::fs::remove_file(keys_dir.join("url-signing-key")).unwrap();
    write(&keys_dir.join("url-signing-key"), b"half");
    std::fs::remove_file(&first).unwrap();
    keys.read_again();
    assert_eq!(ids(&keys), known[1..]);
    assert_eq!(keys.faults().len(), 1, "{:?}", keys.faults());
}

/// Opening a pipe waits for whoever writes into it.
#[test]
fn a_pipe_among_the_keys_is_said_and_not_waited_for() {
    let files = Files::new(1);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files.some(0..1) {
        write(&folder.path().join(name), bytes);
    }
    let pipe = folder.path().join("pipe.pem");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let faults = KeyRing::faults_in(&KeyPlace::shared(folder.path()));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].to_string().contains("pipe.pem"), "{faults:?}");
}

#[test]
fn what_is_read_is_one_version_of_a_secret_and_never_half_of_two() {
    let files = Files::new(3);
    let mut mount = Mount::new(&files.some(0..2));
    let (place, ended) = (mount.place(), AtomicBool::new(false));
    let versions = [0..2, 1..3].map(|keys| {
        let version = Mount::new(&files.some(keys));
        ids(&InstallationKeys::new(&KeyRing::find(version.place()).unwrap()))
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..200 {
                mount.swap(&files.some(if n % 2 == 0 { 0..2 } else { 1..3 }));
                std::thread::sleep(Duration::from_millis(5));
            }
            ended.store(true, Ordering::SeqCst);
        });
        let (mut seen, mut readings) = ([0, 0], 0);
        while !ended.load(Ordering::SeqCst) {
            readings += 1;
            // Where the directory is never still, nothing is taken.
            let Ok(ring) = KeyRing::find(place.clone()) else { continue };
            let read = ids(&InstallationKeys::new(&ring));
            let which = versions.iter().position(|version| *version == read);
            seen[which.unwrap_or_else(|| panic!("{read:?} is neither of {versions:?}"))] += 1;
        }
        eprintln!("{readings} readings, {seen:?} of each version");
        assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
    });
}

#[test]
fn everything_that_is_wrong_with_a_directory_is_said_a_sentence_for_each() {
    let faults = |place: &Path| -> Vec<String> {
        let faults = KeyRing::faults_in(&KeyPlace::shared(place));
        faults.iter().map(ToString::to_string).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let said = faults(&folder.path().join("missing"));
    assert!(said.len() == 1 && said[0].contains("mounted"), "{said:?}");
    let said = faults(folder.path());
    assert!(said.len() == 2 && said[0].contains("chipq keys init"), "{said:?}");
    let files = Files::new(1);
    write(&folder.path().join(&files.tokens[0].0), &files.tokens[0].1[..20]);
    write(&folder.path().join("url-signing-key"), b"half");
    let open = folder.path().join("url-signing-key-001790000000000");
    write(&open, &files.secret);
    std::fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    let said = faults(folder.path());
    let expected = ["is not an Ed25519 key", "is not a secret of 32 bytes", "give it mode 0440"];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for expected in expected {
        assert_eq!(said.iter().filter(|said| said.contains(expected)).count(), 1, "{said:?}");
    }
}

#[test]
fn a_mounted_secret_is_changed_where_it_comes_from() {
    let (files, now) = (Files::new(2), Utc::now());
    let mount = Mount::new(&files.some(0..2));
    let mut ring = KeyRing::find(mount.place()).unwrap();
    let before = ids(&InstallationKeys::new(&ring));
    let said = ring.rotate(KeyPurpose::Tokens, now).unwrap_err();
    assert!(matches!(said, KeyError::ReadOnly { .. }));
    assert!(said.to_string().contains("openssl genpkey -algorithm ed25519"), "{said}");
    let said = ring.rotate(KeyPurpose::Urls, now).unwrap_err().to_string();
    assert!(said.contains("openssl rand -hex 32") && said.contains("url-signing-key-0"), "{said}");
    let said = ring.retire(&before[0], now).unwrap_err().to_string();
    assert!(said.contains(&format!("take {} out", files.tokens[0].0)), "{said}");
    assert!(matches!(ring.retire(&before[1], now), Err(KeyError::StillSigns(_))));
    let again = KeyRing::find(mount.place()).unwrap();
    assert_eq!(ids(&InstallationKeys::new(&again)), before, "nothing was changed");
}
