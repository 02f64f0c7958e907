//! How the process logs: one subscriber, as text or as JSON lines, filtered by setting.
//!
//! Control characters in fields are escaped, so that nothing a client sends can forge a line or reach a terminal. Tokens, keys and
//! session ids are never given to the log by the code that holds them.

use std::fmt;

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
        .with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(false).fmt_fields(Escaped).try_init(),
    }
    .map_err(|error| error.to_string())
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
    fn newlines_and_terminal_codes_are_escaped() {
        let mut line = String::new();
        write_escaped(&mut line, "room=\u{1b}[31mred\nERROR forged\u{9b}").expect("written");
        assert_eq!(line, "room=\\u{1b}[31mred\\nERROR forged\\u{9b}");
    }
}
