//! The client against the stand-in: finding the leader and finding it again, what an append says, who is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "stand_in/cluster.rs"]
#[allow(dead_code, reason = "shared with the tests of the adapter")]
mod stand_in;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kurrentdb_client::{
    AllStart, AppendAnswer, ExpectedRevision, KurrentClient, KurrentCredentials, KurrentError,
    LeaderConnection, ProposedEvent, ReadOrder, StreamStart,
};
use stand_in::{Fault, StandIn};
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

const APPENDED_FIRST: AppendAnswer = AppendAnswer::Appended { last_revision: 0 };

fn client(url: &str) -> KurrentClient {
    KurrentClient::new(url.parse().unwrap(), None).unwrap()
}

fn client_as(url: &str, user: &str, password: &str) -> KurrentClient {
    let lookup = |name: &str| match name {
        "CHIPQ_KURRENTDB_USER" => Some(user.to_owned()),
        "CHIPQ_KURRENTDB_PASSWORD" => Some(password.to_owned()),
        _ => None,
    };
    let credentials = KurrentCredentials::from_lookup(lookup).unwrap();
    KurrentClient::new(url.parse().unwrap(), credentials.as_ref()).unwrap()
}

fn event(id: u128) -> ProposedEvent {
    ProposedEvent {
        id: Uuid::from_u128(id),
        event_type: "Happened".to_owned(),
        data: b"{\"n\":1}".to_vec(),
        metadata: b"{\"who\":\"me\"}".to_vec(),
    }
}

async fn append_first(leader: &LeaderConnection, id: u128) -> Result<AppendAnswer, KurrentError> {
    let stream = format!("chipq.test-{id}");
    leader.append_events(&stream, ExpectedRevision::NoStream, &[event(id)]).await
}

#[tokio::test]
async fn what_is_appended_is_read_back_from_its_stream_and_from_the_whole_log() {
    let cluster = StandIn::start(1).await;
    let leader = client(&cluster.url()).find_leader().await.unwrap();
    let both = [event(1), event(2)];
    let answer = leader.append_events("chipq.test-a", ExpectedRevision::NoStream, &both).await;
    assert_eq!(answer.unwrap(), AppendAnswer::Appended { last_revision: 1 });
    leader.append_events("others", ExpectedRevision::NoStream, &[event(3)]).await.unwrap();
    cluster.world().log.append_system_event("$stats");

    let from = (StreamStart::Revision(1), ReadOrder::Forwards);
    let read = leader.read_stream("chipq.test-a", from, 10).await.unwrap();
    assert_eq!(read.len(), 1);
    let last = read.into_iter().next().unwrap();
    assert_eq!((last.id, last.revision), (Uuid::from_u128(2), 1));
    assert_eq!((last.event_type.as_str(), &*last.data), ("Happened", b"{\"n\":1}".as_slice()));
    assert!(last.created_ticks.unwrap() > 17_000_000_000_000_000);
    let end = (StreamStart::End, ReadOrder::Backwards);
    assert_eq!(
        leader.read_stream("chipq.test-a", end, 1).await.unwrap(),
        std::slice::from_ref(&last)
    );
    assert_eq!(leader.read_stream("chipq.none", end, 1).await.unwrap(), []);

    let all = (AllStart::Beginning, ReadOrder::Forwards);
    let all = leader.read_all("chipq.", all, 10).await.unwrap();
    assert_eq!(all.iter().map(|event| event.revision).collect::<Vec<_>>(), [0, 1]);
    let again = (AllStart::Position(last.position.unwrap()), ReadOrder::Forwards);
    assert_eq!(
        leader.read_all("chipq.", again, 10).await.unwrap(),
        std::slice::from_ref(&last),
        "inclusive"
    );
    let back = (AllStart::End, ReadOrder::Backwards);
    assert_eq!(leader.read_all("chipq.", back, 1).await.unwrap(), [last]);
}

#[tokio::test]
async fn an_append_that_is_sent_again_is_recognised_and_another_one_is_a_conflict() {
    let cluster = StandIn::start(1).await;
    let leader = client(&cluster.url()).find_leader().await.unwrap();
    assert_eq!(append_first(&leader, 1).await.unwrap(), APPENDED_FIRST);
    assert_eq!(append_first(&leader, 1).await.unwrap(), APPENDED_FIRST, "the same ids");
    let other = [event(9)];
    for expected in [ExpectedRevision::NoStream, ExpectedRevision::Exactly(7)] {
        let answer = leader.append_events("chipq.test-1", expected, &other).await.unwrap();
        assert_eq!(answer, AppendAnswer::WrongRevision, "{expected:?}");
    }
    let partly = [event(1), event(9)];
    let answer = leader.append_events("chipq.test-1", ExpectedRevision::NoStream, &partly).await;
    assert_eq!(answer.unwrap(), AppendAnswer::WrongRevision, "only the first is there");
}

