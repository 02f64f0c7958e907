//! Blossoms from above, and veils of pure colour: pictures without a horizon.

use crate::color::{Color, along};
use crate::noise::{fractal, mix, noise, smoothstep, unit, warped};
use crate::words::{Time, Wishes};

const TURN: f32 = std::f32::consts::TAU;

/// Blossoms over leaves that are out of focus.
pub struct Flowers {
    seed: u64,
    dark: bool,
    blossoms: Vec<Blossom>,
    lights: Vec<(f32, f32, f32, Color)>,
}

struct Blossom {
    seed: u64,
    x: f32,
    y: f32,
    radius: f32,
    petals: f32,
    turn: f32,
    inner: Color,
    outer: Color,
}

const PETALS: [(u32, u32); 6] = [
    (0xF7_B2C4, 0xD9_3A6A),
    (0xFF_E9A8, 0xF2_8A3C),
    (0xF4_E8FF, 0x8C_5BD6),
    (0xFF_F6E8, 0xE8_9AB0),
    (0xFF_8A70, 0xB8_1E38),
    (0xD8_ECFF, 0x4A_74D8),
];

impl Flowers {
    /// As the wishes say, in a picture that is `aspect` wide.
    pub fn new(wishes: &Wishes, aspect: f32) -> Self {
        let seed = mix(wishes.seed, 4);
        let (inner, outer) = PETALS[(mix(seed, 1) % 6) as usize];
        let (inner, outer) = match wishes.tint {
            Some(tint) => (tint.to(Color(1.0, 1.0, 1.0), 0.55), tint),
            None => (Color::hex(inner), Color::hex(outer)),
        };
        let mut blossoms: Vec<Blossom> = Vec::new();
        for number in 0..90 {
            let own = |salt| unit(mix(seed, 100 + number), salt);
            let radius = 0.3 * (1.0 - number as f32 / 120.0) * (0.45 + 0.55 * own(1));
            let (x, y) = (own(2) * aspect, 0.08 + 0.84 * own(3));
            let overlaps = |other: &Blossom| {
                let (dx, dy) = (other.x - x, other.y - y);
                (dx * dx + dy * dy).sqrt() < (other.radius + radius) * 0.86
            };
            if blossoms.len() < 11 && !blossoms.iter().any(overlaps) {
                let shift = own(4) * 0.35;
                blossoms.push(Blossom {
                    seed: mix(seed, 200 + number),
                    x,
                    y,
                    radius,
                    petals: (5.0 + own(5) * 6.0).floor(),
                    turn: own(6) * TURN,
                    inner: inner.to(outer, shift),
                    outer: outer.to(inner, shift * 0.8),
                });
            }
        }
        let lights = (0..46).map(|number| {
            let own = |salt| unit(mix(seed, 300 + number), salt);
            let hue = Color::hex(0xCF_E08A).to(inner, own(4));
            (
                own(1) * aspect,
                own(2),
                0.02 + 0.07 * own(3),
                hue * (0.05 + 0.2 * own(5)),
            )
        });
        Self {
            seed,
            dark: matches!(wishes.time, Time::Night | Time::Aurora),
            lights: lights.collect(),
            blossoms,
        }
    }

    /// The colour at a place.
    pub fn at(&self, x: f32, y: f32) -> Color {
        let mut color = self.leaves(x, y);
        for blossom in self.blossoms.iter().rev() {
            color = blossom.over(x, y, color);
        }
        let sun = smoothstep(1.5, 0.0, x * 0.6 + y);
        color * (0.72 + 0.55 * sun)
    }

    fn leaves(&self, x: f32, y: f32) -> Color {
        let greens = match self.dark {
            true => [0x03_0A10, 0x0A_2026, 0x1A_3F3C].map(Color::hex),
            false => [0x10_2A1C, 0x2B_5A34, 0x7F_9F55].map(Color::hex),
        };
        let blur = warped(self.seed, x * 2.2, y * 2.2, 0.8, 3) * 0.5 + 0.5;
        let mut color = along(&greens, blur * blur);
        for (cx, cy, radius, hue) in &self.lights {
            let (dx, dy) = (x - cx, y - cy);
            let away = (dx * dx + dy * dy).sqrt();
            let disc = smoothstep(*radius, radius * 0.86, away)
                * (0.6 + 0.4 * smoothstep(radius * 0.6, *radius, away));
            color = color + *hue * disc;
        }
        color
    }
}

impl Blossom {
    fn over(&self, x: f32, y: f32, behind: Color) -> Color {
        let (dx, dy) = ((x - self.x) / self.radius, (y - self.y) / self.radius);
        let away = (dx * dx + dy * dy).sqrt();
        if away > 1.35 {
            return behind;
        }
        let angle = libm::atan2f(dy, dx) + self.turn;
        // It throws a soft shadow on what is below.
        let below = {
            let (sx, sy) = (dx - 0.07, dy - 0.1);
            (sx * sx + sy * sy).sqrt()
        };
        let mut color = behind * (1.0 - 0.55 * smoothstep(1.12, 0.5, below));
        for ring in 0..4 {
            let size = 1.0 - 0.21 * ring as f32;
            let offset = ring as f32 * 2.4 / self.petals;
            color = self.petal_ring(away, angle + offset, size, ring, color);
        }
        self.heart(dx, dy, away, color)
    }

