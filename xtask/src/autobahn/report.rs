//! What the suite found, as a table with a row for each section.
//!
//! In: the suite's `index.json`. Out: counts, and the cases that are not as the RFC wants them. A case is only good when what was said and
//! how the connection ended are both good: the suite's own report counts the first alone.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// What a case came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    NonStrict,
    Informational,
    /// What it tests (compression) is not spoken.
    Unimplemented,
    Failed,
}

/// Number, name and counts of one section.
#[derive(Default)]
struct Section {
    verdicts: BTreeMap<Verdict, u32>,
    /// Non-strict and failed ones, with what the suite says of them.
    named: Vec<String>,
}

/// The whole run.
pub struct Report {
    sections: BTreeMap<u32, Section>,
}

impl Report {
    /// Reads `index.json`, which has one object for each server tested; there is one.
    pub fn read(json: &str) -> Result<Self> {
        let index: Value = serde_json::from_str(json).context("the suite's index.json")?;
        let agents = index.as_object().context("no object of servers")?;
        let cases = agents.values().next().and_then(Value::as_object);
        let mut cases: Vec<_> = cases.context("no server was tested")?.iter().collect();
        cases.sort_by_key(|(case, _)| numbers(case));
        let mut sections: BTreeMap<u32, Section> = BTreeMap::new();
        for (case, result) in cases {
            let field = |name: &str| result[name].as_str().unwrap_or_default();
            let (said, closed) = (field("behavior"), field("behaviorClose"));
            let verdict = verdict(said).max(verdict(closed));
            let number = numbers(case).first().copied().unwrap_or_default();
            let section = sections.entry(number).or_default();
            *section.verdicts.entry(verdict).or_default() += 1;
            if matches!(verdict, Verdict::NonStrict | Verdict::Failed) {
                section.named.push(format!("{case} ({said}/{closed})"));
            }
        }
        Ok(Self { sections })
    }

    /// How many cases were run.
    pub fn cases(&self) -> u32 {
        (self.sections.values())
            .map(|section| section.verdicts.values().sum::<u32>())
            .sum()
    }

    /// How many failed, of those that are not about compression.
    pub fn failed(&self) -> u32 {
        (self.sections.range(..FIRST_OF_COMPRESSION))
            .map(|(_, section)| section.count(Verdict::Failed))
            .sum()
    }
}

/// Sections from here on are about compression.
const FIRST_OF_COMPRESSION: u32 = 12;

impl Section {
    fn count(&self, verdict: Verdict) -> u32 {
        self.verdicts.get(&verdict).copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "| section | cases | OK | non-strict | informational | unimplemented | failed |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|")?;
        for (number, section) in &self.sections {
            writeln!(
                out,
                "| {number} {} | {} | {} | {} | {} | {} | {} |",
                about(*number),
                section.verdicts.values().sum::<u32>(),
                section.count(Verdict::Ok),
                section.count(Verdict::NonStrict),
                section.count(Verdict::Informational),
                section.count(Verdict::Unimplemented),
                section.count(Verdict::Failed),
            )?;
        }
        for section in self.sections.values() {
            for case in &section.named {
                writeln!(out, "not as it should be: {case}")?;
            }
        }
        Ok(())
    }
}

/// What the suite says of a case, or of its end. A word that is not known is no pass.
fn verdict(word: &str) -> Verdict {
    match word {
        "OK" => Verdict::Ok,
        "NON-STRICT" => Verdict::NonStrict,
        "INFORMATIONAL" => Verdict::Informational,
        "UNIMPLEMENTED" => Verdict::Unimplemented,
        _ => Verdict::Failed,
    }
}

fn numbers(case: &str) -> Vec<u32> {
    case.split('.').flat_map(str::parse).collect()
}

fn about(section: u32) -> &'static str {
    match section {
        1 => "framing",
        2 => "pings and pongs",
        3 => "reserved bits",
        4 => "opcodes",
        5 => "fragmentation",
        6 => "UTF-8",
        7 => "closing",
        9 => "limits and performance",
        10 => "miscellaneous",
        12 => "compression, payloads",
        13 => "compression, parameters",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    fn report(cases: &[(&str, &str, &str)]) -> Report {
        let cases: Vec<String> = (cases.iter())
            .map(|(case, said, closed)| {
                format!(r#""{case}":{{"behavior":"{said}","behaviorClose":"{closed}"}}"#)
            })
            .collect();
        Report::read(&format!(r#"{{"relais":{{{}}}}}"#, cases.join(","))).expect("readable")
    }

    #[test]
    fn a_section_is_a_row_and_what_is_not_good_is_named() {
        let report = report(&[
            ("1.1.10", "OK", "OK"),
            ("1.1.9", "NON-STRICT", "OK"),
            ("7.1.6", "INFORMATIONAL", "INFORMATIONAL"),
        ]);
        let text = report.to_string();
        assert!(
            text.contains("| 1 framing | 2 | 1 | 1 | 0 | 0 | 0 |"),
            "{text}"
        );
        assert!(
            text.contains("| 7 closing | 1 | 0 | 0 | 1 | 0 | 0 |"),
            "{text}"
        );
        assert!(
            text.ends_with("not as it should be: 1.1.9 (NON-STRICT/OK)\n"),
            "{text}"
        );
        assert_eq!((report.cases(), report.failed()), (3, 0));
    }

    #[test]
    fn a_good_answer_with_a_bad_end_is_a_failure() {
        let report = report(&[
            ("3.1", "OK", "FAILED BY CLIENT"),
            ("4.1.1", "OK", "WRONG CODE"),
        ]);
        assert_eq!(report.failed(), 2);
    }

    #[test]
    fn compression_that_is_not_spoken_fails_nothing() {
        let report = report(&[
            ("12.1.1", "UNIMPLEMENTED", "OK"),
            ("13.1.1", "FAILED", "OK"),
        ]);
        assert_eq!((report.cases(), report.failed()), (2, 0));
    }
}
