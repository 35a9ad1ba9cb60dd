//! The report's facts in words.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::report::ReportDifference;
use domain::{
    Confidence, Coverage, DifferenceKind, FiredRule, InspectedArea, Judgement, MillimetreBox,
    NotComparable, Picture, PixelBox, PixelScale, Recipe,
};

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
        FiredRule::MissingView => (
            "missing-view",
            "A view of the board was not seen: no picture of it arrived".to_owned(),
        ),
        FiredRule::DuplicateView => {
            let words = "The same picture, or the same view, came twice";
            ("duplicate-view", words.to_owned())
        }
        FiredRule::UnknownView => {
            let words = "A picture is of no view that the recipe names";
            ("unknown-view", words.to_owned())
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
        NotComparable::ScaleMismatch => {
            "The picture states another scale than the golden sample: another lens or height"
        }
        NotComparable::ScaleUnknown => {
            "The golden sample states its scale, and the picture was announced without one"
        }
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

/// That a picture is its golden sample of this revision, byte for byte.
pub(super) fn describe_identical(revision: u32) -> String {
    format!(
        "This picture is byte-identical to golden sample revision {revision}; was the right file uploaded?"
    )
}

/// An instant as RFC 3339 UTC to the millisecond.
pub(super) fn format_instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// That a file was given up, and what is left of it.
pub(super) fn describe_retirement(at: DateTime<Utc>) -> String {
    let at = format_instant(at);
    format!(
        "on {at}: its retention period is over; its digest and all that was found on it are kept"
    )
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

/// What an unexplained difference is, and what it means for the board.
pub(super) fn describe_difference(difference: &ReportDifference) -> String {
    let kind = match difference.kind {
        DifferenceKind::Appearance => "looks different from the golden sample",
        DifferenceKind::Joined => "copper is joined that the golden sample keeps apart",
        DifferenceKind::Parted => "copper is parted that the golden sample keeps together",
    };
    let strength = difference.strength;
    format!("{kind}; {strength:.1} × the weakest that counts, no finding says why: for review")
}

/// Boxes that are listed; the picture and the JSON have the rest.
const BOXES_LISTED: usize = 6;

/// How much of a picture was compared, and where not.
pub(super) fn describe_coverage(coverage: Option<&Coverage>, picture: Option<&Picture>) -> String {
    let Some(coverage) = coverage else {
        return "not known: recorded before it was measured; counts as not covered".to_owned();
    };
    let share = format_share(coverage.compared_share());
    let (compared, inspected) = (coverage.compared_pixels(), coverage.inspected_pixels());
    let (compared, inspected) = (group_thousands(compared), group_thousands(inspected));
    let missing = match coverage.uncovered() {
        [] => String::new(),
        pieces => format!("; not covered: {}", list_boxes(pieces)),
    };
    let border = match picture.map(|picture| coverage.border_px(picture.width, picture.height)) {
        None | Some(0) => String::new(),
        Some(border) => format!("; not inspected: {border} px along the border"),
    };
    format!("{share} of the area to be inspected, {compared} of {inspected} px{border}{missing}")
}

/// How much of a picture was not inspected on purpose, and where; `None` when all of it was to be.
pub(super) fn describe_excluded(coverage: &Coverage) -> Option<String> {
    if coverage.excluded_pixels() == 0 {
        return None;
    }
    let share = format_share(coverage.excluded_share());
    let pixels = group_thousands(coverage.excluded_pixels());
    let boxes = match coverage.excluded() {
        [] => String::new(),
        boxes => format!(": {}", list_boxes(boxes)),
    };
    Some(format!("{share} of the picture, {pixels} px, on purpose{boxes}"))
}

/// Which golden samples an inspection is compared with.
pub(super) fn describe_pinned(golden_sample_revision: Option<u32>) -> String {
    match golden_sample_revision {
        Some(revision) => {
            format!("the golden samples in force when revision {revision} was the latest")
        }
        None => "none: those in force when a picture was compared".to_owned(),
    }
}

/// What a recipe inspects.
pub(super) fn describe_area(area: &InspectedArea) -> String {
    let region = area.region_of_interest();
    let mut words = region.map_or_else(|| "the whole picture".to_owned(), format_box);
    for (what, boxes) in [
        ("without", area.keep_outs()),
        ("unexplained differences do not count in", area.tolerated()),
    ] {
        if !boxes.is_empty() {
            words.push_str(&format!("; {what} {}", list_boxes(boxes)));
        }
    }
    words
}

fn list_boxes(boxes: &[PixelBox]) -> String {
    let mut listed: Vec<String> =
        boxes.iter().take(BOXES_LISTED).map(|one| format_box(*one)).collect();
    if boxes.len() > BOXES_LISTED {
        listed.push(format!("and {} more", boxes.len() - BOXES_LISTED));
    }
    listed.join("; ")
}

/// A share in per cent, rounded down: only all of it is 100 %.
fn format_share(share: f64) -> String {
    format!("{:.1} %", (share * 1_000.0).floor() / 10.0)
}

/// A box in pixels.
pub(super) fn format_box(PixelBox { x, y, width, height }: PixelBox) -> String {
    format!("box x {x}, y {y}, {width} × {height} px")
}

/// A box on the board, each length to a micrometre.
pub(super) fn format_box_mm(MillimetreBox { x, y, width, height }: MillimetreBox) -> String {
    format!("on the board x {x:.3}, y {y:.3}, {width:.3} × {height:.3} mm")
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

/// How much of a board a picture of this scale shows.
pub(super) fn format_size(width: u32, height: u32, scale: PixelScale) -> String {
    format!("{:.1} × {:.1} mm", scale.millimetres(width), scale.millimetres(height))
}

/// A file's length, exact.
pub(super) fn format_bytes(count: u64) -> String {
    format!("{} bytes", group_thousands(count))
}

fn group_thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A person as it was called then, with what identifies it for ever; anybody else as the log names it.
pub(super) fn name_actor(subject: &str, name: Option<&str>) -> String {
    name.map_or_else(|| subject.to_owned(), |name| format!("{name} ({subject})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_named_with_what_identifies_it() {
        assert_eq!(name_actor("ada", Some("Ada Lovelace")), "Ada Lovelace (ada)");
        assert_eq!(name_actor("judge", None), "judge");
    }

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
    fn a_share_is_100_per_cent_only_when_all_was_compared() {
        assert_eq!(format_share(1.0), "100.0 %");
        assert_eq!(format_share(0.999_99), "99.9 %");
        assert_eq!(format_share(0.0), "0.0 %");
    }

    #[test]
    fn what_was_not_inspected_on_purpose_is_named_with_its_share() {
        let square = |x| PixelBox { x, y: 0, width: 8, height: 8 };
        assert_eq!(describe_excluded(&Coverage::complete(9)), None);
        let coverage = Coverage::complete(75).with_excluded(25, vec![square(3)]);
        let expected = "25.0 % of the picture, 25 px, on purpose: box x 3, y 0, 8 × 8 px";
        assert_eq!(describe_excluded(&coverage).as_deref(), Some(expected));
        assert_eq!(describe_area(&InspectedArea::default()), "the whole picture");
        let area = InspectedArea::new(Some(square(0)), vec![square(1)], vec![square(2)]).unwrap();
        assert_eq!(
            describe_area(&area),
            "box x 0, y 0, 8 × 8 px; without box x 1, y 0, 8 × 8 px; unexplained differences do \
             not count in box x 2, y 0, 8 × 8 px"
        );
    }

    #[test]
    fn a_coverage_names_the_largest_pieces_that_are_missing() {
        let piece = PixelBox { x: 620, y: 0, width: 20, height: 640 };
        let coverage = Coverage::new(409_600, 396_800, vec![piece; 8]).unwrap();
        let words = describe_coverage(Some(&coverage), None);
        let (compared, inspected) = ("396\u{202f}800", "409\u{202f}600");
        let begin = format!("96.8 % of the area to be inspected, {compared} of {inspected} px; ");
        assert!(words.starts_with(&begin), "{words}");
        assert!(words.ends_with("box x 620, y 0, 20 × 640 px; and 2 more"), "{words}");
        assert!(!describe_coverage(Some(&Coverage::complete(9)), None).contains("not covered"));
        assert!(describe_coverage(None, None).contains("not known"));
    }

    #[test]
    fn a_coverage_says_how_wide_the_border_is_that_is_not_inspected() {
        let picture = Picture {
            sha256: domain::Sha256::from_bytes([0; 32]),
            bytes: 1,
            media_type: domain::MediaType::Png,
            width: 640,
            height: 480,
        };
        let within = |border: u64| Coverage::complete((640 - 2 * border) * (480 - 2 * border));
        let words = |border| describe_coverage(Some(&within(border)), Some(&picture));
        assert!(words(21).ends_with("px; not inspected: 21 px along the border"), "{}", words(21));
        assert!(!words(0).contains("border"));
    }

    #[test]
    fn a_box_on_the_board_has_every_length_to_a_micrometre() {
        let bounds = PixelBox { x: 48, y: 0, width: 7, height: 480 };
        let on_board = format_box_mm(PixelScale::new(48.0).unwrap().measure(bounds));
        assert_eq!(on_board, "on the board x 1.000, y 0.000, 0.146 × 10.000 mm");
    }

    #[test]
    fn bytes_are_grouped_by_thousands() {
        assert_eq!(format_bytes(1_234_567), "1\u{202f}234\u{202f}567 bytes");
        assert_eq!(format_bytes(12), "12 bytes");
    }
}
