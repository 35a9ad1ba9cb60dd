//! What was measured round by round, and the figures that come of it.

use crate::bench::figures::{Figure, Figures};
use crate::bench::private_server::COMMIT_CLIENTS;
use crate::bench::wrk::{WrkRequest, WrkRun};
use crate::statistics::Spread;

/// How many times the peer's rate is asked of the platform, and from how many connections on.
const RATE_GOAL: f64 = 6.0;
const RATE_GOAL_FROM: u32 = 64;
/// With fewer connections both wait for the disk rather than compute: not to be slower is enough.
const NOT_SLOWER: f64 = 1.0;
/// How long a command may take, in milliseconds, that is sent alone.
const ALONE_GOAL_MS: f64 = 1.0;

/// The same asked of both, one right after the other.
pub(super) struct DuelRound {
    pub(super) ours: WrkRun,
    pub(super) peers: WrkRun,
}

/// All rounds with one request and one number of connections.
pub(super) struct Series {
    pub(super) request: WrkRequest,
    pub(super) connections: u32,
    pub(super) rounds: Vec<DuelRound>,
}

impl Series {
    /// One for both requests with each of these numbers.
    pub(super) fn for_each_setting(connections: &[u32]) -> Vec<Self> {
        let with = |&connections: &u32| {
            let new = move |request| Self { request, connections, rounds: Vec::new() };
            WrkRequest::ALL.map(new)
        };
        connections.iter().flat_map(with).collect()
    }

    /// The ratio of rates; of a command that is sent alone also how long it takes.
    pub(super) fn add_figures(&self, how: &str, figures: &mut Figures) {
        let ratio = self.spread_of(|round| round.ours.per_second() / round.peers.per_second());
        let goal = if self.connections >= RATE_GOAL_FROM { RATE_GOAL } else { NOT_SLOWER };
        let name = format!("{}, rate against the peer's", self.name());
        figures.add(Figure::at_least(&name, ratio.median, "times", goal).measured_by(format!(
            "{} times: {} requests a second; p50 {} ms, p99 {} ms; {how}",
            ratio.show(2),
            self.against(WrkRun::per_second, 0),
            self.against(WrkRun::p50_ms, 2),
            self.against(WrkRun::p99_ms, 2),
        )));
        if self.request == WrkRequest::Create && self.connections == 1 {
            let p50 = self.spread_of(|round| round.ours.p50_ms());
            let figure =
                Figure::at_most(&format!("{}, p50", self.name()), p50.median, "ms", ALONE_GOAL_MS);
            figures.add(figure.measured_by(format!(
                "{} ms over the same rounds, one after the other, each with a fresh Idempotency-Key",
                p50.show(2),
            )));
        }
    }

    /// How much of the server's own rate is reached, which `commits` has by round.
    pub(super) fn limit_figure(&self, commits: &[f64]) -> Figure {
        let rates = self.rounds.iter().map(|round| round.ours.per_second());
        let ratio = Spread::from_values(rates.zip(commits).map(|(rate, commits)| rate / commits));
        let commits = Spread::from_values(commits.iter().copied());
        let name = format!("{}, share of bare commits", self.name());
        // A limit and no goal: as many commands as commits are all that one commit for each allows.
        Figure::at_most(&name, ratio.median, "times", 1.0).measured_by(format!(
            "{} times the {} transactions a second of pgbench on the same server in the same rounds: \
             {COMMIT_CLIENTS} clients that insert one row each, prepared",
            ratio.show(2),
            commits.show(0),
        ))
    }

    fn name(&self) -> String {
        let ending = if self.connections == 1 { "" } else { "s" };
        format!("{} on {} connection{ending}", self.request.method(), self.connections)
    }

    fn spread_of(&self, value: impl Fn(&DuelRound) -> f64) -> Spread {
        Spread::from_values(self.rounds.iter().map(value))
    }

    /// Our number and the peer's.
    fn against(&self, value: fn(&WrkRun) -> f64, digits: usize) -> String {
        let ours = self.spread_of(|round| value(&round.ours)).show(digits);
        let peers = self.spread_of(|round| value(&round.peers)).show(digits);
        format!("{ours} against {peers}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_requests_are_measured_with_every_number_of_connections() {
        let series = Series::for_each_setting(&[1, 64]);
        let names: Vec<String> = series.iter().map(Series::name).collect();
        let expected = ["POST on 1 connection", "GET on 1 connection", "POST on 64 connections"];
        assert_eq!(names[..3], expected);
    }
}
