//! A Rust file taken apart: its code, and the text in its string literals, each in a copy of the file in which all else is blank.
//!
//! Lines and columns stay what they are, so a rule that searches one copy can name the place. This is no parser: it knows
//! comments, literals and braces, which is all that the rules need.

use super::tree::File;

/// A Rust file and two layers of it, of the same size.
pub struct Source<'a> {
    /// The file itself.
    pub file: &'a File,
    /// Only code.
    pub code: String,
    /// Only what stands in string literals.
    pub strings: String,
    /// Byte ranges that are compiled for tests only.
    tests: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Layer {
    Code,
    Text,
    Comment,
}

impl<'a> Source<'a> {
    /// Takes a file apart.
    pub fn read(file: &'a File) -> Self {
        let bytes = file.text.as_bytes();
        let mut layers = vec![Layer::Code; bytes.len()];
        let mut at = 0;
        while at < bytes.len() {
            let (layer, end) = token(bytes, at);
            layers[at..end].fill(layer);
            at = end;
        }
        let copy = |wanted: Layer| -> String {
            let kept = bytes.iter().zip(&layers).map(|(&byte, &layer)| {
                let blank = layer != wanted && byte != b'\n';
                if blank { b' ' } else { byte }
            });
            String::from_utf8(kept.collect()).expect("tokens end between characters")
        };
        let code = copy(Layer::Code);
        let tests = if file.is_test() {
            vec![(0, bytes.len())]
        } else {
            test_ranges(&code)
        };
        Self {
            file,
            strings: copy(Layer::Text),
            tests,
            code,
        }
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        let before = &self.file.text.as_bytes()[..at];
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }

    /// Whether this byte is compiled for tests only.
    pub fn in_test(&self, at: usize) -> bool {
        self.tests
            .iter()
            .any(|&(start, end)| (start..end).contains(&at))
    }
}

/// What begins at `at`, and where it ends.
fn token(bytes: &[u8], at: usize) -> (Layer, usize) {
    let rest = &bytes[at..];
    let after_word = at > 0 && is_word(bytes[at - 1]);
    if rest.starts_with(b"//") {
        let end = rest.iter().position(|&byte| byte == b'\n');
        (Layer::Comment, at + end.unwrap_or(rest.len()))
    } else if rest.starts_with(b"/*") {
        (Layer::Comment, at + block_comment(rest))
    } else if rest[0] == b'"' {
        (Layer::Text, at + quoted(rest, b'"'))
    } else if !after_word && let Some(length) = raw_string(rest) {
        (Layer::Text, at + length)
    } else if rest[0] == b'\'' && is_character(rest) {
        (Layer::Text, at + quoted(rest, b'\''))
    } else {
        (Layer::Code, at + 1)
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `r"…"`, `r#"…"#` and so on, with `b` or `c` before it.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = usize::from(matches!(rest[0], b'b' | b'c'));
    if rest.get(prefix) != Some(&b'r') {
        return None;
    }
    let opening = prefix + 1;
    let hashes = rest[opening..]
        .iter()
        .take_while(|&&byte| byte == b'#')
        .count();
    if rest.get(opening + hashes) != Some(&b'"') {
        return None;
    }
    let closing = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let body = opening + hashes + 1;
    let end = rest[body..]
        .windows(closing.len())
        .position(|window| window == closing);
    Some(end.map_or(rest.len(), |end| body + end + closing.len()))
}

/// Tells `'a'` from the lifetime `'a`.
fn is_character(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(&byte) => {
            let width = match byte {
                0..=0x7f => 1,
                0x80..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            rest.get(1 + width) == Some(&b'\'')
        }
        None => false,
    }
}

/// Whether a byte can be part of a Rust word.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Items behind `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn test_ranges(code: &str) -> Vec<(usize, usize)> {
    let starts = ["#[cfg(test)]", "#[cfg(all(test,"];
    let mut ranges = Vec::new();
    for start in starts {
        for (at, _) in code.match_indices(start) {
            ranges.push((at, item_end(code, at + start.len())));
        }
    }
    ranges
}

/// The end of the item that begins after `from`: its closing brace, or its semicolon.
fn item_end(code: &str, from: usize) -> usize {
    let opening = code[from..].find(['{', ';']).map(|found| from + found);
    match opening {
        Some(at) if code.as_bytes()[at] == b'{' => block_end(code, at),
        Some(at) => at + 1,
        None => code.len(),
    }
}

/// The byte after the brace that closes the one at `opening`.
pub fn block_end(code: &str, opening: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(opening) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::{File, Source};

    fn file(text: &str) -> File {
        File {
            path: "crates/relais-core/src/a.rs".to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn code_and_text_are_told_apart_and_comments_are_neither() {
        let text = "let a = \"x // y\"; // z \"q\"\n/* b /* c */ d */ let e = r#\"f\"g\"#;\n";
        let file = file(text);
        let source = Source::read(&file);
        assert_eq!(
            source.code.split_whitespace().collect::<Vec<_>>(),
            ["let", "a", "=", ";", "let", "e", "=", ";"]
        );
        assert!(source.strings.contains("\"x // y\""));
        assert!(source.strings.contains("r#\"f\"g\"#"));
        assert!(!source.strings.contains('q') && !source.strings.contains('b'));
        assert_eq!(source.code.len(), text.len());
    }

    #[test]
    fn a_lifetime_is_code_and_a_character_is_text() {
        let file = file("fn f<'a>(x: &'a str) { y('\"', '\\'', 'é', b'x') }");
        let source = Source::read(&file);
        assert!(source.code.contains("fn f<'a>(x: &'a str)"));
        assert!(source.strings.contains('é') && !source.code.contains('"'));
    }

    #[test]
    fn what_is_compiled_for_tests_is_known() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n";
        let file = file(text);
        let source = Source::read(&file);
        let at = |name: &str| text.find(name).expect("there");
        assert!(!source.in_test(at("fn a")));
        assert!(source.in_test(at("fn b")));
        assert!(!source.in_test(at("fn c")));
        assert_eq!(source.line(at("fn c")), 6);
    }
}
