//! The README's table and chart, drawn from a file of results and from nothing else.
//!
//! In: what `compare --json` kept. Out: an SVG with one panel a scenario, readable on light and dark pages, and a Markdown table
//! between two marks in a file. A figure that is missing, or whose row lost something, is shown as "void" and has no bar.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::error::LoadError;
use crate::report::significant;
use crate::results::{Kept, Scenario};
use crate::servers;

const BEGIN: &str = "<!-- figures: drawn by `cargo xtask bench chart` -->\n";
const END: &str = "<!-- end of figures -->";

/// From where to where.
#[derive(Debug, Args)]
pub struct ChartArgs {
    /// The results.
    #[arg(default_value_os_t = ChartArgs::published().results)]
    pub results: PathBuf,
    /// The chart.
    #[arg(long, default_value_os_t = ChartArgs::published().svg)]
    svg: PathBuf,
    /// The file whose table is replaced.
    #[arg(long, default_value_os_t = ChartArgs::published().readme)]
    readme: PathBuf,
}

impl ChartArgs {
    /// The files of the repository.
    pub fn published() -> Self {
        let root = servers::root();
        Self {
            results: root.join("bench/results.json"),
            svg: root.join("docs/figures.svg"),
            readme: root.join("README.md"),
        }
    }
}

/// Draws both.
pub fn run(args: &ChartArgs) -> Result<(), LoadError> {
    let kept = Kept::read(&args.results)?;
    fs::write(&args.svg, svg(&kept)).map_err(LoadError::io("write the chart"))?;
    let readme =
        fs::read_to_string(&args.readme).map_err(LoadError::io("read the file of the table"))?;
    let readme = replaced(&readme, &table(&kept)).ok_or_else(|| LoadError::Process {
        what: args.readme.display().to_string(),
        reason: format!("no lines {BEGIN:?} and {END:?}"),
    })?;
    fs::write(&args.readme, readme).map_err(LoadError::io("write the table"))
}

/// `text` with `table` between the marks.
fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// A server as readers call it.
fn shown(server: &str) -> &str {
    match server {
        "floor" => "floor: bare sends",
        "relais" => "Relais, engine",
        "relais-serve" => "Relais, whole server",
        "node" => "socket.io on Node",
        "uws" => "uWebSockets, no Socket.IO",
        other => other,
    }
}

impl Scenario {
    fn figure(&self, server: &str) -> Option<f64> {
        self.figures
            .iter()
            .find(|(name, _)| name == server)
            .and_then(|(_, figure)| *figure)
    }
}

