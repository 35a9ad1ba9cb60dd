//! Two machines behind one address: every role twice, two data folders, one database, one store of pictures, one
//! directory of keys. One of them is killed at random under load and started again; keys are rotated meanwhile. Nothing
//! is lost or doubled, no token is refused, and a subscriber goes on from its cursor wherever it lands.
//!
//! `CHIPQ_KILLS=10` kills ten times instead of four; `CHIPQ_SEED=7` chooses other moments. The same goes on with their
//! pictures in a bucket, where `CHIPQ_SEAWEEDFS` names a store (`deploy/ensure-seaweedfs`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "machines/balancer.rs"]
mod balancer;
#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "machines/caller.rs"]
mod caller;
#[path = "machines/feed.rs"]
mod feed;
#[path = "machines/line.rs"]
mod line;
#[path = "machines/outcome.rs"]
mod outcome;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/server_process.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod server_process;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;
#[path = "s3/store.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod store;
#[path = "kill_nine/verdict.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod verdict;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::platform::test_support::{free_port, fresh_database};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use tokio::sync::watch;

use balancer::Balancer;
use caller::Caller;
use feed::Feed;
use line::Work;
use platform::{Platform, chipq, finished, folder};
use station::Station;
use store::S3Store;
use verdict::Verdict;

/// Lines that push boards at the same time.
const LINES: usize = 3;
/// How long something may take that takes seconds, on hardware that may be busy.
const PATIENCE: Duration = Duration::from_secs(180);

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

/// What two machines share, and what each has for itself.
struct Site {
    database: String,
    /// Where their pictures are, and what it takes to get at them.
    store: Vec<(String, String)>,
    keys: PathBuf,
    data: [PathBuf; 2],
    ports: [u16; 2],
}

impl Site {
    /// With their pictures in a folder that both share.
    fn new(folder: &Path, database: &str) -> Self {
        let pictures = folder.join("pictures").display().to_string();
        Self::with_store(folder, database, &[("CHIPQ_ARTIFACT_STORE_URL", &pictures)])
    }

    fn with_store(folder: &Path, database: &str, store: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let store = store.iter().map(owned).collect();
        let keys = folder.join("keys");
        let (code, _, said) = finished(chipq(&["keys", "init"]).arg(&keys));
        assert_eq!(code, 0, "{said}");
        let data = ["one", "two"].map(|name| folder.join(name));
        let (database, ports) = (database.to_owned(), [free_port(), free_port()]);
        Self { database, store, keys, data, ports }
    }

