//! The results of one comparison, kept as JSON, so that a table or a chart can be drawn from them and from nothing else.
//!
//! In: rows as they come; a file. Out: the file, written again after each scenario; what was read from it. Figures are rounded to
//! four digits, for they are not better than that. It draws nothing.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::LoadError;
use crate::report::{Heading, Row};
use crate::scenario::Figures;
use crate::servers::Server;

/// The results of a run that is going on.
pub struct Results {
    file: Option<PathBuf>,
    value: Value,
}

impl Results {
    /// No scenario yet; `[machine, command]` say where and how.
    pub fn new(
        file: Option<PathBuf>,
        [machine, command]: &[String; 2],
        servers: &[&Server],
    ) -> Self {
        let versions: Vec<String> = servers
            .iter()
            .map(|server| format!("{} {}", server.name, server.version()))
            .collect();
        let value = json!({
            "machine": machine,
            "compared": versions.join("; "),
            "command": command,
            "scenarios": [],
        });
        Self { file, value }
    }

    /// What stands above the tables.
    pub fn preamble(&self) -> String {
        let text = |key: &str| self.value[key].as_str().unwrap_or_default();
        format!(
            "Machine: {}.\nCompared: {}.\nCommand: `{}`\n",
            text("machine"),
            text("compared"),
            text("command")
        )
    }

    /// Takes a scenario's rows, and writes the file.
    pub fn add(&mut self, heading: &Heading, title: &str, rows: &[Row]) -> Result<(), LoadError> {
        let rows: Vec<Value> = rows.iter().map(|row| row_value(heading, row)).collect();
        let scenario = json!({
            "name": heading.name,
            "title": title,
            "unit": if heading.memory { "KiB per connection".to_owned() } else { format!("µs CPU per {}", heading.unit) },
            "rows": rows,
        });
        if let Some(scenarios) = self.value["scenarios"].as_array_mut() {
            scenarios.push(scenario);
        }
        let Some(file) = &self.file else {
            return Ok(());
        };
        let text = format!("{:#}\n", self.value);
        fs::write(file, text).map_err(LoadError::io("write the results"))
    }
}

/// One scenario as a file has it.
pub struct Scenario {
    /// What happened.
    pub title: String,
    /// Of the figures.
    pub unit: String,
    /// Servers and their figures, in the order of the run; none for a server that failed or lost something.
    pub figures: Vec<(String, Option<f64>)>,
}

/// A file of results.
pub struct Kept {
    /// Cores, processor, memory, kernel, load, and where everything ran.
    pub machine: String,
    /// The servers with their versions.
    pub compared: String,
    /// The command that measured.
    pub command: String,
    /// In the order of the run.
    pub scenarios: Vec<Scenario>,
}

impl Kept {
    /// Reads a file that [`Results`] wrote.
    pub fn read(file: &Path) -> Result<Self, LoadError> {
        let text = fs::read_to_string(file).map_err(LoadError::io("read the results"))?;
        let value = serde_json::from_str(&text).map_err(|error| LoadError::Process {
            what: file.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self::from_value(&value))
    }

    fn from_value(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let figure = |row: &Value| {
            let is_whole = row["lost"] == 0 && row["surplus"] == 0;
            (
                text(&row["server"]),
                row["figure"].as_f64().filter(|_| is_whole),
            )
        };
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let scenario = |value: &Value| Scenario {
            title: text(&value["title"]),
            unit: text(&value["unit"]),
            figures: list(&value["rows"]).iter().map(figure).collect(),
        };
        Self {
            machine: text(&value["machine"]),
            compared: text(&value["compared"]),
            command: text(&value["command"]),
            scenarios: list(&value["scenarios"]).iter().map(scenario).collect(),
        }
    }
}

fn row_value(heading: &Heading, row: &Row) -> Value {
    match &row.outcome {
        Ok(figures) => figures_value(heading, &row.server, figures),
        Err(reason) => json!({ "server": row.server, "failed": reason }),
    }
}

fn figures_value(heading: &Heading, server: &str, figures: &Figures) -> Value {
    let stretch = figures.stretch;
    let milliseconds = |nanoseconds: u64| rounded(nanoseconds as f64 / 1e6);
    json!({
        "server": server,
        "figure": heading.figure(figures).map(rounded),
        "least": figures.spread.map(|(least, _)| rounded(least)),
        "most": figures.spread.map(|(_, most)| rounded(most)),
        "server_cpu_seconds": stretch.server.map(rounded),
        "server_system_seconds": stretch.server_system.map(rounded),
        "generator_cpu_seconds": rounded(stretch.generator),
        "seconds": rounded(stretch.seconds),
        "operations": figures.operations,
        "p50_ms": figures.latency.map(|latency| milliseconds(latency.p50)),
        "p99_ms": figures.latency.map(|latency| milliseconds(latency.p99)),
        "max_ms": figures.latency.map(|latency| milliseconds(latency.max)),
        "lost": figures.lost,
        "surplus": figures.surplus,
        "notes": figures.notes,
    })
}

fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Stretch;

    #[test]
    fn a_kept_row_is_read_back_unless_it_lost_something() {
        let heading = Heading {
            name: "fanout",
            unit: "delivery",
            memory: false,
        };
        let stretch = Stretch {
            seconds: 10.0,
            server: Some(2.0),
            server_system: Some(1.5),
            generator: 1.0,
        };
        let row = |server: &str, lost| Row {
            server: server.to_owned(),
            outcome: Ok(Figures {
                lost,
                ..Figures::new(300_000, stretch)
            }),
        };
        let mut results = Results::new(None, &["m".to_owned(), "c".to_owned()], &[]);
        let rows = [row("relais", 0), row("node", 1)];
        results.add(&heading, "a title", &rows).unwrap();
        let kept = Kept::from_value(&results.value);
        assert_eq!((kept.machine.as_str(), kept.command.as_str()), ("m", "c"));
        let scenario = &kept.scenarios[0];
        assert_eq!(
            (scenario.title.as_str(), scenario.unit.as_str()),
            ("a title", "µs CPU per delivery")
        );
        assert_eq!(
            scenario.figures,
            [
                ("relais".to_owned(), Some(6.667)),
                ("node".to_owned(), None)
            ]
        );
    }
}
