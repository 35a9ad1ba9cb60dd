//! The domain's closed vocabularies as the read model shows them: the domain's word in the tables and
//! in REST, one name in GraphQL. No word is spelt here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};

/// Wraps an enum of the domain. `except` names what the read models never hold; the match on the domain's
/// enum has no wildcard, so that a word that is new there does not compile until it is shown here.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident of $domain:ident $(except $hidden:ident)? {
        $($(#[$of:meta])* $variant:ident),+ $(,)?
    }) => {
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            async_graphql::Enum, utoipa::ToSchema,
        )]
        #[schema(rename_all = "kebab-case")]
        $(#[$meta])*
        pub(crate) enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $name {
            const fn from_domain(word: domain::$domain) -> Option<Self> {
                match word {
                    $(domain::$domain::$variant => Some(Self::$variant),)+
                    $(domain::$domain::$hidden => None,)?
                }
            }

            const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => domain::$domain::$variant.as_str(),)+ }
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
                let word: domain::$domain = word.parse().map_err(|why| format!("{why}"))?;
                Self::from_domain(word).ok_or_else(|| format!("{word} is not shown"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = domain::$domain::deserialize(deserializer)?;
                Self::from_domain(word)
                    .ok_or_else(|| serde::de::Error::custom(format!("{word} is not shown")))
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
    #[graphql(name = "Judgement")]
    #[schema(as = Judgement)]
    JudgementWord of Judgement {
        /// Every picture was compared and nothing was found.
        Pass,
        /// A person has to look.
        Review,
        /// At least one defect is certain enough.
        Fail,
    }
);

words!(
    /// Where an inspection is in its life.
    #[graphql(name = "InspectionState")]
    #[schema(as = InspectionState)]
    InspectionStateWord of InspectionState {
        /// Pictures are announced and uploaded.
        Open,
        /// The judgement waits for the last result.
        Inferring,
        /// Judged by the machine.
        Judged,
        /// Withdrawn.
        Voided,
    }
);

words!(
    /// What has become of a picture.
    #[graphql(name = "ArtifactState")]
    #[schema(as = ArtifactState)]
    ArtifactStateWord of ArtifactState {
        /// Announced.
        Reserved,
        /// At rest.
        Uploaded,
        /// Compared with its golden sample.
        Compared,
        /// At rest, but not comparable.
        NotComparable,
        /// Its announcement was taken back before it came.
        Cancelled,
    }
);

words!(
    /// What a finding's confidence means under the recipe.
    #[graphql(name = "Grade")]
    #[schema(as = Grade)]
    GradeWord of Grade except Negligible {
        /// From the recipe's `fail_at`: the board fails.
        Defect,
        /// From `review_at`: a person has to look.
        Doubtful,
    }
);

words!(
    /// The classes of defects of a bare board: those of its copper (DeepPCB), and missing holes.
    #[graphql(name = "DefectClass")]
    #[schema(as = DefectClass)]
    DefectClassWord of DefectClass {
        /// A trace that is interrupted.
        Open,
        /// Copper that joins two nets.
        Short,
        /// A bite out of a trace or pad.
        Mousebite,
        /// A copper protrusion that reaches no other net.
        Spur,
        /// A spurious island of copper.
        Copper,
        /// A hole inside copper.
        PinHole,
        /// A hole that was not drilled, or is closed.
        MissingHole,
    }
);

words!(
    /// In what way a place differs from the golden sample.
    #[graphql(name = "DifferenceKind")]
    #[schema(as = DifferenceKind)]
    DifferenceKindWord of DifferenceKind {
        /// It looks different, beyond what the part tolerates.
        Appearance,
        /// Copper is joined that the golden sample keeps apart.
        Joined,
        /// Copper is parted that the golden sample keeps together.
        Parted,
    }
);

words!(
    /// How a picture was compared with its golden sample.
    #[graphql(name = "ComparisonMethod")]
    #[schema(as = ComparisonMethod)]
    ComparisonMethodWord of ComparisonMethod {
        /// Copper against copper, in black and white.
        Copper,
        /// Level by level.
        Levels,
    }
);

words!(
    /// What a golden sample is for.
    #[graphql(name = "GoldenSampleUse")]
    #[schema(as = GoldenSampleUse)]
    GoldenSampleUseWord of GoldenSampleUse {
        /// It takes the place of all before it, of its view.
        Replacement,
        /// It stands beside the one in force; the best match decides.
        Variant,
        /// A good board: where good boards differ, the tolerance is wider.
        AcceptedBoard,
    }
);

words!(
    /// Whether a generation of a read model is read.
    #[graphql(name = "GenerationStatus")]
    #[schema(as = GenerationStatus)]
    GenerationStatusWord of GenerationStatus {
        /// It is being filled beside the one that serves.
        Building,
        /// It is read.
        Serving,
        /// It was replaced.
        Retired,
        /// It shows the log as of an earlier moment to whoever replays it, and goes when that is done.
        Replaying,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_domain_s() {
        for class in domain::DefectClass::ALL {
            assert_eq!(class.as_str().parse::<DefectClassWord>().unwrap().as_str(), class.as_str());
        }
        for kind in domain::DifferenceKind::ALL {
            assert!(kind.as_str().parse::<DifferenceKindWord>().is_ok());
        }
        for method in domain::ComparisonMethod::ALL {
            assert!(method.as_str().parse::<ComparisonMethodWord>().is_ok());
        }
        for usage in domain::GoldenSampleUse::ALL {
            assert!(usage.as_str().parse::<GoldenSampleUseWord>().is_ok());
        }
        for judgement in domain::Judgement::ALL {
            assert!(judgement.as_str().parse::<JudgementWord>().is_ok());
        }
        for grade in [domain::Grade::Defect, domain::Grade::Doubtful] {
            assert!(grade.as_str().parse::<GradeWord>().is_ok());
        }
        assert!(domain::Grade::Negligible.as_str().parse::<GradeWord>().is_err());
        assert!("PASS".parse::<JudgementWord>().is_err());
    }
}
