//! The sky: a scale of colours, sun or moon, stars, clouds, veils of light.

use crate::color::{Color, along};
use crate::noise::{cell, fractal, mix, noise, smoothstep, unit, warped};
use crate::words::{Time, Wishes};

/// A sky over a horizon. Places are measured in heights of the picture: `x` from the left, `y` from the top.
pub struct Sky {
    seed: u64,
    time: Time,
    stops: Vec<Color>,
    /// Where sun or moon stands.
    pub light_at: (f32, f32),
    /// Its colour.
    pub light: Color,
    /// Of whatever is far away.
    pub haze: Color,
    clouds: f32,
    horizon: f32,
}

const fn stops<const N: usize>(codes: [u32; N]) -> [Color; N] {
    let mut colors = [Color(0.0, 0.0, 0.0); N];
    let mut index = 0;
    while index < N {
        colors[index] = Color::hex(codes[index]);
        index += 1;
    }
    colors
}

const SUNSETS: [[Color; 5]; 3] = [
    stops([0x22_2A5C, 0x5B_3A7E, 0xC0_4F7A, 0xF5_8A5B, 0xFF_D98A]),
    stops([0x1F_3B66, 0x6C_6A9C, 0xD9_7B86, 0xFA_A864, 0xFF_E3A1]),
    stops([0x2B_1B45, 0x7A_2A5E, 0xD6_4550, 0xF9_8948, 0xFF_C76B]),
];
const DAWNS: [[Color; 5]; 2] = [
    stops([0x4A_6FA5, 0x8F_A8CF, 0xD5_BFD0, 0xF7_CDB8, 0xFD_E9CC]),
    stops([0x3D_5A80, 0x7F_9CC0, 0xC6_B9D6, 0xF0_C4C4, 0xFB_E6D4]),
];
const DAYS: [[Color; 4]; 2] = [
    stops([0x1E_62B0, 0x4F_97D6, 0x8F_C4EA, 0xD6_ECF5]),
    stops([0x2A_6FAF, 0x68_A9D8, 0xAF_D5EC, 0xEA_F1EC]),
];
const NIGHTS: [[Color; 4]; 2] = [
    stops([0x04_0716, 0x0A_1533, 0x16_2A57, 0x35_4E82]),
    stops([0x05_0614, 0x12_1238, 0x2A_2059, 0x5A_3F7C]),
];

fn scale(time: Time, seed: u64) -> Vec<Color> {
    let pick = |count: u64| (mix(seed, 20) % count) as usize;
    match time {
        Time::Sunset => SUNSETS[pick(3)].to_vec(),
        Time::Dawn => DAWNS[pick(2)].to_vec(),
        Time::Day => DAYS[pick(2)].to_vec(),
        Time::Night => NIGHTS[pick(2)].to_vec(),
        Time::Aurora => NIGHTS[0].to_vec(),
    }
}

impl Sky {
    /// Over a horizon at `horizon`, in a picture that is `aspect` wide.
    pub fn new(wishes: &Wishes, aspect: f32, horizon: f32) -> Self {
        let seed = mix(wishes.seed, 1);
        let stops = scale(wishes.time, seed);
        let third = match unit(seed, 21) > 0.5 {
            true => 0.64,
            false => 0.34,
        };
        let x = aspect * (third + 0.08 * (unit(seed, 22) - 0.5));
        let height = match wishes.time {
            Time::Sunset | Time::Dawn => 0.82 + 0.1 * unit(seed, 23),
            Time::Day => 0.25,
            Time::Night | Time::Aurora => 0.32 + 0.15 * unit(seed, 23),
        };
        let light = match wishes.time {
            Time::Sunset => Color::hex(0xFF_C070) * 1.5,
            Time::Dawn => Color::hex(0xFF_E0B8) * 1.3,
            Time::Day => Color::hex(0xFF_F6E0) * 1.4,
            Time::Night | Time::Aurora => Color::hex(0xBF_CDF0) * 0.6,
        };
        Self {
            seed,
            time: wishes.time,
            haze: along(&stops, 0.93),
            stops,
            light_at: (x, horizon * height),
            light,
            clouds: wishes.clouds,
            horizon,
        }
    }

    fn is_dark(&self) -> bool {
        matches!(self.time, Time::Night | Time::Aurora)
    }

    /// The colour at a place.
    pub fn at(&self, x: f32, y: f32) -> Color {
        let height = (y / self.horizon).clamp(0.0, 1.0);
        let mut color = along(&self.stops, height);
        if self.is_dark() {
            color = color + self.stars(x, y) * (1.0 - height * 0.8);
        }
        if self.time == Time::Aurora {
            color = color + self.veils(x, y);
        }
        color = color + self.glow(x, y);
        self.cloud(x, y, color)
    }

