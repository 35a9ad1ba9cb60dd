//! A comparison of two models, in words for the terminal.

use std::fmt::{self, Write as _};

use domain::inspection::ModelIdentity;
use lab::acceptance::{Acceptance, ModelResult};

/// Boards that changed beyond this many are counted, not listed.
const LISTED: usize = 20;

/// What came of a comparison: a table, the boards that changed, and the rules that make it worse.
pub(super) fn text(acceptance: &Acceptance) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, acceptance);
    text
}

/// The version and the beginning of its digest.
pub(super) fn short_name(model: &ModelIdentity) -> String {
    let digest = model.sha256.to_string();
    format!("{} ({})", model.version, &digest[..12])
}

fn write(out: &mut String, acceptance: &Acceptance) -> fmt::Result {
    let Acceptance {
        set, boards, not_comparable, crops, labels, changed, matches, old, new, ..
    } = acceptance;
    writeln!(out, "{set}")?;
    writeln!(
        out,
        "{boards} boards ({not_comparable} of them not comparable), {crops} crops, \
         {labels} labelled defects\n"
    )?;
    let (was, is) = (short_name(&old.model), short_name(&new.model));
    writeln!(out, "{:<36} {was:>18} {is:>18}", "version")?;
    let mut row = |name: &str, value: &dyn Fn(&ModelResult) -> String| {
        writeln!(out, "{name:<36} {:>18} {:>18}", value(old), value(new))
    };
    row("labelled defects found", &|side| side.found.found.to_string())?;
    row("  of these, rightly named", &|side| side.found.named.to_string())?;
    row("calls where nothing is labelled", &|side| side.found.false_calls.to_string())?;
    row("milliseconds a crop", &|side| format!("{:.2}", side.ms_per_crop))?;
    writeln!(
        out,
        "\nfindings: {} alike, {} of another class, {} of {} only, {} of {} only; confidence differs \
         by {:.4} at most",
        matches.matched,
        matches.renamed,
        matches.only_old,
        old.model.version,
        matches.only_new,
        new.model.version,
        matches.largest_confidence_difference,
    )?;
    writeln!(out, "judged differently: {} of {boards} boards", changed.len())?;
    for changed in changed.iter().take(LISTED) {
        let board = &changed.board;
        writeln!(
            out,
            "  {board}: {} -> {}, {} labelled defects",
            changed.old, changed.new, changed.labels
        )?;
    }
    if changed.len() > LISTED {
        writeln!(out, "  and {} more", changed.len() - LISTED)?;
    }
    let worse = acceptance.worse_ways();
    if worse.is_empty() {
        writeln!(out, "verdict: not worse")?;
    }
    for worse in worse {
        writeln!(out, "verdict: worse, {worse}")?;
    }
    Ok(())
}
