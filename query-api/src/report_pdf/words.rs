//! The report's facts in words.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{Confidence, FiredRule, Judgement, NotComparable, Recipe};

/// The banner's sentence under the verdict.
pub(super) const fn describe_judgement(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Pass => {
            "Every picture was compared, all of it; nothing reached the review threshold."
        }
        Judgement::Review => "A person has to look at this board before it can move on.",
        Judgement::Fail => "At least one finding reached the fail threshold.",
    }
}

/// A fired rule's wire name and what it says.
pub(super) fn describe_rule(rule: &FiredRule, recipe: &Recipe) -> (&'static str, String) {
    let (fail, review) = (format_threshold(recipe.fail_at), format_threshold(recipe.review_at));
    match rule {
        FiredRule::Defect { class, count } => {
            let words = format!("{count} × {class}, confidence {fail} or above: fails the board");
            ("defect", words)
        }
        FiredRule::DoubtfulFinding { class, count } => {
            let range = format!("confidence {review} to below {fail}");
            ("doubtful-finding", format!("{count} × {class}, {range}: for review"))
        }
        FiredRule::UnexplainedDifference { count } => {
            let words = format!("{count} × differs from the golden sample, no finding says why");
            ("unexplained-difference", format!("{words}: for review"))
        }
        FiredRule::NotCovered { pieces } => {
            let words = format!("{pieces} × a piece that was not compared: for review");
            ("not-covered", words)
        }
        FiredRule::NotCompared { reason } => {
            (reason.as_str(), describe_not_comparable(*reason).to_owned())
        }
        FiredRule::MissingView => {
            ("missing-view", "A picture that was announced never arrived".to_owned())
        }
        FiredRule::DuplicateView => {
            ("duplicate-view", "The same picture came twice: a view was not seen".to_owned())
        }
        FiredRule::NothingFound => {
            let words = format!("All compared, no finding with confidence {review} or above");
            ("nothing-found", words)
        }
    }
}

/// Why a picture could not be compared.
pub(super) const fn describe_not_comparable(reason: NotComparable) -> &'static str {
    match reason {
        NotComparable::NoGoldenSample => "The part has no golden sample to compare with",
        NotComparable::Unreadable => "The picture’s bytes do not decode",
        NotComparable::SizeMismatch => "The picture and the golden sample differ in size",
        NotComparable::NotRegistered => {
            "The picture could not be registered to the golden sample: out of place or covered"
        }
        NotComparable::OutOfFocus => "The picture is more blurred than the golden sample",
        NotComparable::WrongPart => "The picture shows another part than the golden sample",
        NotComparable::TooManyDifferences => {
            "So much differs from the golden sample that counting defects would mean nothing"
        }
        NotComparable::InferenceFailed => "Inference failed after every attempt",
    }
}

/// An instant as RFC 3339 UTC to the millisecond.
pub(super) fn format_instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A threshold with two digits, or as many as it takes.
pub(super) fn format_threshold(value: Confidence) -> String {
    format_digits(value.get(), 2, |_| true)
}

/// A confidence with three digits, or with all when three would put it across a threshold.
pub(super) fn format_confidence(value: Confidence, recipe: &Recipe) -> String {
    let grade = recipe.grade(value);
    let same = |shown: f32| Confidence::new(shown).is_ok_and(|shown| recipe.grade(shown) == grade);
    let short = format!("{:.3}", value.get());
    if short.parse().is_ok_and(same) { short } else { value.get().to_string() }
}

/// What a finding's confidence means under the recipe.
pub(super) fn describe_consequence(value: Confidence, recipe: &Recipe) -> String {
    use domain::Grade;
    let shown = format_confidence(value, recipe);
    let (fail, review) = (format_threshold(recipe.fail_at), format_threshold(recipe.review_at));
    match recipe.grade(value) {
        Grade::Defect => format!("confidence {shown} ≥ fail_at {fail}: fails the board"),
        Grade::Doubtful => format!("review_at {review} ≤ confidence {shown} < fail_at {fail}"),
        Grade::Negligible => format!("confidence {shown} < review_at {review}: decides nothing"),
    }
}

fn format_digits(value: f32, least: usize, fits: impl Fn(f32) -> bool) -> String {
    let short = format!("{value:.least$}");
    let exact = short.parse().is_ok_and(|shown: f32| shown == value && fits(shown));
    if exact { short } else { value.to_string() }
}

/// A length in pixels with a sign, to a hundredth.
pub(super) fn format_offset(pixels: f32) -> String {
    format!("{pixels:+.2} px").replace('-', "−")
}

/// A file's length, exact.
pub(super) fn format_bytes(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    format!("{grouped} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rounded_confidence_never_contradicts_its_grade() {
        let recipe = Recipe::factory(1);
        let shown = |value| format_confidence(Confidence::new(value).unwrap(), &recipe);
        assert_eq!(shown(0.973_26), "0.973");
        assert_eq!(shown(0.499_9), "0.4999");
        assert_eq!(shown(0.5), "0.500");
    }

    #[test]
    fn a_threshold_is_exact() {
        assert_eq!(format_threshold(Confidence::HALF), "0.50");
        assert_eq!(format_threshold(Confidence::new(0.123).unwrap()), "0.123");
    }

    #[test]
    fn bytes_are_grouped_by_thousands() {
        assert_eq!(format_bytes(1_234_567), "1\u{202f}234\u{202f}567 bytes");
        assert_eq!(format_bytes(12), "12 bytes");
    }
}
