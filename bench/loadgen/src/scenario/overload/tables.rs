//! What an overload comes to, as tables: each phase, the seconds after it, and the account of every message.
//!
//! In come the senders after a run; out goes text. Nothing is measured or judged here.

use std::fmt::Write as _;

use super::{Fate, Second, Senders};
use crate::histogram::Latency;

/// A name, and from which second to before which.
pub(super) type Phase = (&'static str, u64, u64);

fn sum(senders: &Senders, from: u64, to: u64) -> Second {
    let mut sum = Second::default();
    for second in senders.seconds.range(from..to).map(|(_, second)| second) {
        sum.offered += second.offered;
        sum.acked += second.acked;
        sum.overloaded += second.overloaded;
        sum.other += second.other;
        sum.latency.merge(&second.latency);
        sum.refusals.merge(&second.refusals);
    }
    sum
}

fn ms(value: Option<Latency>, pick: fn(&Latency) -> u64) -> String {
    value.map_or("–".to_owned(), |latency| {
        format!("{:.1} ms", pick(&latency) as f64 / 1e6)
    })
}

pub(super) fn phases_table(text: &mut String, senders: &Senders, phases: &[Phase]) {
    text.push_str(
        "| | offered/s | acked/s | OVERLOADED/s | other errors | ack p50 | p99 | max | refusal p50 | p99 |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (name, from, to) in phases {
        let sum = sum(senders, *from, *to);
        let per_second = |count: u64| count as f64 / (to - from) as f64;
        let (acks, refusals) = (sum.latency.latency(), sum.refusals.latency());
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {:.0} | {:.0} | {} | {} | {} | {} | {} | {} |",
            per_second(sum.offered),
            per_second(sum.acked),
            per_second(sum.overloaded),
            sum.other,
            ms(acks, |l| l.p50),
            ms(acks, |l| l.p99),
            ms(acks, |l| l.max),
            ms(refusals, |l| l.p50),
            ms(refusals, |l| l.p99),
        );
    }
}

/// The seconds after the overload, and from which on p99 is at most twice what it was before.
pub(super) fn recovery_table(text: &mut String, senders: &Senders, phases: &[Phase]) {
    let (_, from, to) = phases[2];
    let normal = sum(senders, phases[0].1, phases[0].2).latency.latency();
    let limit = normal.map_or(u64::MAX, |latency| 2 * latency.p99);
    text.push_str("\n| second after the overload | acked | OVERLOADED | p50 | p99 | max |\n|--:|--:|--:|--:|--:|--:|\n");
    let mut normal_from = 0;
    for at in from..to {
        let second = senders.seconds.get(&at).cloned().unwrap_or_default();
        let latency = second.latency.latency();
        if second.overloaded > 0 || latency.is_none_or(|latency| latency.p99 > limit) {
            normal_from = at - from + 1;
        }
        if at < from + 8 {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                at - from,
                second.acked,
                second.overloaded,
                ms(latency, |l| l.p50),
                ms(latency, |l| l.p99),
                ms(latency, |l| l.max)
            );
        }
    }
    let _ = writeln!(
        text,
        "\nNormal again (no refusal, p99 at most twice that of before, in every second from then on): {normal_from} s after the overload."
    );
}

/// Every message of the run, the search included, and what observers saw of it.
pub(super) fn account(text: &mut String, senders: &Senders, skipped: usize) {
    let count = |fate: Fate| senders.sent.iter().filter(|sent| sent.fate == fate).count();
    let (mut lost, mut doubled, mut stored) = (0, 0, 0);
    for sent in &senders.sent {
        lost += u64::from(sent.fate == Fate::Acked && sent.seen == 0);
        doubled += u64::from(sent.seen > 1);
        stored += u64::from(sent.fate == Fate::Refused && sent.seen > 0);
    }
    let _ = writeln!(
        text,
        "\nOf {} messages ({skipped} of them in the search): {} acked, {} refused, {} unanswered; acked but lost {lost}, delivered twice {doubled}, \
         refused but delivered {stored}, OVERLOADED without advice {}, strange answers {}.{}",
        senders.sent.len(),
        count(Fate::Acked),
        count(Fate::Refused),
        count(Fate::Waiting),
        senders.dishonest,
        senders.strange,
        senders
            .refusal
            .as_ref()
            .map_or(String::new(), |refusal| format!(
                " First other refusal: {refusal}"
            )),
    );
}
