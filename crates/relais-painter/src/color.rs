//! Colours in linear light, and the scales that scenes take them from.

use std::ops::{Add, Mul};

/// Red, green and blue in linear light, 0 to 1 and above where it glows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Color(pub f32, pub f32, pub f32);

impl Add for Color {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1, self.2 + other.2)
    }
}

impl Mul<f32> for Color {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        Self(self.0 * factor, self.1 * factor, self.2 * factor)
    }
}

impl Color {
    /// From `0xRRGGBB` as screens mean it; a gamma of 2 is near enough, and exact everywhere.
    pub const fn hex(code: u32) -> Self {
        const fn linear(byte: u32) -> f32 {
            let part = (byte & 0xFF) as f32 / 255.0;
            part * part
        }
        Self(linear(code >> 16), linear(code >> 8), linear(code))
    }

    /// On the way to another colour, 0 to 1.
    pub fn to(self, other: Self, at: f32) -> Self {
        let at = at.clamp(0.0, 1.0);
        self * (1.0 - at) + other * at
    }

    /// As a filter: each part times the other's.
    pub fn through(self, other: Self) -> Self {
        Self(self.0 * other.0, self.1 * other.1, self.2 * other.2)
    }

    /// How bright it is to an eye.
    pub fn light(self) -> f32 {
        self.0 * 0.2126 + self.1 * 0.7152 + self.2 * 0.0722
    }

    /// Stronger or weaker in colour, as bright as before.
    pub fn saturated(self, factor: f32) -> Self {
        let gray = self.light();
        let part = |part: f32| (gray + (part - gray) * factor).max(0.0);
        Self(part(self.0), part(self.1), part(self.2))
    }

    /// As bytes for a screen; what is brighter than white is bent into it.
    pub fn bytes(self, grain: f32) -> [u8; 3] {
        let byte = |part: f32| {
            let part = part.max(0.0);
            // Straight in the shadows, a shoulder in the lights.
            let bent = match part > 0.7 {
                true => 0.7 + 0.3 * (1.0 - 1.0 / (1.0 + (part - 0.7) / 0.3)),
                false => part,
            };
            ((bent.sqrt() + grain) * 255.0 + 0.5).clamp(0.0, 255.0) as u8
        };
        [byte(self.0), byte(self.1), byte(self.2)]
    }
}

/// Colours in a row, evenly spaced, and everything between them.
pub fn along(stops: &[Color], at: f32) -> Color {
    let last = stops.len() - 1;
    let place = at.clamp(0.0, 1.0) * last as f32;
    let index = (place as usize).min(last.saturating_sub(1));
    let t = place - index as f32;
    stops[index].to(stops[(index + 1).min(last)], t * t * (3.0 - 2.0 * t))
}
