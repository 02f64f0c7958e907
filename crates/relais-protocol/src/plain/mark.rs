//! `position`: how far in the log a client is, as one JSON number that it gives back as `after`.
//!
//! A record that one event comes of is its position, `12`. Where several come of it, those before the last carry a fraction, `11.001`
//! and `11.002`: a client that was cut off between them is given the rest, and nothing twice. As numbers they ascend. A number of
//! this form comes back from any client as it went, whether it kept it as a double or as text.

use bytes::BufMut;

use crate::json::write_integer;

/// Most events of one record that can be told apart.
const PARTS_MAX: u16 = 999;

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The newest record of which something was seen.
    pub position: u64,
    /// The last event seen of that record, from 0; `None`: all of it.
    pub index: Option<u16>,
}

impl Mark {
    /// Appends the number.
    pub fn write(self, out: &mut impl BufMut) {
        let Some(index) = self.index else {
            return write_integer(out, self.position);
        };
        write_integer(out, self.position.saturating_sub(1));
        if index < PARTS_MAX {
            let part = index + 1;
            out.put_u8(b'.');
            for digit in [part / 100, part / 10 % 10, part % 10] {
                out.put_u8(b'0' + u8::try_from(digit).unwrap_or(0));
            }
        }
    }

    /// Reads what [`Self::write`] wrote, also when the zeros at the end of a fraction were lost. Anything else is `None`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let position: u64 = digits(whole)?;
        let part = match fraction {
            None => 0,
            Some(fraction) if fraction.len() <= 3 => {
                digits::<u16>(&format!("{fraction:0<3}")).filter(|_| !fraction.is_empty())?
            }
            Some(_) => return None,
        };
        Some(match part.checked_sub(1) {
            None => Self {
                position,
                index: None,
            },
            Some(index) => Self {
                position: position.checked_add(1)?,
                index: Some(index),
            },
        })
    }
}

/// Digits only: `parse` alone would take a sign.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(position: u64, index: Option<u16>) -> String {
        let mut out = Vec::new();
        Mark { position, index }.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_mark_reads_back_what_it_wrote() {
        for (position, index, text) in [
            (0, None, "0"),
            (42, None, "42"),
            (42, Some(0), "41.001"),
            (42, Some(9), "41.010"),
            (42, Some(998), "41.999"),
            (u64::MAX, None, "18446744073709551615"),
        ] {
            assert_eq!(written(position, index), text);
            assert_eq!(Mark::parse(text), Some(Mark { position, index }), "{text}");
        }
        assert_eq!(Mark::parse("41.01"), Mark::parse("41.010"));
        assert_eq!(Mark::parse("41.0"), Mark::parse("41"));
    }

    #[test]
    fn the_marks_of_a_record_ascend_from_the_one_before_it_to_its_own() {
        let marks = [(41, None), (42, Some(0)), (42, Some(1)), (42, None)];
        let numbers =
            marks.map(|(position, index)| written(position, index).parse::<f64>().unwrap());
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    }

    #[test]
    fn beyond_what_can_be_told_apart_a_record_is_given_again_as_a_whole() {
        assert_eq!(written(42, Some(999)), "41");
    }

    #[test]
    fn a_mark_that_is_none_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            ".1",
            "-1",
            "+1",
            "1.-1",
            "1.0001",
            "1.2.3",
            "1e3",
            "a",
            "18446744073709551616",
            "18446744073709551615.001",
        ] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }
}
