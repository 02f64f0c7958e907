//! How the process logs: one subscriber, as text or as JSON lines, filtered by setting.
//!
//! Control characters are escaped in both forms (JSON itself leaves DEL and the C1 codes as they are), so that nothing a client sends can forge a line or reach a terminal. Tokens, keys and
//! session ids are never given to the log by the code that holds them.

use std::fmt::{self, Write as _};
use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::{MakeVisitor, RecordFields, VisitOutput};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

use crate::settings::{LogFormat, Settings};

/// Installs the subscriber; a filter that cannot be read is an error's text.
pub fn init(settings: &Settings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.log_level)
        .map_err(|error| format!("setting `log_level` is wrong; {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Escaping(io::stderr()));
    match settings.log_format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(false).fmt_fields(Escaped).try_init(),
    }
    .map_err(|error| error.to_string())
}

/// Escapes what is left of what a terminal obeys: DEL and the C1 codes, which JSON does not escape. Outside of its strings are none.
struct Escaping<W>(W);

impl<W: io::Write> io::Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains(is_obeyed) => {
                let escaped = text.chars().fold(String::new(), |mut escaped, character| {
                    if is_obeyed(character) {
                        // Writing to a String cannot fail.
                        let _ = write!(escaped, "\\u{:04x}", u32::from(character));
                    } else {
                        escaped.push(character);
                    }
                    escaped
                });
                self.0.write_all(escaped.as_bytes())?;
            }
            _ => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_obeyed(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{9f}')
}

/// Fields as usual, with control characters escaped.
struct Escaped;

impl<'writer> FormatFields<'writer> for Escaped {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut plain = String::new();
        let mut visitor: DefaultVisitor<'_> = PlainFields.make_visitor(Writer::new(&mut plain));
        fields.record(&mut visitor);
        visitor.finish()?;
        write_escaped(&mut writer, &plain)
    }
}

struct PlainFields;

impl<'writer> MakeVisitor<Writer<'writer>> for PlainFields {
    type Visitor = DefaultVisitor<'writer>;

    fn make_visitor(&self, target: Writer<'writer>) -> Self::Visitor {
        DefaultVisitor::new(target, true)
    }
}

fn write_escaped(writer: &mut impl fmt::Write, text: &str) -> fmt::Result {
    for character in text.chars() {
        if character.is_control() {
            write!(writer, "{}", character.escape_default())?;
        } else {
            writer.write_char(character)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_stays_json_without_what_a_terminal_obeys() {
        let mut line = Escaping(Vec::new());
        io::Write::write_all(&mut line, "{\"room\":\"a\u{9b}31m\u{7f}é\"}\n".as_bytes())
            .expect("written");
        let text = "{\"room\":\"a\\u009b31m\\u007fé\"}\n";
        assert_eq!(line.0, text.as_bytes());
        let room: serde_json::Value = serde_json::from_slice(&line.0).expect("JSON");
        assert_eq!(room["room"], "a\u{9b}31m\u{7f}é");
    }

    #[test]
    fn newlines_and_terminal_codes_are_escaped() {
        let mut line = String::new();
        write_escaped(&mut line, "room=\u{1b}[31mred\nERROR forged\u{9b}").expect("written");
        assert_eq!(line, "room=\\u{1b}[31mred\\nERROR forged\\u{9b}");
    }
}
