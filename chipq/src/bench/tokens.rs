//! What believing a token costs a request: the first time, and as long as it is known.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chrono::Utc;
use domain::{
    AccessControl, AccessControlEvent, Aggregate as _, PrincipalKind, PrincipalName, Reach, Role,
};
use platform::auth::{
    AccessRegister, Actor, KeyRing, RoleScopes, TokenConfig, TokenIssuer, TokenVerifier,
};
use serde::Serialize;
use uuid::Uuid;

use super::print;
use crate::cli::BenchTokensArgs;
use crate::machine::Machine;
use crate::statistics::Durations;
use crate::temporary::TemporaryFolder;

/// The first time that a token is shown, in microseconds.
const GOAL_FRESH_US: f64 = 300.0;
/// Each time after that.
const GOAL_KNOWN_US: f64 = 20.0;
/// Principals of the installation; tokens are of the first of them.
const PRINCIPALS: usize = 500;

/// Measures, and prints the figures with the machine and the method.
pub(super) async fn run(args: BenchTokensArgs) -> anyhow::Result<ExitCode> {
    let machine = Machine::this();
    let measured = tokio::task::spawn_blocking(move || measure(args.tokens)).await??;
    print(args.json, &TokensReport::new(machine, args.tokens, &measured))?;
    Ok(ExitCode::SUCCESS)
}

/// How long each token took.
struct Measured {
    fresh: Durations,
    known: Durations,
}

fn measure(tokens: usize) -> anyhow::Result<Measured> {
    let folder = TemporaryFolder::new("bench")?;
    let issuer =
        TokenIssuer::new(KeyRing::open(folder.path(), Utc::now())?, TokenConfig::default());
    let (register, actors) = populate()?;
    let verifier = issuer.verifier().with_register(register);
    let issued: Result<Vec<_>, _> = actors
        .iter()
        .cycle()
        .take(tokens)
        .map(|actor| issuer.issue(actor, Utc::now()).map(|issued| issued.token))
        .collect();
    let issued = issued?;
    // Code and keys are in the processor's caches then, as in a process that serves.
    let warm_up = issuer.issue(&actors[0], Utc::now())?.token;
    for _ in 0..100 {
        verifier.verify(&warm_up, Utc::now())?;
    }
    Ok(Measured { fresh: time(&verifier, &issued)?, known: time(&verifier, &issued)? })
}

fn time(verifier: &TokenVerifier, tokens: &[String]) -> anyhow::Result<Durations> {
    let mut times = Vec::with_capacity(tokens.len());
    for token in tokens {
        let started = Instant::now();
        verifier.verify(token, Utc::now())?;
        times.push(started.elapsed());
    }
    Ok(Durations::new(times))
}

/// An installation of some size, with an actor for each of its clients.
fn populate() -> anyhow::Result<(AccessRegister, Vec<Actor>)> {
    let mut access = AccessControl::default();
    let mut names = Vec::new();
    for n in 0..PRINCIPALS {
        let name: PrincipalName = format!("client-{n}").parse()?;
        names.push(name.clone());
        access.evolve(&AccessControlEvent::PrincipalCreated {
            name,
            kind: PrincipalKind::Client,
            display_name: None,
            role: Role::Engineer,
            reach: Reach::everywhere(),
            credential: Uuid::nil(),
            reason: "measured".to_owned(),
        });
    }
    let roles = RoleScopes::default();
    let actor = |name| Some(Actor::for_principal(name, access.principal(name)?, &roles));
    let actors = names.iter().filter_map(actor).collect();
    let register = AccessRegister::new();
    register.publish(access);
    Ok((register, actors))
}

/// Microseconds of one token.
#[derive(Debug, Serialize)]
struct TokenTime {
    median_us: f64,
    p99_us: f64,
    goal_us: f64,
}

impl TokenTime {
    fn new(times: &Durations, goal_us: f64) -> Self {
        let us = |per_cent| times.percentile(per_cent).unwrap_or(Duration::MAX).as_secs_f64() * 1e6;
        Self { median_us: us(50), p99_us: us(99), goal_us }
    }
}

#[derive(Debug, Serialize)]
struct TokensReport {
    machine: Machine,
    tokens: usize,
    fresh: TokenTime,
    known: TokenTime,
}

impl TokensReport {
    fn new(machine: Machine, tokens: usize, measured: &Measured) -> Self {
        let Measured { fresh, known } = measured;
        let (fresh, known) =
            (TokenTime::new(fresh, GOAL_FRESH_US), TokenTime::new(known, GOAL_KNOWN_US));
        Self { machine, tokens, fresh, known }
    }
}

impl fmt::Display for TokensReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        writeln!(f, "load average: {} at the beginning", self.machine.load_average)?;
        writeln!(f, "\n{:<24} {:>9} {:>9} {:>9}", "µs per token", "median", "p99", "goal")?;
        for (what, time) in [("shown the first time", &self.fresh), ("known", &self.known)] {
            let TokenTime { median_us, p99_us, goal_us } = time;
            let word = if median_us <= goal_us { "met" } else { "missed" };
            writeln!(f, "{what:<24} {median_us:>9.1} {p99_us:>9.1} {goal_us:>9.0} ({word})")?;
        }
        writeln!(
            f,
            "\nmethod: {} tokens one after the other on one thread, each verified once, then each again; an \
             installation of {PRINCIPALS} principals",
            self.tokens
        )
    }
}
