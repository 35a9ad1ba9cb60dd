//! Figures, their goals and how they are printed. A ratio below 1 is better than the goal.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::machine::Machine;
use crate::statistics::Durations;

/// Whether more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Goal {
    AtMost,
    AtLeast,
}

/// One measured number.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) measured: f64,
    pub(super) unit: &'static str,
    pub(super) goal_is: Goal,
    pub(super) goal: f64,
    /// How much of the goal is used up: below 1 the goal is met.
    pub(super) ratio: f64,
    pub(super) method: String,
}

impl Figure {
    /// A figure that should be at most `goal`.
    pub(super) fn at_most(name: &str, measured: f64, unit: &'static str, goal: f64) -> Self {
        Self::new(name, (measured, unit), Goal::AtMost, goal, measured / goal)
    }

    /// A figure that should be at least `goal`.
    pub(super) fn at_least(name: &str, measured: f64, unit: &'static str, goal: f64) -> Self {
        Self::new(name, (measured, unit), Goal::AtLeast, goal, goal / measured)
    }

    fn new(
        name: &str,
        (measured, unit): (f64, &'static str),
        goal_is: Goal,
        goal: f64,
        ratio: f64,
    ) -> Self {
        let method = String::new();
        Self { name: name.to_owned(), measured, unit, goal_is, goal, ratio, method }
    }

    /// With a sentence that says how it was measured.
    pub(super) fn measured_by(mut self, method: impl Into<String>) -> Self {
        self.method = method.into();
        self
    }

    /// p50 or p99 of durations, in milliseconds.
    pub(super) fn for_percentile(
        name: &str,
        of: &Durations,
        per_cent: usize,
        goal_ms: f64,
    ) -> Self {
        let name = format!("{name}, p{per_cent}");
        Self::at_most(&name, of.percentile_ms(per_cent), "ms", goal_ms)
    }

    pub(super) fn first_start(took: Duration) -> Self {
        Self::at_most("up ready, first start", took.as_secs_f64(), "s", 15.0).measured_by(
            "process started in an empty folder (initdb included) until /readyz answers 200",
        )
    }

    pub(super) fn later_start(took: Duration) -> Self {
        Self::at_most("up ready, later start", took.as_secs_f64(), "s", 5.0)
            .measured_by("process started on an existing folder until /readyz answers 200")
    }

    pub(super) fn idle_memory(mib: f64, seconds: u64) -> Self {
        Self::at_most("memory without work", mib * 1.048_576, "MB", 200.0)
            .measured_by(format!("VmRSS of the chipq process, {seconds} s after it was ready"))
    }
}

/// All figures of one run.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    machine: Machine,
    figures: Vec<Figure>,
}

impl Figures {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine, figures: Vec::new() }
    }

    pub(super) fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        let load_average = &self.machine.load_average;
        writeln!(f, "load average at the beginning: {load_average}\n")?;
        let width = self.figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0);
        writeln!(f, "{:<width$}  {:>12}  {:>14}  {:>6}", "figure", "measured", "goal", "ratio")?;
        for figure in &self.figures {
            let sign = match figure.goal_is {
                Goal::AtMost => "<=",
                Goal::AtLeast => ">=",
            };
            writeln!(
                f,
                "{:<width$}  {:>12}  {:>14}  {:>6.2}{}",
                figure.name,
                format!("{:.1} {}", figure.measured, figure.unit),
                format!("{sign} {} {}", figure.goal, figure.unit),
                figure.ratio,
                if figure.ratio <= 1.0 { "" } else { "  misses" },
            )?;
        }
        writeln!(f, "\nmethod (a ratio of 1 is the goal, below is better):")?;
        for figure in self.figures.iter().filter(|figure| !figure.method.is_empty()) {
            writeln!(f, "  {}: {}", figure.name, figure.method)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_below_one_meets_the_goal_either_way() {
        assert!(Figure::at_most("a", 100.0, "ms", 300.0).ratio < 1.0);
        assert!(Figure::at_least("b", 20_000.0, "events/s", 10_000.0).ratio < 1.0);
        let mut figures = Figures::new(Machine::this());
        figures.add(Figure::at_least("slow", 5_000.0, "events/s", 10_000.0));
        assert!(figures.to_string().contains("2.00  misses"), "{figures}");
    }
}