    /// Starts every role of one machine, and waits until they are ready.
    fn start(&self, machine: usize) -> Platform {
        let keys = self.keys.to_str().unwrap();
        let mut environment = vec![
            ("CHIPQ_DATABASE_URL", self.database.as_str()),
            ("CHIPQ_KEYS", keys),
            ("CHIPQ_RATE_PER_SECOND", "100000"),
            ("CHIPQ_RATE_BURST", "100000"),
            ("CHIPQ_TOKEN_RATE_PER_SECOND", "10000"),
        ];
        environment.extend(self.store.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Platform::start_with(&self.data[machine], self.ports[machine], &environment)
    }

    fn operate(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = chipq(arguments);
        command.arg("--database-url").arg(&self.database).arg("--data").arg(&self.data[0]);
        finished(&mut command)
    }

    fn keys(&self, arguments: &[&str]) -> String {
        let keys = ["--keys", self.keys.to_str().unwrap()];
        let (code, said, error) = self.operate(&[&["keys"], arguments, &keys].concat());
        assert_eq!(code, 0, "{arguments:?}: {error}");
        said.trim().to_owned()
    }

    /// The ids of the keys that sign now: of tokens, and of URLs.
    fn signing(&self) -> Vec<String> {
        let listed: Value = serde_json::from_str(&self.keys(&["list", "--json"])).unwrap();
        let signing = listed.as_array().unwrap().iter().filter(|key| key["use"] == "signs");
        signing.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn published(port: u16) -> Vec<String> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.get(format!("http://127.0.0.1:{port}/.well-known/jwks.json"));
    let Ok((_, set)) = station::answer(request).await else { return Vec::new() };
    let keys = set["keys"].as_array().into_iter().flatten();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Kills one of the two at random, and starts it again; the other one serves.
async fn kill_at_random(
    site: &Site,
    machines: &mut [Option<Platform>],
    work: &Work,
    (kills, seed): (u64, u64),
) {
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..kills {
        let target = work.pushed.load(Ordering::SeqCst) + random.random_range(1..4);
        until("boards are pushed", async || work.pushed.load(Ordering::SeqCst) >= target).await;
        tokio::time::sleep(Duration::from_micros(random.random_range(0..50_000))).await;
        let victim = random.random_range(0..machines.len());
        eprintln!("round {round}: kill -9 of machine {victim}");
        machines[victim].take().unwrap().kill();
        let while_one_serves = work.pushed.load(Ordering::SeqCst) + LINES;
        until("one machine goes on", async || {
            work.pushed.load(Ordering::SeqCst) >= while_one_serves
        })
        .await;
        machines[victim] = Some(site.start(victim));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_behind_one_address_lose_and_double_nothing() {
    let database = fresh_database().await;
    let folder = folder();
    let site = Site::new(folder.path(), database.url());
    run_under_load(folder.path(), site, number("CHIPQ_KILLS", 4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_with_their_pictures_in_a_bucket_lose_and_double_nothing() {
    if !store::is_installed() {
        return;
    }
    let database = fresh_database().await;
    let folder = folder();
    let bucket = S3Store::start(&folder.path().join("bucket"));
    let url = bucket.url();
    let site = Site::with_store(folder.path(), database.url(), &store::environment(&url));
    run_under_load(folder.path(), site, number("CHIPQ_KILLS", 2)).await;
}

async fn run_under_load(folder: &Path, site: Site, kills: u64) {
    let pairs = boards::boards(&folder.join("boards"), 4, 50);
    let verdicts: Vec<Verdict> =
        pairs.iter().map(|pair| Verdict::inspect(&pairs[0].golden, &pair.test)).collect();
    let mut machines = [Some(site.start(0)), Some(site.start(1))];
    let balancer = Balancer::before(&site.ports).await;
    let caller = Caller::sign_in(&balancer.url).await;
    line::register_part(&caller, &pairs[0]).await;
    let old = site.signing();
    let work = Arc::new(Work {
        url: balancer.url.clone(),
        pairs,
        pushed: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    });
    let lines: Vec<_> = (0..LINES)
        .map(|n| tokio::spawn(line::push_boards(n, Arc::clone(&work), caller.clone())))
        .collect();
    let (last, told) = watch::channel(0);
    let feed = tokio::spawn(Feed::follow(caller.clone(), told));

    // Under load: keys are rotated, machines are killed, and the new keys come to sign.
    let rotate = ["rotate", "--reason", "in the middle of everything", "--of"];
    let new = ["tokens", "urls"].map(|of| site.keys(&[&rotate[..], &[of]].concat()));
    kill_at_random(&site, &mut machines, &work, (kills, number("CHIPQ_SEED", 34))).await;
    until("the new keys sign", async || site.signing() == new).await;
    until("a token is signed with the new key", async || caller.kids().contains(&new[0])).await;
    let target = work.pushed.load(Ordering::SeqCst) + 2 * LINES;
    until("boards are pushed with the new keys", async || {
        work.pushed.load(Ordering::SeqCst) >= target
    })
    .await;
    work.is_over.store(true, Ordering::SeqCst);
    let mut boards = Vec::new();
    for line in lines {
        boards.extend(line.await.unwrap());
    }
    eprintln!("{} boards by {:?} connections", boards.len(), balancer.connections());
    assert!(balancer.connections().iter().all(|connections| *connections > 20));
    let kids: Vec<_> = caller.kids().into_iter().collect();
    assert!(kids.contains(&old[0]) && kids.contains(&new[0]) && kids.len() == 2, "{kids:?}");

    outcome::check_verdicts(&work.url, &boards, &verdicts).await;
    let events = outcome::check_log(&site.database, &boards).await;
    last.send_replace(events.last().unwrap().0);
    let feed = feed.await.unwrap();
    eprintln!("{} changes by {} feeds", feed.changes.len(), feed.openings);
    assert!(feed.openings > 2, "it went on from its cursor on another machine");
    assert_eq!(feed.changes, events, "what a subscriber saw is the log");

    for key in &old {
        site.keys(&["retire", key, "--reason", "the new ones sign"]);
    }
    for port in site.ports {
        until("the old key is gone everywhere", async || published(port).await == new[..1]).await;
    }
    machines.into_iter().flatten().for_each(Platform::stop);
    let (code, said, errors) = site.operate(&["verify"]);
    assert_eq!(code, 0, "{said}{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_keys_of_its_own_is_told_so_and_changes_nothing() {
    let database = fresh_database().await;
    let folder = folder();
    let site = Site::new(folder.path(), database.url());
    let machine = site.start(0);
    let station = Station::sign_in(&machine.url).await;
    let start = |keys: Option<&Path>| {
        let mut command = chipq(&["up", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(&site.data[1]).args(["--database-url", &site.database]);
        if let Some(keys) = keys {
            command.arg("--keys").arg(keys);
        }
        finished(&mut command)
    };
    let (code, _, said) = start(None);
    assert_eq!((code, said.lines().count()), (64, 2), "{said}");
    assert!(said.contains("there are no keys in") && said.contains("--keys"), "{said}");
    assert!(!site.data[1].join("jwt-keys").exists(), "none are made: they would be others");

    let own = folder.path().join("own");
    assert_eq!(finished(chipq(&["keys", "init"]).arg(&own)).0, 0);
    let (code, _, said) = start(Some(&own));
    assert_eq!((code, said.lines().count()), (64, 2), "{said}");
    assert!(said.contains("none of the keys of tokens in") && said.contains("adopt"), "{said}");
    let adopt = ["keys", "adopt", "--reason", "x", "--keys", own.to_str().unwrap()];
    let (code, _, said) = site.operate(&adopt);
    assert!(code == 65 && said.contains("1 process(es) serve"), "{said}");
    let (code, _, said) = site.operate(&["keys", "list", "--keys", own.to_str().unwrap()]);
    assert!(code == 64 && said.contains("none of the keys"), "{said}");
    assert_eq!(station.get("/v1/inspections").await.unwrap().0, 200);
    machine.stop();

    // Where they are lost, the others are taken on purpose, and what was signed before is worth nothing.
    let (code, said, error) = site.operate(&adopt);
    assert_eq!((code, said.lines().count()), (0, 2), "{said}{error}");
    let site = Site { keys: own, ..site };
    let machine = site.start(0);
    assert_eq!(station.at(&machine.url).get("/v1/inspections").await.unwrap().0, 401);
    assert!(Station::try_sign_in(&machine.url).await.is_some());
    machine.stop();
}

#[test]
fn everything_that_is_wrong_with_the_keys_is_said_with_the_rest_before_anything_starts() {
    let folder = folder();
    let keys = folder.path().join("keys");
    let start = |role: &[&str]| {
        let mut command = chipq(role);
        command.arg("--data").arg(folder.path().join("data")).arg("--keys").arg(&keys);
        let database = ("CHIPQ_DATABASE_URL", "mysql://db/chipq");
        finished(command.env(database.0, database.1))
    };
    let roles = [&["up"][..], &["command-api"], &["query-api"]];
    for role in roles {
        let (code, _, said) = start(role);
        assert_eq!((code, said.lines().count()), (64, 2), "{role:?}: {said}");
        for wrong in ["not a PostgreSQL URL", "CHIPQ_KEYS: cannot change or list the key folder"] {
            assert!(said.contains(wrong), "{role:?}: {wrong}: {said}");
        }
    }
    assert!(!keys.exists() && !folder.path().join("data").exists(), "nothing was made");
    std::fs::create_dir(&keys).unwrap();
    for role in roles {
        let (code, _, said) = start(role);
        assert_eq!((code, said.matches("CHIPQ_KEYS: ").count()), (64, 2), "{role:?}: {said}");
        assert!(said.contains("there are no keys of tokens"), "{role:?}: {said}");
    }
    std::fs::write(keys.join("001790000000000.pem"), "half a key").unwrap();
    std::fs::write(keys.join("url-signing-key"), "half").unwrap();
    for role in roles {
        let (code, _, said) = start(role);
        assert_eq!((code, said.matches("CHIPQ_KEYS: ").count()), (64, 2), "{role:?}: {said}");
        assert!(said.contains("001790000000000.pem has mode 0644"), "{role:?}: {said}");
    }
    assert_eq!(std::fs::read_dir(&keys).unwrap().count(), 2, "nothing was made");
}
