//! Tools that need no server: inspect one board, evaluate a data set, generate boards.

mod golden_set;
mod inspection;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use boards::photographed::{self, PhotographOptions, PhotographedUnits};
use boards::{BoardOptions, BoardsError, BoardsSummary};
use lab::evaluate::{self, EvaluateError, EvaluateOptions};
use lab::outputs::find_input;

use crate::cli::{EvaluateArgs, GenerateBoardsArgs, InspectArgs, PhotographUnits};
use crate::failure::{Failure, exit};

/// Inspects one board, prints what was found, and exits with the judgement.
pub(crate) fn inspect(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    spare_inputs(args)?;
    let inspected = inspection::inspect_board(args)?;
    if let Some(out) = &args.annotate {
        inspected.write_annotated(out)?;
    }
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&inspected.to_json())?);
    } else {
        out!("{}", inspected.to_text());
        if let Some(out) = &args.annotate {
            outln!("annotated: {}", out.display());
        }
    }
    Ok(ExitCode::from(inspected.exit_code()))
}

/// Refuses to annotate over a picture that is read.
fn spare_inputs(args: &InspectArgs) -> Result<(), Failure> {
    let Some(out) = args.annotate.as_deref().filter(|_| !args.force) else { return Ok(()) };
    let named = [&args.golden, &args.test];
    let inputs = named.into_iter().chain(&args.variants).chain(&args.accepted);
    find_input(out, inputs.map(PathBuf::as_path)).map_or(Ok(()), |input| Err(replaces(input)))
}

fn replaces(input: &Path) -> Failure {
    Failure::new(
        format_args!("{} would be written over, and it is read", input.display()),
        "name another file to write, or add --force",
        exit::USAGE,
    )
}

/// Writes predictions for a manifest of labelled pairs.
pub(crate) fn evaluate(args: &EvaluateArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let options = EvaluateOptions {
        split: args.split.clone(),
        repaired: args.repaired,
        weights: args.weights.clone(),
        replaces_inputs: args.force,
    };
    let done = evaluate::evaluate(&args.manifest, &args.out, &options)
        .map_err(|error| explain_evaluation(error, args))?;
    outln!(
        "{} pairs, {} of them not comparable, {} crops in {:.1} s ({:.1} ms of network a pair)",
        done.pairs,
        done.not_comparable,
        done.crops,
        started.elapsed().as_secs_f64(),
        done.network.as_secs_f64() * 1e3 / done.pairs.max(1) as f64,
    );
    outln!(
        "{} differences that no finding explains, written as class difference",
        done.unexplained
    );
    if done.other_labels > 0 {
        outln!(
            "{} of {} labels are of classes that the network does not name: they count as \"other\"",
            done.other_labels,
            done.labels,
        );
    }
    if args.repaired {
        outln!(
            "repaired: {} false calls on {} boards, {:.1} per 100 boards",
            done.calls,
            done.called,
            done.calls as f64 * 100.0 / done.pairs.max(1) as f64,
        );
    }
    outln!("predictions: {}", args.out.display());
    Ok(())
}

fn explain_evaluation(error: EvaluateError, args: &EvaluateArgs) -> Failure {
    match &error {
        EvaluateError::Read { path, source } => Failure::new(
            format_args!("cannot read {}: {source}", path.display()),
            "check --manifest and that the pictures lie where it says, relative to its folder",
            exit::NO_INPUT,
        ),
        EvaluateError::Manifest { path, source } => Failure::new(
            format_args!("{} is not a manifest of picture pairs: {source}", path.display()),
            "see `chipq generate-boards` for one that is",
            exit::DATA,
        ),
        EvaluateError::EmptySplit { .. } => Failure::new(
            &error,
            format_args!("leave --split out, or name one that {} has", args.manifest.display()),
            exit::DATA,
        ),
        EvaluateError::ReplacesInput { path } => replaces(path),
        EvaluateError::Write { path, source } => cannot_write(path, source),
        EvaluateError::Engine(_) if args.weights.is_some() => Failure::new(
            &error,
            "check that --weights names an ONNX file as triton/README.md describes it",
            exit::DATA,
        ),
        EvaluateError::Engine(_) => {
            Failure::new(&error, "report this: the network comes with the program", exit::INTERNAL)
        }
    }
}

/// Writes generated boards with their manifest.
pub(crate) fn generate_boards(args: &GenerateBoardsArgs) -> anyhow::Result<()> {
    let manifest = args.out.join("manifest.json");
    if !args.force && manifest.exists() {
        return Err(Failure::new(
            format_args!("{} is there already, with its labels", manifest.display()),
            "name another folder with --out, or add --force",
            exit::USAGE,
        )
        .into());
    }
    let written = match args.photographs {
        Some(units) => write_photographs(args, units),
        None => write_binarised(args),
    };
    let written = written.map_err(explain_boards)?;
    outln!("{} boards with {} defects", written.boards, written.defects);
    outln!("manifest: {}", written.manifest.display());
    Ok(())
}

fn write_photographs(
    args: &GenerateBoardsArgs,
    units: PhotographUnits,
) -> Result<BoardsSummary, BoardsError> {
    let options = PhotographOptions {
        size: (args.size, args.size),
        units: match units {
            PhotographUnits::SamePiece => PhotographedUnits::SamePiece,
            PhotographUnits::OtherPieces => PhotographedUnits::OtherPieces,
        },
        accepted: args.accepted,
        clean_per_cent: args.clean_per_cent,
        units_per_design: args.units_per_design,
        ..PhotographOptions::default()
    };
    photographed::write_photographs(args.count, args.seed, &options, &args.out)
}

fn write_binarised(args: &GenerateBoardsArgs) -> Result<BoardsSummary, BoardsError> {
    let options = BoardOptions {
        size: args.size,
        clean_per_cent: args.clean_per_cent,
        units_per_design: args.units_per_design,
        ..BoardOptions::default()
    };
    boards::write_boards(args.count, args.seed, &options, &args.out)
}

fn explain_boards(error: BoardsError) -> Failure {
    match &error {
        BoardsError::Write { path, source } => cannot_write(path, source),
        BoardsError::Encode(_) | BoardsError::Manifest(_) => {
            Failure::new(&error, "report this with the command that you ran", exit::INTERNAL)
        }
    }
}

fn cannot_write(path: &Path, source: impl std::fmt::Display) -> Failure {
    Failure::new(
        format_args!("cannot write {}: {source}", path.display()),
        "name another path, or make room and permission there",
        exit::CANNOT_WRITE,
    )
}
