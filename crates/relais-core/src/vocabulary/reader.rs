//! Reading TOML with places: tables in the order of the file, typed values, unknown keys.
//!
//! Text goes in; values with their byte spans come out, and every mistake is noted where it stands instead of ending
//! the reading, so that one run reports them all. It knows TOML, and nothing of what an app file means.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Mistakes, line_and_column, suggestion};

/// A TOML value with its place.
pub(super) type Node<'t> = &'t Spanned<DeValue<'t>>;

/// Collects mistakes while a file is read.
pub(super) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    mistakes: RefCell<Vec<(usize, String)>>,
    warnings: RefCell<Vec<(usize, String)>>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Parses the text, noting every syntax error; what could be read is returned all the same.
    pub(super) fn document(&self) -> Spanned<DeTable<'t>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            self.note(at, error.message().replace('\n', ", "));
        }
        document
    }

    /// Notes a mistake at a byte offset. A place is reported once: what follows from a first mistake is noise.
    pub(super) fn note(&self, at: usize, message: impl Into<String>) {
        let mut mistakes = self.mistakes.borrow_mut();
        if !mistakes.iter().any(|(place, _)| *place == at) {
            mistakes.push((at, message.into()));
        }
    }

    /// Notes what is right and yet likely not meant.
    pub(super) fn warn(&self, at: usize, message: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.iter().any(|(place, _)| *place == at) {
            warnings.push((at, message));
        }
    }

    pub(super) fn has_mistakes(&self) -> bool {
        !self.mistakes.borrow().is_empty()
    }

    /// All mistakes in the order of the file.
    pub(super) fn finish(self) -> Mistakes {
        Mistakes(self.placed(self.mistakes.take()))
    }

    /// All warnings in the order of the file.
    pub(super) fn warnings(&self) -> Vec<Mistake> {
        self.placed(self.warnings.take())
    }

    fn placed(&self, mut noted: Vec<(usize, String)>) -> Vec<Mistake> {
        let file: Arc<str> = self.file.into();
        noted.sort();
        let place = |(at, message): (usize, String)| {
            let (line, column) = line_and_column(self.text, at);
            Mistake {
                file: file.clone(),
                line,
                column,
                message,
            }
        };
        noted.into_iter().map(place).collect()
    }
}

/// One `key = value` of a table.
#[derive(Clone)]
pub(super) struct Entry<'t> {
    pub(super) key: &'t str,
    /// Where the key stands.
    pub(super) at: Range<usize>,
    pub(super) node: Node<'t>,
}

