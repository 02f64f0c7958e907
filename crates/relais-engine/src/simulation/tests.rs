//! The delivery contract under thousands of seeded schedules, and the proof that a seed is a schedule.
//!
//! `RELAIS_SEEDS` is the number of seeds for each character, `RELAIS_SEED` the only one (`FIRST` to begin elsewhere: `RELAIS_SEED_FIRST`).
//! A seed that fails is run again with a trace, which is printed.

use super::house::Outcome;
use super::schedule::{Character, Plan, run};
use crate::stats::Stats;

/// Seeds of each character in a normal run.
const SEEDS: u64 = 500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    })
}

fn plan(character: Character, seed: u64, is_traced: bool) -> Plan {
    Plan {
        seed,
        character,
        is_traced,
    }
}

fn hold_the_contract(character: Character, test: &str) -> Reached {
    let (first, count) = match number("RELAIS_SEED") {
        Some(seed) => (seed, 1),
        None => (
            number("RELAIS_SEED_FIRST").unwrap_or(0),
            number("RELAIS_SEEDS").unwrap_or(SEEDS),
        ),
    };
    let mut reached = Vec::new();
    for seed in first..first + count {
        let outcome = run(plan(character, seed, false));
        if outcome.wrong.is_some() {
            fail(character, seed, test);
        }
        reached.push(outcome.reached);
    }
    Reached(sum(&reached), count)
}

/// What all seeds together led to.
struct Reached(Stats, u64);

impl Reached {
    /// What a schedule is made for must happen in it; a few seeds may have missed it.
    fn must_be(&self, what: impl Fn(&Stats) -> bool) {
        assert!(self.1 < 100 || what(&self.0), "{:?}", self.0);
    }
}

fn sum(all: &[Stats]) -> Stats {
    let mut sum = Stats::default();
    for stats in all {
        sum.connections_total += stats.connections_total;
        sum.resumed_total += stats.resumed_total;
        sum.events_in_total += stats.events_in_total;
        sum.overloaded_total += stats.overloaded_total;
        sum.events_out_total += stats.events_out_total;
        sum.volatile_dropped_total += stats.volatile_dropped_total;
        sum.inbox_full_total += stats.inbox_full_total;
        sum.slow_consumers_total += stats.slow_consumers_total;
        sum.protocol_errors_total += stats.protocol_errors_total;
        sum.heartbeats_missed_total += stats.heartbeats_missed_total;
        sum.catch_ups_total += stats.catch_ups_total;
    }
    sum
}

/// The same again, with a trace.
fn fail(character: Character, seed: u64, test: &str) -> ! {
    let Outcome { wrong, trace, .. } = run(plan(character, seed, true));
    let trace = trace.join("\n");
    let again = format!("RELAIS_SEED={seed} cargo nextest run -p relais-engine {test}");
    panic!(
        "{trace}\n\n{character:?}, seed {seed}: {}\n{again}",
        wrong.unwrap_or_default()
    );
}

#[test]
fn clients_that_come_and_go_miss_nothing() {
    let reached = hold_the_contract(Character::Flaky, "clients_that_come_and_go_miss_nothing");
    reached.must_be(|all| all.resumed_total > 0 && all.heartbeats_missed_total > 0);
}

#[test]
fn a_lossy_bus_and_a_failing_log_hide_nothing() {
    let reached = hold_the_contract(
        Character::Lossy,
        "a_lossy_bus_and_a_failing_log_hide_nothing",
    );
    reached.must_be(|all| all.catch_ups_total > 0 && all.inbox_full_total > 0);
}

#[test]
fn slow_readers_cost_only_themselves() {
    let reached = hold_the_contract(Character::Slow, "slow_readers_cost_only_themselves");
    reached.must_be(|all| all.slow_consumers_total > 0 && all.volatile_dropped_total > 0);
}

#[test]
fn commands_keep_their_order_among_those_who_break_rules() {
    let test = "commands_keep_their_order_among_those_who_break_rules";
    let reached = hold_the_contract(Character::Busy, test);
    reached.must_be(|all| all.protocol_errors_total > 0 && all.overloaded_total > 0);
}

#[test]
fn a_seed_is_a_schedule() {
    for (seed, character) in (0..5).flat_map(|seed| {
        let all = [
            Character::Flaky,
            Character::Lossy,
            Character::Slow,
            Character::Busy,
        ];
        all.map(|character| (seed, character))
    }) {
        let (one, two) = (
            run(plan(character, seed, true)),
            run(plan(character, seed, true)),
        );
        assert!(one.trace.len() > 50, "{character:?} {seed} does nothing");
        for (number, (a, b)) in one.trace.iter().zip(&two.trace).enumerate() {
            assert_eq!(a, b, "{character:?} {seed}: line {number} differs");
        }
        assert_eq!(one.trace.len(), two.trace.len());
        assert_eq!(one.reached, two.reached);
    }
}
