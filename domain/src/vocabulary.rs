//! Closed vocabularies: each of their words is spelt once, here in the domain, and reads back from it.
//!
//! Tables, wire formats and schemas elsewhere wrap these enums and take the words from them.

/// Joins words to "must be a or b", "must be one of a, b, c".
macro_rules! must_be_one_of {
    ($one:literal, $other:literal) => {
        concat!("must be ", $one, " or ", $other)
    };
    ($first:literal $(, $word:literal)*) => {
        concat!("must be one of ", $first $(, ", ", $word)*)
    };
}

/// An enum without fields whose variants stand for words: `as_str`, `Display`, `FromStr`, `ALL` and
/// serde agree on them. The literal after the name is the field that a refusal speaks of.
macro_rules! vocabulary {
    (
        $(#[$doc:meta])*
        pub enum $name:ident ($field:literal) {
            $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every word, in the order of the variants.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word on the wire, in events and in tables.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Invalid;

            fn from_str(word: &str) -> Result<Self, $crate::Invalid> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::Invalid::new(
                        $field,
                        $crate::vocabulary::must_be_one_of!($($word),+),
                    )),
                }
            }
        }
    };
}

pub(crate) use {must_be_one_of, vocabulary};

#[cfg(test)]
mod tests {
    use crate::{
        ArtifactState, ComparisonMethod, DefectClass, DifferenceKind, GenerationStatus,
        GoldenSampleUse, Grade, InspectionState, Judgement, KeyAlgorithm, MediaType, NotComparable,
        PrincipalKind, ProjectionName, RetentionClass, Role, SessionEndCause,
    };

    /// Each word reads back, is what serde writes, and stands among `ALL` once.
    macro_rules! check_every_word {
        ($($name:ident),+) => {
            $(
                let mut seen = std::collections::BTreeSet::new();
                for variant in $name::ALL {
                    assert_eq!(variant.to_string().parse::<$name>().unwrap(), variant);
                    assert_eq!(serde_json::to_value(variant).unwrap(), variant.as_str());
                    let read: $name = serde_json::from_value(variant.as_str().into()).unwrap();
                    assert_eq!(read, variant);
                    assert!(seen.insert(variant.as_str()), "{variant} stands there twice");
                }
                for wrong in ["", "something else", "OPEN"] {
                    assert!(wrong.parse::<$name>().is_err(), "{wrong}");
                }
            )+
        };
    }

    #[test]
    fn every_word_of_every_vocabulary_reads_back_and_is_stored_by_itself() {
        check_every_word!(
            GoldenSampleUse,
            ComparisonMethod,
            Judgement,
            NotComparable,
            Grade,
            DefectClass,
            DifferenceKind,
            MediaType,
            InspectionState,
            ArtifactState,
            ProjectionName,
            GenerationStatus,
            RetentionClass,
            PrincipalKind,
            Role,
            KeyAlgorithm,
            SessionEndCause
        );
    }

    #[test]
    fn a_word_that_does_not_belong_is_refused_with_those_that_do() {
        let refused = |error: crate::Invalid| error.to_string();
        assert_eq!(
            refused("gone".parse::<InspectionState>().unwrap_err()),
            "state must be one of open, inferring, judged, voided"
        );
        assert_eq!(
            refused("image/gif".parse::<MediaType>().unwrap_err()),
            "type must be image/jpeg or image/png"
        );
    }

    /// They stand in rows, in answers and in scripts of whoever uses the API.
    #[test]
    fn the_words_of_tables_and_wire_do_not_change() {
        assert_eq!(
            InspectionState::ALL.map(InspectionState::as_str),
            ["open", "inferring", "judged", "voided"]
        );
        assert_eq!(
            ArtifactState::ALL.map(ArtifactState::as_str),
            ["reserved", "uploaded", "compared", "not-comparable", "cancelled"]
        );
        assert_eq!(
            ProjectionName::ALL.map(ProjectionName::as_str),
            ["inspection_overview", "defects", "parts", "yield", "reports", "audit_trail"]
        );
        assert_eq!(
            GenerationStatus::ALL.map(GenerationStatus::as_str),
            ["building", "serving", "retired", "replaying"]
        );
    }
}
