//! Which problems may answer which read.

use std::collections::BTreeMap;

use platform::http::describe::refer_to_problems;
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

/// What can stand in the way of a list.
pub(super) struct ListProblems;

impl IntoResponses for ListProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&["400", "401", "403", "409", "429", "500", "503", "504"])
    }
}

/// What can stand in the way of one resource, or of a list that belongs to one.
pub(super) struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&["400", "401", "403", "404", "409", "429", "500", "503", "504"])
    }
}

/// What can stand in the way of one resource that has several formats.
pub(super) struct FormatProblems;

impl IntoResponses for FormatProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&[
            "400", "401", "403", "404", "406", "409", "422", "429", "500", "503", "504",
        ])
    }
}

/// What can stand in the way of a file, which waits for no place in the log.
pub(super) struct FileProblems;

impl IntoResponses for FileProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&["400", "401", "403", "404", "410", "416", "429", "500", "503", "504"])
    }
}