#[tokio::test]
async fn the_leader_is_found_by_any_node_and_found_again_when_another_one_leads() {
    let cluster = StandIn::start(3).await;
    let last = format!("kurrentdb://127.0.0.1:{}?tls=false", cluster.world().nodes[2].port);
    let client = client(&last);
    let first = client.find_leader().await.unwrap();
    assert_eq!(first.address().port, cluster.world().nodes[0].port);

    cluster.fail_next("chipq.", &[Fault::NotLeader]);
    let error = append_first(&first, 1).await.unwrap_err();
    assert!(matches!(&error, KurrentError::NotLeader { leader: Some(_) }), "{error}");
    assert!(error.may_pass());
    client.give_up(&first, &error).await;
    let second = client.find_leader().await.unwrap();
    assert_eq!(second.address().port, cluster.world().nodes[1].port);
    assert_ne!(second.instance(), first.instance());
    append_first(&second, 1).await.unwrap();

    // Also where the node by which it was found is gone, and the leader dies without a word.
    cluster.kill_node(2);
    cluster.kill_node(1);
    cluster.elect(None);
    let error = append_first(&second, 2).await.unwrap_err();
    assert!(error.may_pass(), "{error}");
    client.give_up(&second, &error).await;
    let nobody = client.find_leader().await.err().unwrap();
    assert!(matches!(nobody, KurrentError::NoLeader { .. }), "{nobody}");
    cluster.elect(Some(0));
    append_first(&client.find_leader().await.unwrap(), 2).await.unwrap();
}

#[tokio::test]
async fn a_connection_never_becomes_one_to_another_life_of_the_server() {
    let cluster = StandIn::start(1).await;
    let client = client(&cluster.url());
    let before = client.find_leader().await.unwrap();
    append_first(&before, 1).await.unwrap();
    let backup = cluster.back_up();
    append_first(&before, 2).await.unwrap();
    cluster.put_back(backup).await;
    for _ in 0..3 {
        let error = append_first(&before, 3).await.unwrap_err();
        assert!(matches!(error, KurrentError::Unreachable { .. }), "{error}");
    }
    assert!(cluster.back_up().stream("chipq.test-3").is_none(), "nothing went past the restore");
    client.give_up(&before, &KurrentError::NoAnswer(String::new())).await;
    let after = client.find_leader().await.unwrap();
    assert_ne!(after.instance(), before.instance());
}

#[tokio::test]
async fn a_first_connection_that_is_refused_is_tried_again() {
    let cluster = StandIn::start(1).await;
    cluster.kill_node(0);
    let client = client(&cluster.url());
    for _ in 0..2 {
        let error = client.find_leader().await.err().unwrap();
        assert!(matches!(error, KurrentError::Unreachable { .. }) && error.may_pass(), "{error}");
    }
    cluster.start_node(0).await;
    append_first(&client.find_leader().await.unwrap(), 1).await.unwrap();
}

#[tokio::test]
async fn what_is_unknown_may_be_there_or_not_and_sending_it_again_decides() {
    let cluster = StandIn::start(1).await;
    let client = client(&cluster.url());
    let faults =
        [Fault::TimeoutApplied, Fault::TimeoutNotApplied, Fault::CutApplied, Fault::CutNotApplied];
    for (id, fault) in (1..).zip(faults) {
        cluster.fail_next("chipq.", &[fault]);
        let leader = client.find_leader().await.unwrap();
        let error = append_first(&leader, id).await.unwrap_err();
        assert!(error.may_pass(), "{fault:?}: {error}");
        let is_there = cluster.back_up().stream(&format!("chipq.test-{id}")).is_some();
        assert_eq!(is_there, matches!(fault, Fault::TimeoutApplied | Fault::CutApplied));
        client.give_up(&leader, &error).await;
        let leader = client.find_leader().await.unwrap();
        assert_eq!(append_first(&leader, id).await.unwrap(), APPENDED_FIRST, "{fault:?}");
        assert_eq!(cluster.back_up().stream(&format!("chipq.test-{id}")).unwrap().len(), 1);
    }
    cluster.fail_next("chipq.", &[Fault::Busy]);
    let busy = append_first(&client.find_leader().await.unwrap(), 9).await.unwrap_err();
    assert!(matches!(busy, KurrentError::Interrupted(_)) && busy.may_pass(), "{busy}");
}