/// One row a scenario, one column a server, and the ratios that matter.
fn table(kept: &Kept) -> String {
    let mut names: Vec<&str> = Vec::new();
    let all = kept.scenarios.iter().flat_map(|scenario| &scenario.figures);
    for (name, _) in all {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    const RATIOS: [&str; 3] = ["socketioxide", "node", "floor"];
    let ratios: Vec<&str> = RATIOS
        .into_iter()
        .filter(|name| names.contains(name) && names.contains(&"relais"))
        .collect();
    let mut text = "| scenario | unit |".to_owned();
    for name in &names {
        let _ = write!(text, " {} |", shown(name));
    }
    for name in &ratios {
        let _ = write!(text, " engine ÷ {name} |");
    }
    text.push_str("\n|---|---|");
    text.push_str(&"--:|".repeat(names.len() + ratios.len()));
    text.push('\n');
    for scenario in &kept.scenarios {
        let _ = write!(text, "| {} | {} |", scenario.title, scenario.unit);
        for name in &names {
            let is_in = scenario.figures.iter().any(|(server, _)| server == name);
            let none = if is_in { "void" } else { "" };
            let cell = scenario.figure(name).map_or(none.to_owned(), significant);
            let _ = write!(text, " {cell} |");
        }
        for name in &ratios {
            let both = scenario.figure("relais").zip(scenario.figure(name));
            let cell = both.map_or(String::new(), |(ours, theirs)| {
                format!("{:.2}", ours / theirs)
            });
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    let _ = write!(
        text,
        "\nMachine: {}. Compared: {}. Command: `{}`.\n",
        kept.machine, kept.compared, kept.command
    );
    text
}

const PANEL_WIDTH: usize = 400;
const LABEL_WIDTH: usize = 165;
const BAR_WIDTH: usize = 190;
const BAR_STEP: usize = 18;
const PANEL_HEAD: usize = 52;
const MARGIN: usize = 16;

const STYLE: &str = "\
.page{fill:#ffffff;stroke:#d0d7de}text{font:12px system-ui,sans-serif;fill:#1f2328}\
.title{font-weight:600}.unit{fill:#59636e;font-size:11px}.bar{fill:#8c959f}.ours{fill:#0969da}.floor{fill:#d4a72c}\
@media(prefers-color-scheme:dark){.page{fill:#0d1117;stroke:#3d444d}text{fill:#f0f6fc}\
.unit{fill:#9198a1}.bar{fill:#656c76}.ours{fill:#4493f8}.floor{fill:#bb8009}}";

/// Two panels in a row, each with its own scale from 0.
fn svg(kept: &Kept) -> String {
    let mut body = String::new();
    let mut top = MARGIN;
    for row in kept.scenarios.chunks(2) {
        for (column, scenario) in row.iter().enumerate() {
            panel(&mut body, scenario, MARGIN + column * PANEL_WIDTH, top);
        }
        let tallest = row.iter().map(|scenario| scenario.figures.len()).max();
        top += PANEL_HEAD + tallest.unwrap_or(0) * BAR_STEP;
    }
    let (width, height) = (2 * PANEL_WIDTH + MARGIN, top + MARGIN);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Server CPU and memory beside other servers; shorter is better\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n{body}</svg>\n",
        width - 1,
        height - 1
    )
}

fn panel(out: &mut String, scenario: &Scenario, left: usize, top: usize) {
    let _ = writeln!(
        out,
        "<text class=\"title\" x=\"{left}\" y=\"{}\">{}</text>\n<text class=\"unit\" x=\"{left}\" y=\"{}\">{}, shorter is better</text>",
        top + 14,
        escaped(&scenario.title),
        top + 30,
        escaped(&scenario.unit)
    );
    let most = scenario
        .figures
        .iter()
        .filter_map(|(_, figure)| *figure)
        .fold(f64::MIN_POSITIVE, f64::max);
    for (index, (server, figure)) in scenario.figures.iter().enumerate() {
        let y = top + 38 + index * BAR_STEP;
        let class = match server.as_str() {
            "floor" => "floor",
            "relais" | "relais-serve" => "ours",
            _ => "bar",
        };
        let length = figure.map_or(0.0, |figure| figure / most * BAR_WIDTH as f64);
        let bar_left = left + LABEL_WIDTH;
        let _ = writeln!(
            out,
            "<text x=\"{left}\" y=\"{}\">{}</text><rect class=\"{class}\" x=\"{bar_left}\" y=\"{y}\" width=\"{length:.1}\" height=\"13\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            y + 11,
            escaped(shown(server)),
            bar_left as f64 + length + 5.0,
            y + 11,
            figure.map_or("void".to_owned(), significant)
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let row = |name: &str, figure| (name.to_owned(), figure);
        Kept {
            machine: "m".to_owned(),
            compared: "v".to_owned(),
            command: "c".to_owned(),
            scenarios: vec![Scenario {
                title: "500 < 1,000".to_owned(),
                unit: "µs".to_owned(),
                figures: vec![
                    row("floor", Some(4.0)),
                    row("relais", Some(5.0)),
                    row("socketioxide", Some(10.0)),
                    row("node", None),
                ],
            }],
        }
    }

    #[test]
    fn the_table_shows_figures_ratios_and_what_is_void() {
        let text = table(&kept());
        assert!(
            text.contains("| 500 < 1,000 | µs | 4.00 | 5.00 | 10.0 | void | 0.50 |  | 1.25 |"),
            "{text}"
        );
    }

    #[test]
    fn the_longest_bar_fills_the_panel_and_the_others_follow_their_figures() {
        let text = svg(&kept());
        assert!(text.contains("500 &lt; 1,000"), "{text}");
        for (class, width) in [("floor", "76.0"), ("ours", "95.0"), ("bar", "190.0")] {
            let has_bar = text.lines().any(|line| {
                line.contains(&format!("class=\"{class}\""))
                    && line.contains(&format!("width=\"{width}\""))
            });
            assert!(has_bar, "{class}: {text}");
        }
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let text = format!("a\n{BEGIN}old\n{END}\nb\n");
        let text = replaced(&text, "new").unwrap();
        assert_eq!(text, format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(replaced(&text, "new").unwrap(), text);
        assert_eq!(replaced("no marks", "new"), None);
    }

    #[test]
    fn the_readme_and_the_chart_are_those_of_the_kept_results() {
        let files = ChartArgs::published();
        let kept = Kept::read(&files.results).unwrap();
        assert_eq!(fs::read_to_string(&files.svg).unwrap(), svg(&kept));
        let readme = fs::read_to_string(&files.readme).unwrap();
        assert_eq!(replaced(&readme, &table(&kept)), Some(readme));
    }
}
