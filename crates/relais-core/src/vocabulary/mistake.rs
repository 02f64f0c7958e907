//! What is wrong with an app file: where, and what would be right.
//!
//! Offsets into the text go in, `file:line:column: message` comes out. It does not decide what a mistake is.

use std::fmt;
use std::sync::Arc;

/// One mistake in an app file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as it was named to [`super::App::parse`].
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )
    }
}

/// All mistakes of one app file, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Line and column, both from 1, of a byte offset.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// `; did you mean "x"?` where a known name is near enough, else the list of known names (where it is short).
pub fn suggestion<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|name| (distance(wrong, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1));
    if let Some((_, name)) = near {
        return format!("; did you mean \"{name}\"?");
    }
    known.sort_unstable();
    known.dedup();
    if known.is_empty() {
        return "; there are none".to_owned();
    }
    let quoted: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
    format!("; known: {}", quoted.join(", "))
}

/// Edits (insert, delete, replace, swap of neighbours) between two names, without regard to case.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.to_lowercase().chars().collect();
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let same = one[i - 1] == other[j - 1];
            let mut best = (last[j] + 1)
                .min(row[j - 1] + 1)
                .min(last[j - 1] + usize::from(!same));
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_begin_at_one() {
        assert_eq!(line_and_column("a\nbé = 1", 0), (1, 1));
        assert_eq!(line_and_column("a\nbé = 1", "a\nbé ".len()), (2, 4));
        assert_eq!(line_and_column("a", 99), (1, 2));
    }

    #[test]
    fn the_nearest_name_is_offered_and_a_far_one_gets_the_list() {
        assert_eq!(
            suggestion("paylod", ["payload", "map"]),
            "; did you mean \"payload\"?"
        );
        assert_eq!(
            suggestion("zzz", ["payload", "map"]),
            "; known: \"map\", \"payload\""
        );
        assert_eq!(suggestion("zzz", []), "; there are none");
    }
}