#[tokio::test]
async fn what_no_waiting_helps_against_is_said_in_a_sentence() {
    let cluster = StandIn::start(1).await;
    let leader = client(&cluster.url()).find_leader().await.unwrap();
    append_first(&leader, 1).await.unwrap();
    cluster.world().log.tombstone("chipq.test-1");
    let deleted = append_first(&leader, 1).await.unwrap_err();
    assert!(matches!(&deleted, KurrentError::StreamDeleted(name) if name == "chipq.test-1"));
    let from = (StreamStart::Revision(0), ReadOrder::Forwards);
    let deleted = leader.read_stream("chipq.test-1", from, 1).await.unwrap_err();
    assert!(matches!(deleted, KurrentError::StreamDeleted(_)), "{deleted}");

    cluster.world().append_bytes_max = 5;
    let large = append_first(&leader, 2).await.unwrap_err();
    assert!(matches!(large, KurrentError::TooLarge(_)) && !large.may_pass(), "{large}");
    cluster.world().may_append = false;
    let denied = append_first(&leader, 3).await.unwrap_err();
    assert!(matches!(denied, KurrentError::Denied(_)) && !denied.may_pass(), "{denied}");
}

#[tokio::test]
async fn user_and_password_are_shown_and_wrong_ones_are_refused() {
    let cluster = StandIn::start(1).await;
    cluster.world().credentials = Some(("ops".to_owned(), "right".to_owned()));
    let url = cluster.url();
    for refused in [client(&url), client_as(&url, "ops", "wrong")] {
        let error = refused.find_leader().await.err().unwrap();
        assert!(matches!(error, KurrentError::WrongCredentials) && !error.may_pass(), "{error}");
    }
    let leader = client_as(&url, "ops", "right").find_leader().await.unwrap();
    append_first(&leader, 1).await.unwrap();
}

#[tokio::test]
async fn what_breaks_off_before_it_answers_is_asked_about() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let page =
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(page).await;
        }
    });
    let error = client(&format!("kurrentdb://{address}?tls=false")).find_leader().await.err();
    let error = error.unwrap().to_string();
    assert!(error.contains("is it a KurrentDB, and is tls as it has it?"), "{error}");
}

#[tokio::test]
async fn whoever_subscribes_hears_of_what_is_appended_and_of_nothing_else() {
    let cluster = StandIn::start(1).await;
    let leader = client(&cluster.url()).find_leader().await.unwrap();
    append_first(&leader, 1).await.unwrap();
    let mut hears = leader.subscribe_to_end("chipq.").await.unwrap();
    leader.append_events("others", ExpectedRevision::NoStream, &[event(2)]).await.unwrap();
    let soon = Duration::from_millis(200);
    assert!(tokio::time::timeout(soon, hears.wait_for_event()).await.is_err(), "nothing of ours");
    append_first(&leader, 3).await.unwrap();
    hears.wait_for_event().await.unwrap();
    cluster.kill_node(0);
    assert!(hears.wait_for_event().await.unwrap_err().may_pass());
}

#[tokio::test]
async fn an_append_does_not_wait_for_the_network_to_collect_more() {
    let cluster = StandIn::start(1).await;
    let leader = client(&cluster.url()).find_leader().await.unwrap();
    append_first(&leader, 1).await.unwrap();
    let begun = Instant::now();
    for id in 2..52 {
        append_first(&leader, id).await.unwrap();
    }
    let each = begun.elapsed() / 50;
    assert!(
        each < Duration::from_millis(30),
        "{each:?} for each: Nagle's algorithm waits for 40 ms"
    );
}

/// An authority of one's own and a node's certificate for 127.0.0.1, made by openssl.
fn make_certificates(folder: &Path) -> bool {
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
          -subj /CN=authority -keyout ca.key -out ca.crt \
        && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=node \
          -keyout node.key -out node.csr \
        && printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > ext \
        && openssl x509 -req -in node.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
          -extfile ext -out node.crt";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder).output();
    made.is_ok_and(|made| made.status.success())
}

#[tokio::test]
async fn a_node_is_recognised_by_a_private_authority_and_by_no_other() {
    let folder = tempfile::tempdir().unwrap();
    if !make_certificates(folder.path()) {
        eprintln!("SKIPPED: openssl is not there to make certificates with");
        return;
    }
    let cluster = StandIn::start_with_tls(1, folder.path()).await;
    let port = cluster.world().nodes[0].port;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let url = format!("kurrentdb://127.0.0.1:{port}?ca={}", path("ca.crt"));
    append_first(&client(&url).find_leader().await.unwrap(), 1).await.unwrap();

    let by_system = format!("kurrentdb://127.0.0.1:{port}");
    let error = client(&by_system).find_leader().await.err().unwrap().to_string();
    assert!(error.contains("certificate") || error.contains("UnknownIssuer"), "{error}");
    for (file, says) in [("node.key", "there is none in it"), ("missing", "No such file")] {
        let url = format!("kurrentdb://127.0.0.1:{port}?ca={}", path(file));
        let error = KurrentClient::new(url.parse().unwrap(), None).err().unwrap().to_string();
        assert!(error.contains(says) && error.contains("ca="), "{error}");
    }
}
