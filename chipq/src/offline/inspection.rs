//! One board against its golden sample, by the shipped pipeline and the factory recipe.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use domain::inspection::{ModelIdentity, Registration};
use domain::{
    ComparisonMethod, Coverage, Defect, DetectionLimit, FiredRule, Grade, Judgement, MillimetreBox,
    NotComparable, PixelBox, PixelScale, Recipe, UnexplainedDifference, View, check_scale, judge,
};
use image::{GrayImage, ImageFormat};
use inference::engine::{EmbeddedEngine, Engine as _};
use lab::evaluate::{DIFFERENCE, confidence_of_difference};
use query_api::PictureMarks;
use serde_json::{Value, json};
use vision::{DecodedImage, PreparedPicture};

use super::cannot_write;
use super::golden_set::{self, GoldenFiles, SourceFile};
use crate::annotation::annotation_format;
use crate::cli::InspectArgs;
use crate::failure::Failure;

/// What came of one board.
pub(super) struct InspectedBoard {
    golden: GoldenFiles,
    /// Which of the golden samples it was compared with, from 0.
    variant: usize,
    test: SourceFile,
    /// The scale of the board's picture, where the command line says it.
    scale: Option<PixelScale>,
    picture: GrayImage,
    judgement: Judgement,
    rules: Vec<FiredRule>,
    registration: Option<Registration>,
    /// Why the two could not be compared, in words.
    not_comparable: Option<String>,
    /// Findings from the recipe's `review_at`, most confident first.
    defects: Vec<(Defect, Grade)>,
    /// What differs and is not explained by the findings.
    differences: Vec<UnexplainedDifference>,
    /// How much of the picture was compared; nothing when the two could not be.
    coverage: Option<Coverage>,
    /// What the comparison finds and may not find.
    detection_limit: Option<DetectionLimit>,
    model: ModelIdentity,
    took: Duration,
}

/// Inspects a board as the command line says.
pub(super) fn inspect_board(args: &InspectArgs) -> anyhow::Result<InspectedBoard> {
    let engine = EmbeddedEngine::load()?;
    let started = Instant::now();
    let golden = GoldenFiles::read(args)?;
    let (test, picture) = golden_set::read_picture(&args.test)?;
    let recipe = Recipe::factory(1);
    let prepared = prepare_board(args, &golden, &picture);
    let mut inspected = InspectedBoard {
        golden,
        variant: 0,
        test,
        scale: args.scale,
        picture: picture.into_grey(),
        judgement: Judgement::Review,
        rules: Vec::new(),
        registration: None,
        not_comparable: None,
        defects: Vec::new(),
        differences: Vec::new(),
        coverage: None,
        detection_limit: None,
        model: engine.model().clone(),
        took: Duration::ZERO,
    };
    let judged = match prepared {
        Ok(prepared) => {
            let found = prepared.merge_answers(&engine.run(&prepared.crops)?)?;
            let view = View::Compared {
                findings: &found.defects,
                differences: &found.differences,
                coverage: Some(&prepared.coverage),
            };
            inspected.variant = prepared.variant;
            inspected.registration = Some(prepared.registration);
            let judged = judge([(None, view)], &recipe);
            inspected.defects = found
                .defects
                .into_iter()
                .map(|defect| (recipe.grade(defect.confidence), defect))
                .filter(|(grade, _)| *grade > Grade::Negligible)
                .map(|(grade, defect)| (defect, grade))
                .collect();
            inspected.differences = found.differences;
            let method = prepared.coverage.method();
            inspected.detection_limit = method.map(|method| method.detection_limit(args.scale));
            inspected.coverage = Some(prepared.coverage);
            judged
        }
        Err((reason, why)) => {
            inspected.not_comparable = Some(why);
            judge([(None, View::NotComparable(reason))], &recipe)
        }
    };
    (inspected.judgement, inspected.rules) = judged;
    inspected.took = started.elapsed();
    Ok(inspected)
}

/// The board ready for the network, or why it cannot be compared: the reason, and in words.
fn prepare_board(
    args: &InspectArgs,
    golden: &GoldenFiles,
    picture: &DecodedImage,
) -> Result<PreparedPicture, (NotComparable, String)> {
    check_scale(args.golden_scale, args.scale)
        .map_err(|conflict| (conflict.into(), conflict.to_string()))?;
    let set = golden.set.as_ref().map_err(Clone::clone);
    set.and_then(|set| set.prepare(picture)).map_err(|why| (why.reason(), why.to_string()))
}