/// A table whose keys are known: reading a key marks it, and [`Table::finish`] reports the others.
pub(super) struct Table<'t> {
    pub(super) reader: &'t Reader<'t>,
    /// Where the table stands: the span of the key that names it.
    pub(super) at: Range<usize>,
    entries: Vec<Entry<'t>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'t> Table<'t> {
    pub(super) fn new(reader: &'t Reader<'t>, at: Range<usize>, table: &'t DeTable<'t>) -> Self {
        Self {
            reader,
            at,
            entries: entries(table),
            asked: RefCell::default(),
        }
    }

    /// The table that an entry holds; a mistake where it holds something else.
    pub(super) fn of(reader: &'t Reader<'t>, entry: &Entry<'t>) -> Option<Self> {
        match entry.node.get_ref() {
            DeValue::Table(table) => Some(Self::new(reader, entry.at.clone(), table)),
            other => {
                let found = kind(other);
                reader.note(
                    entry.node.span().start,
                    format!("\"{}\" is a table, not {found}", entry.key),
                );
                None
            }
        }
    }

    pub(super) fn note(&self, at: usize, message: impl Into<String>) {
        self.reader.note(at, message);
    }

    pub(super) fn entry(&self, key: &'static str) -> Option<&Entry<'t>> {
        self.asked.borrow_mut().push(key);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Text under a key.
    pub(super) fn text(&self, key: &'static str) -> Option<(&'t str, usize)> {
        let entry = self.entry(key)?;
        text(self.reader, entry.key, entry.node)
    }

    /// Text under a key that must be there.
    pub(super) fn required_text(
        &self,
        key: &'static str,
        example: &str,
    ) -> Option<(&'t str, usize)> {
        if self.entry(key).is_none() {
            self.note(
                self.at.start,
                format!("\"{key}\" is missing; for example {example}"),
            );
        }
        self.text(key)
    }

    /// `true` or `false` under a key.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        let Some(entry) = self.entry(key) else {
            return default;
        };
        match entry.node.get_ref() {
            DeValue::Boolean(flag) => *flag,
            other => {
                let found = kind(other);
                self.note(
                    entry.node.span().start,
                    format!("\"{key}\" is true or false, not {found}"),
                );
                default
            }
        }
    }

    /// A whole number in a range under a key.
    pub(super) fn integer(&self, key: &'static str, range: Range<i64>) -> Option<i64> {
        let entry = self.entry(key)?;
        let number = match entry.node.get_ref() {
            DeValue::Integer(_) => json(entry.node).as_i64(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return Some(number);
        }
        self.note(
            entry.node.span().start,
            format!(
                "\"{key}\" is a whole number from {} to {}",
                range.start,
                range.end - 1
            ),
        );
        None
    }

    /// Texts under a key: a list, or one text alone.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<(&'t str, usize)>> {
        let entry = self.entry(key)?;
        Some(texts(self.reader, entry.key, entry.node))
    }

    /// A table under a key, with its keys still unread.
    pub(super) fn table(&self, key: &'static str) -> Option<Self> {
        let entry = self.entry(key)?.clone();
        Self::of(self.reader, &entry)
    }

    /// All entries of a table whose keys are names that the file chooses.
    pub(super) fn named(&self) -> &[Entry<'t>] {
        &self.entries
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        for entry in &self.entries {
            if !asked.contains(&entry.key) {
                let help = suggestion(entry.key, asked.iter().copied());
                self.note(
                    entry.at.start,
                    format!("unknown key \"{}\"{help}", entry.key),
                );
            }
        }
    }
}

/// The entries of a table in the order of the file.
pub(super) fn entries<'t>(table: &'t DeTable<'t>) -> Vec<Entry<'t>> {
    let mut entries: Vec<Entry<'t>> = table
        .iter()
        .map(|(key, node)| Entry {
            key: key.get_ref(),
            at: key.span(),
            node,
        })
        .collect();
    entries.sort_by_key(|entry| entry.at.start);
    entries
}

/// A text and where it begins.
pub(super) fn text<'t>(reader: &Reader<'_>, key: &str, node: Node<'t>) -> Option<(&'t str, usize)> {
    match node.get_ref() {
        DeValue::String(text) => Some((text, node.span().start)),
        other => {
            let found = kind(other);
            reader.note(
                node.span().start,
                format!("\"{key}\" is a text, not {found}"),
            );
            None
        }
    }
}

/// Texts and where they begin, out of a list or of one text alone.
pub(super) fn texts<'t>(reader: &Reader<'_>, key: &str, node: Node<'t>) -> Vec<(&'t str, usize)> {
    match node.get_ref() {
        DeValue::Array(list) => list
            .iter()
            .filter_map(|item| text(reader, key, item))
            .collect(),
        _ => text(reader, key, node).into_iter().collect(),
    }
}

/// A TOML value as JSON. Times become their text; numbers that JSON cannot hold become null.
pub(super) fn json(node: &Spanned<DeValue<'_>>) -> Value {
    match node.get_ref() {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .map_or(Value::Null, Value::from),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(list) => list.iter().map(json).collect(),
        DeValue::Table(table) => entries(table)
            .into_iter()
            .map(|entry| (entry.key.to_owned(), json(entry.node)))
            .collect(),
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
