//! Every path that can be read over REST.

use serde_json::Value;

use super::{BOARDS, Line, PARTS, Reader};
use crate::tests::world::{artifact_id, inspection_id};

const JSON: &str = "application/json";

/// What somebody who is limited sees of a path.
enum Shown {
    /// A list of what is of boards, each with the id of its inspection.
    Boards,
    /// What is of one board.
    Board(fn(i64) -> String, &'static str),
    /// The list of parts.
    Parts,
    /// What is of one part.
    Part(fn((&str, i64)) -> String),
    /// Nothing that is of a board or a part.
    Nothing,
}

fn report_of(n: i64) -> String {
    let id = domain::ReportId::for_inspection(domain::InspectionId(inspection_id(n)));
    format!("/v1/reports/{id}")
}

/// What is decided about each path.
fn decisions(path: &str) -> Vec<Shown> {
    match path {
        "/v1/inspections" | "/v1/defects" | "/v1/reports" => vec![Shown::Boards],
        "/v1/inspections/{inspection_id}" => {
            vec![Shown::Board(|n| format!("/v1/inspections/{}", inspection_id(n)), JSON)]
        }
        "/v1/reports/{report_id}" => {
            vec![Shown::Board(report_of, JSON), Shown::Board(report_of, "application/pdf")]
        }
        "/v1/artifacts/{artifact_id}" => vec![
            Shown::Board(|n| format!("/v1/artifacts/{}", artifact_id(n)), "*/*"),
            Shown::Part(|(_, n)| format!("/v1/artifacts/{}", artifact_id(n))),
        ],
        "/v1/parts" => vec![Shown::Parts],
        "/v1/parts/{part}" => vec![Shown::Part(|(part, _)| format!("/v1/parts/{part}"))],
        "/v1/parts/{part}/recipe-revisions" => {
            vec![Shown::Part(|(part, _)| format!("/v1/parts/{part}/recipe-revisions"))]
        }
        "/v1/parts/{part}/golden-samples" => {
            vec![Shown::Part(|(part, _)| format!("/v1/parts/{part}/golden-samples"))]
        }
        // Of the commands' server, which shows accounts and clients within a reach by itself.
        "/v1/accounts" | "/v1/accounts/{name}" | "/v1/clients" | "/v1/clients/{name}" => {
            vec![Shown::Nothing]
        }
        // Of the commands' server, too: it is the installation's, and tells of no station and no part.
        "/v1/picture-retention" => vec![Shown::Nothing],
        "/.well-known/jwks.json"
        | "/.well-known/oauth-authorization-server"
        | "/healthz"
        | "/readyz"
        | "/problems"
        | "/problems/{name}" => vec![Shown::Nothing],
        other => panic!("{other}: decide what somebody who is limited may see of it"),
    }
}

fn readable_paths() -> Vec<String> {
    let document = include_str!("../../../../schemas/openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    paths.filter(|(_, item)| item.get("get").is_some()).map(|(path, _)| path.clone()).collect()
}

#[tokio::test]
async fn nothing_outside_a_reach_is_read_by_any_path() {
    let line = Line::start().await;
    let paths = readable_paths();
    assert!(paths.len() >= 15, "{paths:?}");
    for reader in Reader::all() {
        for path in &paths {
            for shown in decisions(path) {
                check(&line, &reader, path, shown).await;
            }
        }
    }
}

async fn check(line: &Line, reader: &Reader, path: &str, shown: Shown) {
    match shown {
        Shown::Boards => check_boards(line, reader, path).await,
        Shown::Board(path_of, accept) => {
            for board in BOARDS {
                let path = path_of(board.0);
                check_one(line, reader, (&path, accept), reader.sees_board(board)).await;
            }
        }
        Shown::Parts => {
            let page = line.get(reader, "/v1/parts?count=true", JSON).await.json();
            let items = page["items"].as_array().unwrap().iter();
            let numbers: Vec<_> = items.map(|item| item["part"].as_str().unwrap()).collect();
            assert_eq!(numbers, reader.parts(), "{}", reader.name);
            assert_eq!(page["total_count"], reader.parts().len(), "{}", reader.name);
            let page = line.get(reader, "/v1/parts?has_golden_sample=true", JSON).await.json();
            assert_eq!(page["items"].as_array().unwrap().len(), reader.parts().len());
        }
        Shown::Part(path_of) => {
            for part in PARTS {
                let path = path_of(part);
                check_one(line, reader, (&path, "*/*"), reader.sees_part(part.0)).await;
            }
        }
        Shown::Nothing => {}
    }
}

async fn check_boards(line: &Line, reader: &Reader, path: &str) {
    let filters = [
        ("", BOARDS.map(|(n, ..)| n).to_vec()),
        ("&station=AOI-1", vec![1, 2]),
        ("&station=AOI-2", vec![3, 4]),
        ("&part=P", vec![1, 3]),
        ("&part=Q&station=AOI-2", vec![4]),
        ("&lot=L1", vec![1, 4]),
        ("&lot=L1&part=Q", vec![4]),
        ("&from=2023-11-14T22:13:22Z", vec![2, 3, 4]),
        ("&station=AOI-2&to=2023-11-14T22:13:24Z", vec![3]),
    ];
    for (filter, passing) in filters {
        let page = line.get(reader, &format!("{path}?count=true{filter}"), JSON).await.json();
        let items = page["items"].as_array().unwrap_or_else(|| panic!("{path}{filter}: {page}"));
        let ids: Vec<_> = items.iter().map(|item| item["inspection_id"].clone()).collect();
        let seen = reader.boards().into_iter().filter(|n| passing.contains(n)).rev();
        let wanted: Vec<Value> = seen.map(|n| inspection_id(n).to_string().into()).collect();
        assert_eq!(ids, wanted, "{} {path}{filter}", reader.name);
        assert_eq!(page["total_count"], wanted.len(), "{} {path}{filter}", reader.name);
    }
    for (n, ..) in BOARDS {
        if path == "/v1/defects" {
            let page = format!("{path}?inspection_id={}", inspection_id(n));
            let page = line.get(reader, &page, JSON).await.json();
            let found = page["items"].as_array().unwrap().len();
            assert_eq!(found, usize::from(reader.boards().contains(&n)), "{} {n}", reader.name);
        }
    }
}

/// What is seen is there, and what is not reads as what nobody ever had.
async fn check_one(line: &Line, reader: &Reader, (path, accept): (&str, &str), is_seen: bool) {
    let answer = line.get(reader, path, accept).await;
    if is_seen {
        assert_ne!(answer.status, 404, "{} {path}", reader.name);
        assert_ne!(answer.status, 403, "{} {path}", reader.name);
    } else {
        assert_eq!(answer.problem(), (404, "not-found".to_owned()), "{} {path}", reader.name);
        let token = format!("Bearer {}", line.token(reader.name));
        let known = [("authorization", token.as_str()), ("if-none-match", "*")];
        let answer = line.world.get_with(path, &known).await;
        assert_eq!(answer.status, 404, "{} {path}", reader.name);
    }
}