impl InspectedBoard {
    /// 0 pass, 1 fail, 2 review.
    pub(super) const fn exit_code(&self) -> u8 {
        match self.judgement {
            Judgement::Pass => 0,
            Judgement::Fail => 1,
            Judgement::Review => 2,
        }
    }

    /// Writes the board with what was found on it, in the format of the file's suffix.
    pub(super) fn write_annotated(&self, out: &Path) -> Result<(), Failure> {
        let format = annotation_format(out).unwrap_or(ImageFormat::Png);
        let uncovered = self.coverage.as_ref().map_or(&[][..], Coverage::uncovered);
        let excluded = self.coverage.as_ref().map_or(&[][..], Coverage::excluded);
        let differences = &self.differences;
        let border = self.border_px().unwrap_or(0);
        let defects = &self.defects;
        let marks = PictureMarks { defects, differences, uncovered, excluded, border };
        let mut file = Cursor::new(Vec::new());
        query_api::annotate(&self.picture, marks)
            .write_to(&mut file, format)
            .map_err(|error| cannot_write(out, error))?;
        boards::write_whole_file(out, file.get_ref()).map_err(|error| cannot_write(out, error))
    }

    /// How wide the border is that was not inspected; nothing when nothing was.
    fn border_px(&self) -> Option<u32> {
        let (width, height) = self.picture.dimensions();
        self.coverage.as_ref().map(|coverage| coverage.border_px(width, height))
    }

    /// The golden sample that it was compared with.
    fn golden_file(&self) -> &SourceFile {
        &self.golden.variants[self.variant]
    }

    /// Whether the board's file is the golden sample's, byte for byte.
    fn is_golden(&self) -> bool {
        self.test.sha256 == self.golden_file().sha256
    }

    pub(super) fn to_json(&self) -> Value {
        let source =
            |s: &SourceFile| json!({"file": s.path.display().to_string(), "sha256": s.sha256});
        let files = |files: &[SourceFile]| files.iter().map(source).collect::<Vec<_>>();
        let box_mm = |bounds| self.scale.map(|scale| scale.measure(bounds));
        let defects = (1..).zip(&self.defects).map(|(number, (defect, grade)): (u32, _)| {
            json!({
                "number": number,
                "class": defect.class,
                "confidence": defect.confidence,
                "grade": grade,
                "box": defect.bounds,
                "box_mm": box_mm(defect.bounds),
            })
        });
        // As `evaluate` writes them: who counts what is marked on the board misses nothing.
        let marked = (1..).zip(&self.differences).map(|(number, difference): (u32, _)| {
            json!({
                "number": number,
                "class": DIFFERENCE,
                "confidence": confidence_of_difference(difference),
                "grade": Grade::Doubtful,
                "box": difference.bounds,
                "box_mm": box_mm(difference.bounds),
            })
        });
        let differences = (1..).zip(&self.differences).map(|(number, difference): (u32, _)| {
            json!({
                "number": number,
                "kind": difference.kind,
                "strength": difference.strength,
                "box": difference.bounds,
                "box_mm": box_mm(difference.bounds),
            })
        });
        json!({
            "judgement": self.judgement,
            "rules": self.rules,
            "defects": defects.chain(marked).collect::<Vec<_>>(),
            "differences": differences.collect::<Vec<_>>(),
            "coverage": self.coverage,
            "detection_limit": self.detection_limit,
            "border_px": self.border_px(),
            "registration": self.registration,
            "not_comparable": self.not_comparable,
            "model": self.model,
            "golden": source(self.golden_file()),
            "identical_to_golden_sample": self.is_golden(),
            "variant": self.variant,
            "variants": files(&self.golden.variants),
            "accepted": files(&self.golden.accepted),
            "area": self.golden.area,
            "test": source(&self.test),
            "total_ms": self.took.as_secs_f64() * 1e3,
        })
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let rules: Vec<String> = self.rules.iter().map(ToString::to_string).collect();
        writeln!(out, "{}: {}", self.judgement.as_str().to_uppercase(), rules.join(", "))?;
        if let Some(why) = &self.not_comparable {
            writeln!(out, "not comparable: {why}")?;
        }
        if self.is_golden() {
            let (test, golden) = (self.test.path.display(), self.golden_file().path.display());
            writeln!(
                out,
                "note: {test} is byte-identical to the golden sample {golden}; was the right file given?"
            )?;
        }
        if !self.defects.is_empty() {
            let on_board = self.millimetre_heads();
            writeln!(
                out,
                "\n  #  class      confidence  grade     x    y    width  height{on_board}"
            )?;
        }
        for (number, (defect, grade)) in (1_u32..).zip(&self.defects) {
            let (class, bounds) = (defect.class.as_str(), &defect.bounds);
            writeln!(
                out,
                "{number:>3}  {class:<10} {:>10.2}  {:<8} {:>4} {:>4} {:>6} {:>7}{}",
                defect.confidence.get(),
                grade.as_str(),
                bounds.x,
                bounds.y,
                bounds.width,
                bounds.height,
                self.millimetres(*bounds),
            )?;
        }
        self.write_differences(out)?;
        if let Some(coverage) = &self.coverage {
            write_coverage(out, coverage, self.border_px().unwrap_or(0))?;
        }
        if let Some(DetectionLimit { finds, may_miss }) = &self.detection_limit {
            writeln!(out, "finds: {finds}\nmay not find: {may_miss}")?;
        }
        if self.golden.variants.len() > 1 {
            writeln!(out, "compared with {}", self.golden_file().path.display())?;
        }
        if let Some(Registration { dx, dy, score, bend }) = self.registration {
            let bend = bend.unwrap_or_default();
            writeln!(
                out,
                "registered by {dx:+.1} {dy:+.1} px, bent by {bend:.1} px, agreement {score:.3}"
            )?;
        }
        let ModelIdentity { name, version, .. } = &self.model;
        writeln!(out, "{name} {version}, {:.0} ms", self.took.as_secs_f64() * 1e3)
    }