    fn petal_ring(&self, away: f32, angle: f32, size: f32, ring: u64, behind: Color) -> Color {
        let part = angle / TURN * self.petals;
        let number = part.floor();
        let across = (part - number - 0.5) * 2.0;
        let own = unit(
            mix(self.seed, ring),
            (number as i64).rem_euclid(self.petals as i64) as u64,
        );
        let round = (1.0 - across * across).max(0.0).sqrt();
        let ruffle = 0.03 * noise(mix(self.seed, 9 + ring), angle * 5.0, ring as f32);
        let edge = size * (0.5 + 0.5 * round) * (0.9 + 0.14 * own) + ruffle;
        let cover = smoothstep(edge + 0.012, edge - 0.012, away);
        if cover <= 0.0 {
            return behind;
        }
        let along_petal = (away / edge).clamp(0.0, 1.0);
        let veins = 1.0 + 0.1 * noise(mix(self.seed, 20), across * 9.0 + number * 3.0, away * 2.0);
        // Each petal is a bowl: dark in its fold and at its foot, light on its rim.
        let fold = 0.62 + 0.38 * round;
        let bowl = 0.48 + 0.52 * smoothstep(0.1, 0.85, along_petal);
        let rim = 0.22 * smoothstep(0.86, 1.0, along_petal);
        let hue = self
            .outer
            .to(self.inner, along_petal * along_petal * 0.85 + 0.2 * own);
        let lit = 0.9 + 0.18 * libm::cosf(angle - self.turn + 2.3);
        let color =
            hue * (veins * fold * bowl * lit * 1.05) + Color(1.0, 1.0, 1.0) * (rim * 0.3 * lit);
        let shadow = 1.0 - 0.4 * smoothstep(edge + 0.14, edge, away);
        (behind * shadow).to(color, cover)
    }

    /// The heart: seeds in a spiral of the golden angle.
    fn heart(&self, dx: f32, dy: f32, away: f32, behind: Color) -> Color {
        let size = 0.2;
        if away > size * 1.25 {
            return behind;
        }
        let mut color = behind.to(
            Color::hex(0x5A_3A12),
            smoothstep(size * 1.25, size * 0.8, away) * 0.9,
        );
        for number in 0..70 {
            let (turn, out) = (
                number as f32 * 2.399_963 + self.turn,
                size * (number as f32 / 70.0).sqrt(),
            );
            let (sx, sy) = (dx - out * libm::cosf(turn), dy - out * libm::sinf(turn));
            let near = (sx * sx + sy * sy).sqrt();
            let seed = smoothstep(0.02, 0.008, near);
            let glint = 0.7 + 0.5 * smoothstep(0.02, -0.02, sx + sy);
            color = color.to(Color::hex(0xF2_C23C) * glint, seed);
        }
        color
    }
}

/// Veils of colour, lit from the side as silk is.
pub struct Veils {
    seed: u64,
    colors: [Color; 5],
    scale: f32,
}

impl Veils {
    /// As the wishes say.
    pub fn new(wishes: &Wishes) -> Self {
        let seed = mix(wishes.seed, 5);
        let palettes: [[u32; 5]; 6] = [
            [0x0B_132B, 0x1C_5D99, 0x5B_C0BE, 0xF2_E9DC, 0xF2_7059],
            [0x2D_1E2F, 0x8F_2D56, 0xF0_6543, 0xFB_C687, 0xFF_F4E0],
            [0x10_1820, 0x1F_5F5B, 0x8A_B17D, 0xE9_C46A, 0xE7_6F51],
            [0x17_0F3C, 0x51_2DA8, 0xC0_4CFD, 0xFF_8FB1, 0xFF_E5C4],
            [0x12_1212, 0x3D_3A4B, 0xA8_9F91, 0xE8_DCCA, 0xC8_553D],
            [0x06_2B3F, 0x0E_7C86, 0x7F_D1AE, 0xF9_F3DF, 0xFF_A69E],
        ];
        Self {
            colors: palettes[(mix(seed, 1) % 6) as usize].map(Color::hex),
            scale: 0.9 + 0.9 * unit(seed, 2),
            seed,
        }
    }

    fn height(&self, x: f32, y: f32) -> f32 {
        let (px, py) = (x * self.scale, y * self.scale);
        let bend = fractal(mix(self.seed, 3), px * 0.8, py * 0.8, 2);
        warped(self.seed, px + bend, py * 1.3 - bend, 2.1, 3) * 0.5 + 0.5
    }

    /// The colour at a place.
    pub fn at(&self, x: f32, y: f32) -> Color {
        let here = self.height(x, y);
        let step = 0.004;
        let (sx, sy) = (
            (self.height(x + step, y) - here) / step,
            (self.height(x, y + step) - here) / step,
        );
        let long = (1.0 + (sx * sx + sy * sy) * 0.05).sqrt();
        let light = (0.62 - 0.16 * sx - 0.13 * sy) / long;
        let fold = smoothstep(0.75, 1.15, light);
        let tone = warped(mix(self.seed, 4), x * 0.7, y * 0.7, 1.0, 2) * 0.5 + 0.5;
        let color = along(&self.colors, 0.62 * here * 1.2 + 0.55 * tone - 0.12);
        let threads = 1.0 + 0.035 * noise(mix(self.seed, 5), here * 90.0, tone * 40.0);
        color * ((0.5 + 0.75 * light.max(0.0)) * threads) + Color(1.0, 0.97, 0.92) * (fold * 0.3)
    }
}