    fn distance(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.light_at.0, y - self.light_at.1);
        (dx * dx + dy * dy).sqrt()
    }

    fn glow(&self, x: f32, y: f32) -> Color {
        let distance = self.distance(x, y);
        let (radius, halo) = match self.time {
            Time::Sunset | Time::Dawn => (0.055, 0.6),
            Time::Day => (0.04, 0.35),
            Time::Night | Time::Aurora => (0.05, 0.22),
        };
        let disc = smoothstep(radius + 0.003, radius - 0.003, distance);
        let spread = distance / 0.16;
        let mut color = self.light * (halo / (1.0 + spread * spread));
        if disc > 0.0 {
            let marks = match self.is_dark() {
                true => 0.85 + 0.25 * fractal(mix(self.seed, 24), x * 30.0, y * 30.0, 3),
                false => 1.0,
            };
            color = color + self.light * (disc * marks * 1.2);
        }
        color
    }

    fn stars(&self, x: f32, y: f32) -> Color {
        let mut light = 0.0;
        for (layer, (grid, share, size)) in
            [(14.0, 0.16, 0.045), (40.0, 0.14, 0.06), (95.0, 0.12, 0.09)]
                .into_iter()
                .enumerate()
        {
            let seed = mix(self.seed, 30 + layer as u64);
            let (gx, gy) = (x * grid, y * grid);
            let (column, row) = (gx.floor() as i32, gy.floor() as i32);
            if cell(seed, column, row) > share {
                continue;
            }
            let jitter = |salt: u64| 0.2 + 0.6 * cell(mix(seed, salt), column, row);
            let (dx, dy) = (gx - column as f32 - jitter(1), gy - row as f32 - jitter(2));
            let strength = cell(mix(seed, 3), column, row);
            let near = size * (0.6 + strength) / (dx * dx + dy * dy).sqrt().max(0.01);
            light += (near * near).min(2.0)
                * strength
                * smoothstep(0.45, 0.1, (dx * dx + dy * dy).sqrt());
        }
        Color(0.85, 0.92, 1.0) * (light * 0.6)
    }

    fn veils(&self, x: f32, y: f32) -> Color {
        let mut color = Color(0.0, 0.0, 0.0);
        for veil in 0..3_u64 {
            let seed = mix(self.seed, 40 + veil);
            let bend = fractal(seed, x * 1.3, veil as f32, 3) * 0.18;
            let foot = self.horizon * (0.45 + 0.2 * veil as f32 / 2.0) + bend;
            let above = foot - y;
            let rays = 0.55 + 0.45 * noise(mix(seed, 1), x * 26.0 + bend * 40.0, y * 0.6);
            let body = smoothstep(-0.015, 0.02, above) * smoothstep(0.42, 0.0, above);
            let hue = along(
                &[
                    Color::hex(0x3C_F0A0),
                    Color::hex(0x30_C0C8),
                    Color::hex(0x9A_4AE0),
                ],
                above * 3.0,
            );
            color = color + hue * (body * rays * (0.75 - 0.2 * veil as f32));
        }
        color
    }

    fn cloud(&self, x: f32, y: f32, behind: Color) -> Color {
        // Further away they lie closer together.
        let depth = (self.horizon - y).max(0.0) / self.horizon + 0.14;
        let (px, py) = ((x - 0.5) / depth * 0.55, 1.4 / depth);
        let seed = mix(self.seed, 50);
        let body = warped(seed, px + 3.0, py, 1.1, 5) * 0.5 + 0.5;
        let edge = 1.0 - self.clouds * 0.85;
        let density =
            smoothstep(edge - 0.12, edge + 0.28, body) * smoothstep(0.0, 0.2, depth - 0.12);
        if density <= 0.0 {
            return behind;
        }
        let toward = 1.0 / (1.0 + self.distance(x, y) * 3.0);
        let lit = match self.time {
            Time::Day => Color(0.95, 0.95, 0.97),
            Time::Night | Time::Aurora => self.haze * 0.55 + self.light * (0.25 * toward),
            Time::Sunset | Time::Dawn => self.haze * 0.55 + self.light * (0.75 * toward),
        };
        let shade = match self.time {
            Time::Day => Color(0.42, 0.48, 0.58),
            _ => along(&self.stops, 0.3) * 0.8,
        };
        // The side towards the light is thinner there.
        let (tx, ty) = ((self.light_at.0 - x) * 0.08, (self.light_at.1 - y) * 0.08);
        let thinner = body - (warped(seed, px + 3.0 + tx, py + ty, 1.1, 3) * 0.5 + 0.5);
        let color = shade.to(lit, 0.5 + thinner * 3.0 + (1.0 - density) * 0.35);
        behind.to(color, density * 0.9)
    }
}
