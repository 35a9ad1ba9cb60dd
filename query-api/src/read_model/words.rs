//! The closed vocabularies of the read model: one word in the tables and in REST, one name in
//! GraphQL.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$of:meta])* $variant:ident = $word:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            async_graphql::Enum, Serialize, Deserialize, utoipa::ToSchema,
        )]
        pub(crate) enum $name {
            $($(#[$of])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!(concat!("{:?} is not a ", stringify!($name)), word)),
                }
            }
        }

        impl Type<Postgres> for $name {
            fn type_info() -> PgTypeInfo {
                <str as Type<Postgres>>::type_info()
            }

            fn compatible(column: &PgTypeInfo) -> bool {
                <str as Type<Postgres>>::compatible(column)
            }
        }

        impl<'r> Decode<'r, Postgres> for $name {
            fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                Ok(<&str as Decode<Postgres>>::decode(value)?.parse()?)
            }
        }
    };
}

words!(
    /// The machine's judgement of a board.
    Judgement {
        /// Every picture was compared and nothing was found.
        Pass = "pass",
        /// A person has to look.
        Review = "review",
        /// At least one defect is certain enough.
        Fail = "fail",
    }
);

words!(
    /// Where an inspection is in its life.
    InspectionState {
        /// Pictures are announced and uploaded.
        Open = "open",
        /// The judgement waits for the last result.
        Inferring = "inferring",
        /// Judged by the machine.
        Judged = "judged",
        /// Withdrawn.
        Voided = "voided",
    }
);

words!(
    /// What has become of a picture.
    ArtifactState {
        /// Announced.
        Reserved = "reserved",
        /// At rest.
        Uploaded = "uploaded",
        /// Compared with its golden sample.
        Compared = "compared",
        /// At rest, but not comparable.
        NotComparable = "not-comparable",
    }
);

words!(
    /// What a finding's confidence means under the recipe.
    Grade {
        /// From the recipe's `fail_at`: the board fails.
        Defect = "defect",
        /// From `review_at`: a person has to look.
        Doubtful = "doubtful",
    }
);

words!(
    /// The classes of defects of a bare copper layer (DeepPCB).
    DefectClass {
        /// A trace that is interrupted.
        Open = "open",
        /// Copper that joins two nets.
        Short = "short",
        /// A bite out of a trace or pad.
        Mousebite = "mousebite",
        /// A copper protrusion that reaches no other net.
        Spur = "spur",
        /// A spurious island of copper.
        Copper = "copper",
        /// A hole inside copper.
        PinHole = "pin-hole",
    }
);

words!(
    /// Whether a generation of a read model is read.
    GenerationStatus {
        /// It is being filled beside the one that serves.
        Building = "building",
        /// It is read.
        Serving = "serving",
        /// It was replaced.
        Retired = "retired",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_domain_s() {
        for class in domain::DefectClass::ALL {
            assert_eq!(class.as_str().parse::<DefectClass>().unwrap().as_str(), class.as_str());
        }
        for judgement in
            [domain::Judgement::Pass, domain::Judgement::Review, domain::Judgement::Fail]
        {
            assert!(judgement.as_str().parse::<Judgement>().is_ok());
        }
        for grade in [domain::Grade::Defect, domain::Grade::Doubtful] {
            assert!(grade.as_str().parse::<Grade>().is_ok());
        }
        assert!("PASS".parse::<Judgement>().is_err());
    }
}
