//! Times as text: ISO 8601, UTC, with milliseconds.

use bytes::BufMut;

const DAY_MS: i64 = 86_400_000;

/// The times that four digits of a year can show.
const RANGE_MS: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

/// Appends a time, given in milliseconds of Unix time. What is before the year 0 or after 9999 is the nearest that can be shown.
pub(super) fn write(out: &mut impl BufMut, at_ms: i64) {
    let at_ms = at_ms.clamp(RANGE_MS.0, RANGE_MS.1);
    let (day, ms) = (at_ms.div_euclid(DAY_MS), at_ms.rem_euclid(DAY_MS));
    let (year, month, day) = date(day);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    for (end, value) in [
        (4, year),
        (7, month),
        (10, day),
        (13, ms / 3_600_000),
        (16, ms / 60_000 % 60),
        (19, ms / 1_000 % 60),
        (23, ms % 1_000),
    ] {
        fill(&mut text[..end], value);
    }
    out.put_slice(&text);
}

/// Digits from the end of `text` backwards.
fn fill(text: &mut [u8], mut value: i64) {
    for place in text.iter_mut().rev() {
        if value == 0 || !place.is_ascii_digit() {
            return;
        }
        *place = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01. Years are counted from March, so that the leap day comes last.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds() {
        for (at_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
            (i64::MIN, "0000-01-01T00:00:00.000Z"),
        ] {
            let mut out = Vec::new();
            write(&mut out, at_ms);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