    fn write_differences(&self, out: &mut String) -> std::fmt::Result {
        if !self.differences.is_empty() {
            writeln!(out, "\nno finding explains these differences from the golden sample:")?;
            let on_board = self.millimetre_heads();
            writeln!(
                out,
                "  #  kind          strength               x    y    width  height{on_board}"
            )?;
        }
        for (number, difference) in (1_u32..).zip(&self.differences) {
            let (label, kind) = (format!("D{number}"), difference.kind.as_str());
            let PixelBox { x, y, width, height } = difference.bounds;
            let on_board = self.millimetres(difference.bounds);
            let strength = difference.strength;
            writeln!(
                out,
                "{label:>3}  {kind:<10} {strength:>11.1}           {x:>4} {y:>4} {width:>6} {height:>7}{on_board}"
            )?;
        }
        Ok(())
    }

    /// The heads of the columns in millimetres; none when the scale is not known.
    const fn millimetre_heads(&self) -> &'static str {
        match self.scale {
            Some(_) => "      x mm     y mm  width mm height mm",
            None => "",
        }
    }

    /// A box in millimetres, below those heads.
    fn millimetres(&self, bounds: PixelBox) -> String {
        let Some(scale) = self.scale else { return String::new() };
        let MillimetreBox { x, y, width, height } = scale.measure(bounds);
        format!(" {x:>9.3} {y:>8.3} {width:>9.3} {height:>9.3}")
    }
}

/// How much was compared, rounded down so that only all of it is 100 %, and where not.
fn write_coverage(out: &mut String, coverage: &Coverage, border: u32) -> std::fmt::Result {
    let share = (coverage.compared_share() * 1_000.0).floor() / 10.0;
    let (compared, inspected) = (coverage.compared_pixels(), coverage.inspected_pixels());
    let method = coverage.method().map_or("", ComparisonMethod::describe);
    writeln!(
        out,
        "\ncompared {share:.1} % of the area to be inspected ({compared} of {inspected} pixels), {method}"
    )?;
    writeln!(out, "not inspected: {border} pixels along the border")?;
    for PixelBox { x, y, width, height } in coverage.uncovered() {
        writeln!(out, "not compared: x {x}, y {y}, {width} × {height} pixels")?;
    }
    if coverage.excluded_pixels() > 0 {
        writeln!(out, "not inspected on purpose: {} pixels", coverage.excluded_pixels())?;
    }
    for PixelBox { x, y, width, height } in coverage.excluded() {
        writeln!(out, "not inspected: x {x}, y {y}, {width} × {height} pixels")?;
    }
    Ok(())
}
