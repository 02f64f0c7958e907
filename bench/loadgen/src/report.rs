//! Figures as Markdown: one table a scenario, one row a server, with the ratio to each reference peer of the same run.
//!
//! In: rows. Out: text. A row that failed says why instead of showing a figure; a row that lost something says so.

use std::fmt::Write as _;

use crate::histogram::Latency;
use crate::scenario::Figures;

/// The peers that ratios are given against, when they are in the run.
const REFERENCES: [&str; 2] = ["socketioxide", "node"];

/// How a scenario's figures are read.
#[derive(Debug, Clone, Copy)]
pub struct Heading {
    /// Its name on the command line.
    pub name: &'static str,
    /// What one operation is called.
    pub unit: &'static str,
    /// Whether the figure to compare is memory for a connection instead of CPU for an operation.
    pub memory: bool,
}

/// One server's result.
pub struct Row {
    /// Name of the server.
    pub server: String,
    /// What it did, or why there are no figures.
    pub outcome: Result<Figures, String>,
}

impl Heading {
    /// The figure that servers are compared by.
    pub fn figure(&self, figures: &Figures) -> Option<f64> {
        if self.memory {
            figures.kib_per_connection
        } else {
            figures.server_us()
        }
    }
}

/// The table of one scenario.
pub fn table(heading: &Heading, title: &str, rows: &[Row]) -> String {
    let references: Vec<(&str, f64)> = REFERENCES
        .into_iter()
        .filter_map(|name| {
            let row = rows.iter().find(|row| row.server == name)?;
            Some((name, heading.figure(row.outcome.as_ref().ok()?)?))
        })
        .collect();
    let mut columns = vec!["server".to_owned()];
    columns.push(if heading.memory {
        "KiB per connection".to_owned()
    } else {
        format!("server µs CPU per {}", heading.unit)
    });
    columns.extend(references.iter().map(|(name, _)| format!("÷ {name}")));
    if !heading.memory {
        columns.extend([
            format!("{}/s", plural(heading.unit)),
            "p50".into(),
            "p99".into(),
            "max".into(),
        ]);
    }
    columns.extend(["server busy", "of it system", "generator busy", "lost"].map(str::to_owned));

    let mut text = format!(
        "### {}: {title}\n\n| {} |\n|",
        heading.name,
        columns.join(" | ")
    );
    for index in 0..columns.len() {
        text.push_str(if index == 0 { "---|" } else { "--:|" });
    }
    text.push('\n');
    for row in rows {
        let cells = match &row.outcome {
            Ok(figures) => cells(heading, figures, &references),
            Err(reason) => vec![format!(
                "failed: {}",
                reason.replace(['|', '\n', '\r'], " ")
            )],
        };
        let _ = writeln!(text, "| {} | {} |", row.server, cells.join(" | "));
    }
    for row in rows {
        for note in row.outcome.iter().flat_map(|figures| &figures.notes) {
            let _ = write!(text, "\n{}: {note}\n", row.server);
        }
    }
    text
}

fn cells(heading: &Heading, figures: &Figures, references: &[(&str, f64)]) -> Vec<String> {
    let figure = heading.figure(figures);
    let mut cells = vec![figure.map_or("unknown".to_owned(), significant)];
    for (_, reference) in references {
        cells.push(figure.map_or("unknown".to_owned(), |figure| {
            format!("{:.2}", figure / reference)
        }));
    }
    if !heading.memory {
        cells.push(format!("{:.0}", figures.rate()));
        cells.extend(latency_cells(figures.latency));
    }
    let stretch = figures.stretch;
    cells.push(
        stretch
            .server
            .map_or("unknown".to_owned(), |cpu| percent(cpu / stretch.seconds)),
    );
    let system = stretch.server.zip(stretch.server_system);
    let system = system.filter(|(all, _)| *all > 0.0);
    cells.push(system.map_or(String::new(), |(all, system)| percent(system / all)));
    cells.push(percent(stretch.generator / stretch.seconds));
    cells.push(match (figures.lost, figures.surplus) {
        (0, 0) => "0".to_owned(),
        (lost, 0) => format!("**{lost}**"),
        (lost, surplus) => format!("**{lost}**, {surplus} too many"),
    });
    cells
}

fn latency_cells(latency: Option<Latency>) -> [String; 3] {
    latency.map_or([const { String::new() }; 3], |latency| {
        [latency.p50, latency.p99, latency.max].map(milliseconds)
    })
}

fn milliseconds(nanoseconds: u64) -> String {
    format!("{} ms", significant(nanoseconds as f64 / 1e6))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Three significant digits, without an exponent.
pub fn significant(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn plural(unit: &str) -> String {
    match unit.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Stretch;

    fn row(server: &str, cpu: f64, lost: u64) -> Row {
        let stretch = Stretch {
            seconds: 10.0,
            server: Some(cpu),
            server_system: Some(cpu / 2.0),
            generator: 1.0,
        };
        let mut figures = Figures::new(200_000, stretch);
        figures.lost = lost;
        Row {
            server: server.to_owned(),
            outcome: Ok(figures),
        }
    }

    const HEADING: Heading = Heading {
        name: "fanout",
        unit: "delivery",
        memory: false,
    };

    #[test]
    fn a_row_shows_cpu_per_operation_and_the_ratio_to_each_reference() {
        let text = table(&HEADING, "t", &[row("relais", 2.0, 0), row("node", 4.0, 0)]);
        assert!(
            text.contains("| server | server µs CPU per delivery | ÷ node | deliveries/s |"),
            "{text}"
        );
        assert!(text.contains("| relais | 10.0 | 0.50 | 20000 |"), "{text}");
    }

    #[test]
    fn losses_stand_out_and_a_failed_row_says_why() {
        let failed = Row {
            server: "node".to_owned(),
            outcome: Err("no | port".to_owned()),
        };
        let text = table(&HEADING, "t", &[row("relais", 2.0, 3), failed]);
        assert!(text.contains("| **3** |"), "{text}");
        assert!(text.contains("| node | failed: no   port |"), "{text}");
    }
}
