//! What became of a sequence: where two lists of hashes begin to differ, and how.

use crate::hashes::Digest32;

/// What happened to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventDifference {
    /// It says something else.
    Altered,
    /// One that should be here is not there.
    Missing,
    /// It is here, and should not be there.
    Added,
    /// It is there, and stands at another place.
    Moved,
}

/// Where `found` begins to differ from `expected`, as an index of `found`, and how; `None` when they are the same.
#[must_use]
pub fn find_difference(
    expected: &[Digest32],
    found: &[Digest32],
) -> Option<(usize, EventDifference)> {
    let same = expected.iter().zip(found).take_while(|(expected, found)| expected == found).count();
    let kind = match (expected.get(same), found.get(same)) {
        (None, None) => return None,
        (Some(_), None) => EventDifference::Missing,
        (None, Some(_)) => EventDifference::Added,
        (Some(wanted), Some(instead)) => {
            match (expected[same + 1..].contains(instead), found[same + 1..].contains(wanted)) {
                (true, true) => EventDifference::Moved,
                (true, false) => EventDifference::Missing,
                (false, true) => EventDifference::Added,
                (false, false) => EventDifference::Altered,
            }
        }
    };
    Some((same, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_by_what_became_of_the_rest() {
        let hashes = |numbers: &[u8]| numbers.iter().map(|n| [*n; 32]).collect::<Vec<_>>();
        let expected = hashes(&[1, 2, 3, 4, 5]);
        for (found, difference) in [
            (vec![1, 2, 3, 4, 5], None),
            (vec![1, 2, 9, 4, 5], Some((2, EventDifference::Altered))),
            (vec![1, 2, 9, 8, 5], Some((2, EventDifference::Altered))),
            (vec![1, 2, 4, 5], Some((2, EventDifference::Missing))),
            (vec![1, 5], Some((1, EventDifference::Missing))),
            (vec![1, 2, 3], Some((3, EventDifference::Missing))),
            (vec![1, 2, 9, 3, 4, 5], Some((2, EventDifference::Added))),
            (vec![1, 2, 3, 4, 5, 6], Some((5, EventDifference::Added))),
            (vec![1, 3, 2, 4, 5], Some((1, EventDifference::Moved))),
            (vec![5, 2, 3, 4, 1], Some((0, EventDifference::Moved))),
        ] {
            assert_eq!(find_difference(&expected, &hashes(&found)), difference, "{found:?}");
        }
    }
}
