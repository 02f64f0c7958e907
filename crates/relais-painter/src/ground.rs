//! What stands on the ground: ranges, forests, dunes, hills and towers, one layer behind the other, and water that mirrors them.

use crate::color::{Color, along};
use crate::noise::{cell, fractal, mix, noise, ridged, smoothstep, unit};
use crate::sky::Sky;
use crate::words::{Subject, Time, Wishes};

/// A landscape. Places are measured in heights of the picture, as in [`Sky`].
pub struct Landscape {
    sky: Sky,
    subject: Subject,
    time: Time,
    seed: u64,
    layers: Vec<Layer>,
    /// From where on there is water.
    shore: Option<f32>,
    snow: bool,
    /// The height of a pixel, for edges as sharp as they can be shown.
    pixel: f32,
}

/// A silhouette with a surface, from far to near.
struct Layer {
    seed: u64,
    /// Its middle, from the top.
    base: f32,
    /// How far it rises.
    rise: f32,
    /// How fine it is.
    scale: f32,
    /// 0: at the horizon; 1: before us.
    near: f32,
    ground: Color,
}

fn layer_count(subject: Subject) -> usize {
    match subject {
        Subject::Forest => 6,
        Subject::City => 4,
        Subject::Ocean => 1,
        Subject::Lake => 3,
        _ => 5,
    }
}

fn ground(subject: Subject, seed: u64, snow: bool) -> Color {
    let pick = |codes: [u32; 3]| Color::hex(codes[(mix(seed, 60) % 3) as usize]);
    match subject {
        _ if snow && subject != Subject::City => Color::hex(0x9A_A8C0),
        Subject::Mountains | Subject::Lake => pick([0x2C_3345, 0x35_3040, 0x26_3A40]),
        Subject::Forest => pick([0x14_2B22, 0x1B_2E1E, 0x12_2A2C]),
        Subject::City => pick([0x14_1826, 0x1A_1626, 0x10_1C28]),
        Subject::Desert => pick([0xB0_6A3A, 0xC2_7F45, 0xA8_5A3A]),
        Subject::Meadow => pick([0x3F_6B2E, 0x55_7A35, 0x4A_6E3E]),
        _ => pick([0x24_3038, 0x2A_2C38, 0x20_3430]),
    }
}

impl Landscape {
    /// As the wishes say, in a picture that is `aspect` wide and `rows` pixels high.
    pub fn new(wishes: &Wishes, aspect: f32, rows: u32) -> Self {
        let seed = mix(wishes.seed, 2);
        let horizon = match wishes.subject {
            Subject::Ocean => 0.56 + 0.08 * unit(seed, 61),
            Subject::Lake => 0.58,
            Subject::City => 0.78,
            Subject::Desert | Subject::Meadow => 0.6,
            _ => 0.7,
        };
        let count = layer_count(wishes.subject);
        let earth = ground(wishes.subject, seed, wishes.snow);
        let layers = (0..count).map(|index| Layer::new(wishes, seed, index, count, horizon, earth));
        Self {
            sky: Sky::new(wishes, aspect, horizon),
            subject: wishes.subject,
            time: wishes.time,
            seed,
            layers: layers.collect(),
            shore: match wishes.subject {
                Subject::Ocean => Some(horizon),
                Subject::Lake => Some(0.66),
                Subject::City if unit(seed, 62) > 0.35 => Some(0.82),
                _ => None,
            },
            snow: wishes.snow,
            pixel: 1.0 / rows as f32,
        }
    }

    /// The colour at a place.
    pub fn at(&self, x: f32, y: f32) -> Color {
        match self.shore {
            Some(shore) if y > shore => self.water(x, y, shore),
            _ => self.land(x, y),
        }
    }

    fn land(&self, x: f32, y: f32) -> Color {
        let mut color = None;
        // From the nearest back: what covers all ends the search.
        let mut open = 1.0;
        let mut sum = Color(0.0, 0.0, 0.0);
        for layer in self.layers.iter().rev() {
            let top = layer.top(self.subject, x);
            let cover = ((y - top) / self.pixel + 0.5).clamp(0.0, 1.0);
            if cover > 0.0 {
                sum = sum + self.surface(layer, x, y, top) * (cover * open);
                open *= 1.0 - cover;
            }
            if open < 0.004 {
                color = Some(sum);
                break;
            }
        }
        color.unwrap_or_else(|| sum + self.sky.at(x, y) * open)
    }

    fn surface(&self, layer: &Layer, x: f32, y: f32, top: f32) -> Color {
        let depth = (y - top).max(0.0);
        let ahead = layer.top(self.subject, x + 0.006);
        let slope = (ahead - top) / 0.006;
        // Light comes from aside, and from nowhere right below the sun.
        let side = slope * ((self.sky.light_at.0 - x) * 4.0).clamp(-1.0, 1.0);
        let mut color = layer.ground;
        let ambient = match self.time {
            Time::Day => 0.95,
            Time::Dawn => 0.75,
            Time::Sunset => 0.5,
            Time::Night | Time::Aurora => 0.22,
        };
        let mut light = ambient + 0.35 * side.clamp(-0.8, 1.2) * self.sky.light.light().min(1.0);
        match self.subject {
            Subject::Mountains | Subject::Lake => {
                let (rock, face) = self.rock(layer, x, depth);
                light =
                    ambient * (0.9 + 0.35 * rock) + 1.1 * face * self.sky.light.light().min(1.0);
                let line = match self.snow {
                    true => layer.base + layer.rise,
                    false => layer.base - layer.rise * 0.42,
                };
                let cap = smoothstep(line + 0.05, line - 0.03, y + 0.06 * rock - 0.05 * face);
                color = color.to(Color(0.85, 0.9, 1.0), cap * (1.0 - layer.near * 0.6));
            }
            Subject::Desert => {
                let ripples = noise(
                    mix(layer.seed, 6),
                    x * 60.0 * layer.near + depth * 160.0,
                    y * 90.0,
                );
                light *= 1.0 + 0.1 * ripples * layer.near - 0.25 * smoothstep(0.0, 0.1, depth);
            }
            Subject::Meadow => color = self.bloom(layer, x, y, color),
            Subject::Forest => light *= 1.0 - 0.35 * smoothstep(0.0, 0.2, depth),
            Subject::City => color = self.windows(layer, x, y, color),
            _ => {}
        }
        let glow = match self.subject {
            Subject::City => color,
            _ => {
                color * light.max(0.06)
                    + color.through(self.sky.light) * (0.25 * side.clamp(0.0, 1.0))
            }
        };
        let air = (1.0 - layer.near) * (0.35 + 0.55 * self.mist(layer, depth));
        glow.to(self.sky.haze * 0.92, air)
    }

    /// The relief of a mountain's face: how high a place lies in it, and how much it is turned to the light.
    fn rock(&self, layer: &Layer, x: f32, depth: f32) -> (f32, f32) {
        let seed = mix(layer.seed, 5);
        let fine = layer.scale * 4.0;
        // Gullies run downwards, and spread as they do.
        let relief = |x: f32, depth: f32| {
            let bend = fractal(mix(seed, 1), x * fine * 0.7, depth * 6.0, 2) * 0.3;
            ridged(seed, x * fine + bend + depth * 2.0, depth * fine * 0.55, 4)
        };
        let step = 0.004;
        let here = relief(x, depth);
        let toward = ((self.sky.light_at.0 - x) * 3.0).clamp(-1.0, 1.0);
        let across = relief(x + step * toward, depth - step * 0.5) - here;
        (here * 2.0 - 1.0, (-across * 6.0).clamp(-0.5, 0.6))
    }

    /// Air lies in the valleys: at the foot of a layer there is more of it.
    fn mist(&self, layer: &Layer, depth: f32) -> f32 {
        0.35 + 0.65 * smoothstep(0.0, layer.rise * 1.6 + 0.04, depth)
    }

    fn bloom(&self, layer: &Layer, x: f32, y: f32, ground: Color) -> Color {
        let far = 1.0 / (0.12 + layer.near);
        let grass = fractal(mix(layer.seed, 7), x * 30.0 * far, y * 14.0 * far, 4);
        let ground = ground * (1.0 + 0.7 * grass);
        let grid = 46.0 * far;
        let sway = 0.8 * noise(mix(layer.seed, 23), x * 9.0, y * 9.0);
        let (gx, gy) = (
            x * grid + sway * 2.0 + 0.37 * (y * grid * 1.6).floor(),
            y * grid * 1.6 + sway,
        );
        let (column, row) = (gx.floor() as i32, gy.floor() as i32);
        let field = noise(mix(layer.seed, 8), x * 3.0, y * 7.0) * 0.5 + 0.35;
        if cell(layer.seed, column, row) > field {
            return ground;
        }
        let at = |salt| 0.32 + 0.36 * cell(mix(layer.seed, salt), column, row);
        let (dx, dy) = (gx - column as f32 - at(20), gy - row as f32 - at(21));
        let size = 0.16 + 0.16 * cell(mix(layer.seed, 22), column, row);
        let dot = smoothstep(size, size * 0.5, (dx * dx + dy * dy).sqrt());
        let colors = [0xE8_4A5F, 0xF2_C14E, 0xD8_6FC0, 0xF6_F1E5, 0x8A_6FE8].map(Color::hex);
        let first = (mix(self.seed, 63) % 5) as usize;
        let other = usize::from(cell(mix(layer.seed, 9), column, row) > 0.75);
        ground.to(colors[(first + other) % 5], dot * 0.95)
    }

    fn windows(&self, layer: &Layer, x: f32, y: f32, wall: Color) -> Color {
        let wall = match self.time {
            Time::Day | Time::Dawn => wall.to(self.sky.haze * 0.6, 0.3),
            _ => wall,
        };
        let tower = layer.tower(x);
        let (wide, high) = (0.0052 + 0.006 * layer.near, 0.008 + 0.009 * layer.near);
        let (gx, gy) = ((x - tower.left) / wide, (y - tower.top) / high);
        let (column, row) = (gx.floor() as i32, gy.floor() as i32);
        let (fx, fy) = (gx - gx.floor(), gy - gy.floor());
        let share = match self.time {
            Time::Day => 0.04,
            Time::Dawn => 0.15,
            _ => 0.3 + 0.3 * cell(mix(layer.seed, 10), tower.number, 3),
        };
        let seed = mix(layer.seed, tower.number as u64);
        let inside = (0.25..0.8).contains(&fx) && (0.3..0.8).contains(&fy) && row >= 1;
        if !inside || cell(seed, column, row) > share {
            let pane = match inside {
                true => 0.75,
                false => 1.0,
            };
            return wall * pane;
        }
        let warm = [0xFF_C878, 0xFF_E2A8, 0xFF_A860, 0xB8_D8FF].map(Color::hex);
        warm[(cell(seed, row, column) * 3.99) as usize]
            * (0.75 + 0.7 * cell(mix(seed, 1), column, row))
    }

    fn water(&self, x: f32, y: f32, shore: f32) -> Color {
        let depth = ((y - shore) / (1.0 - shore)).clamp(0.001, 1.0);
        // Waves get larger towards us.
        let far = 1.0 / (depth + 0.04);
        let seed = mix(self.seed, 70);
        let swell = fractal(seed, x * 2.2 * far, far * 9.0, 4);
        let calm = match self.subject {
            Subject::Ocean => 0.16,
            _ => 0.05,
        };
        let mirrored =
            (shore - (y - shore) * 0.95 + swell * calm * (0.25 + depth)).min(shore - 0.002);
        let image = self.land(x + swell * calm * 0.35 * depth, mirrored.max(0.0));
        let body = match self.time {
            Time::Day => Color::hex(0x0F_5A80),
            Time::Dawn => Color::hex(0x35_5F80),
            Time::Sunset => Color::hex(0x1C_2A4A),
            Time::Night | Time::Aurora => Color::hex(0x06_0D20),
        };
        let mirror = 0.86 - 0.5 * depth + 0.22 * swell;
        let mut color = body.to(image, mirror.clamp(0.15, 0.92));
        // Light on the crests, in a lane below the sun.
        let lane = 1.0 / (1.0 + ((x - self.sky.light_at.0) / (0.05 + 0.12 * depth)).abs());
        let crest = smoothstep(
            0.22,
            0.62,
            fractal(mix(seed, 1), x * 7.0 * far, far * 26.0, 3),
        );
        color = color + self.sky.light * (crest * lane * lane * 0.9);
        if self.subject == Subject::Ocean {
            let foam = smoothstep(0.46, 0.62, swell + 0.1 * crest) * depth;
            color = color.to(
                Color(0.85, 0.9, 0.92) * (0.3 + self.sky.haze.light()),
                foam * 0.4,
            );
        }
        color
    }
}

/// A tower of a city, by the place where one looks.
struct Tower {
    number: i32,
    left: f32,
    top: f32,
}

impl Layer {
    fn new(
        wishes: &Wishes,
        seed: u64,
        index: usize,
        count: usize,
        horizon: f32,
        earth: Color,
    ) -> Self {
        let near = (index + 1) as f32 / count as f32;
        let seed = mix(seed, 80 + index as u64);
        let back = near * near;
        let (base, rise, scale) = match wishes.subject {
            Subject::Mountains => (
                horizon - 0.12 + 0.36 * back,
                0.3 - 0.13 * near,
                1.1 + 1.3 * near,
            ),
            Subject::Lake => (horizon - 0.02 + 0.07 * near, 0.26 - 0.17 * near, 1.2 + near),
            Subject::Forest => (horizon - 0.22 + 0.46 * back, 0.1 + 0.02 * near, 1.4),
            Subject::City => (horizon - 0.08 + 0.1 * near, 0.42 - 0.22 * near, 1.0),
            Subject::Desert => (horizon + 0.02 + 0.36 * back, 0.1 + 0.1 * near, 0.9),
            Subject::Meadow => (horizon - 0.04 + 0.34 * back, 0.09, 0.9),
            _ => (horizon - 0.004, 0.05, 2.2),
        };
        Self {
            seed,
            base,
            rise,
            scale,
            near: near * (1.0 - 0.45 * wishes.mist * (1.0 - near)),
            ground: earth,
        }
    }

    /// Where it ends upwards.
    fn top(&self, subject: Subject, x: f32) -> f32 {
        let place = x * self.scale + unit(self.seed, 1) * 40.0;
        match subject {
            Subject::Mountains | Subject::Lake => {
                let crest = ridged(self.seed, place, 0.5, 6);
                let fine = fractal(mix(self.seed, 2), place * 9.0, 0.1, 4);
                self.base + self.rise * (0.55 - 1.25 * crest) + 0.012 * fine
            }
            Subject::Forest => {
                let hill = self.base + 0.08 * fractal(self.seed, place, 0.5, 3);
                hill - self.tree(x)
            }
            Subject::City => self.tower(x).top,
            Subject::Desert => {
                let wave = fractal(self.seed, place * 0.8, 0.5, 2);
                self.base - self.rise * (1.0 - wave.abs() * 2.2)
            }
            Subject::Ocean => {
                let island = fractal(self.seed, place, 0.5, 5) + 0.02;
                self.base - self.rise * island.max(-0.2)
            }
            _ => self.base - self.rise * 1.6 * fractal(self.seed, place, 0.5, 3),
        }
    }

    /// The height of the conifer at a place: the highest of those that reach it.
    fn tree(&self, x: f32) -> f32 {
        let width = 0.016 + 0.05 * self.near * self.near;
        let column = (x / width).floor() as i32;
        let mut highest: f32 = 0.0;
        for neighbour in -1..=1 {
            let number = column + neighbour;
            let own = |salt| cell(mix(self.seed, salt), number, 0);
            let middle = (number as f32 + 0.2 + 0.6 * own(3)) * width;
            let height = width * (1.6 + 2.4 * own(4));
            let aside = (x - middle).abs() / (width * (0.55 + 0.25 * own(5)));
            if aside >= 1.0 {
                continue;
            }
            // Branches hang down in steps.
            let steps = 5.0 + 4.0 * own(6);
            let step = (aside * steps).floor() / steps;
            let within = aside * steps - (aside * steps).floor();
            let outline = 1.0 - step - (1.0 / steps) * (0.25 + 0.75 * within);
            highest = highest.max(height * outline.max(0.0));
        }
        highest
    }

    fn tower(&self, x: f32) -> Tower {
        let width = 0.045 + 0.055 * self.near;
        let column = (x / width).floor() as i32;
        let inside = x / width - column as f32;
        let split = 0.35 + 0.3 * cell(mix(self.seed, 11), column, 0);
        let (number, left, wide) = match inside < split {
            true => (column * 2, 0.0, split),
            false => (column * 2 + 1, split, 1.0 - split),
        };
        let own = |salt| cell(mix(self.seed, salt), number, 1);
        let block = smoothstep(-0.4, 0.5, fractal(mix(self.seed, 12), x * 1.4, 0.2, 2));
        let height = self.rise * (0.25 + 0.5 * own(13) + 0.5 * own(14) * block);
        let aside = ((inside - left) / wide - 0.5).abs();
        // Some end in a narrower floor, some in a mast.
        let crown = match own(15) {
            crown if crown > 0.82 && aside < 0.03 => 0.06,
            crown if crown > 0.55 && aside < 0.3 => 0.022,
            _ => 0.0,
        };
        Tower {
            number,
            left: (column as f32 + left) * width,
            top: self.base - height - crown,
        }
    }
}

/// Space: a nebula with stars, and a planet where one was wished for.
pub struct Space {
    seed: u64,
    aspect: f32,
    planet: bool,
    gas: [Color; 5],
}

impl Space {
    /// As the wishes say.
    pub fn new(wishes: &Wishes, aspect: f32) -> Self {
        let gases: [[u32; 5]; 3] = [
            [0x03_0410, 0x1B_1450, 0x7A_2A8C, 0xF0_6A78, 0xFF_E2B0],
            [0x02_0612, 0x0C_2A4E, 0x1C_7A8C, 0x8A_D0B8, 0xFF_F0D0],
            [0x05_0308, 0x3A_0F2E, 0xA0_2C3A, 0xF0_8A3C, 0xFF_E8A8],
        ];
        let seed = mix(wishes.seed, 3);
        Self {
            seed,
            aspect,
            planet: wishes.planet || unit(seed, 1) > 0.6,
            gas: gases[(mix(seed, 2) % 3) as usize].map(Color::hex),
        }
    }

    /// The colour at a place.
    pub fn at(&self, x: f32, y: f32) -> Color {
        if self.planet
            && let Some(color) = self.ball(x, y)
        {
            return color;
        }
        let cloud = crate::noise::warped(mix(self.seed, 4), x * 1.7, y * 1.7, 1.5, 6) * 0.5 + 0.5;
        let band = 1.0 - ((y - 0.5 + (x - self.aspect / 2.0) * 0.4).abs() * 1.5).min(1.0);
        let dust = fractal(mix(self.seed, 5), x * 5.0, y * 5.0, 5);
        let strength = (cloud * (0.4 + 0.9 * band) + 0.1 * dust - 0.12 * (dust * 3.0).max(0.0))
            .clamp(0.0, 1.0);
        let mut color = along(&self.gas, strength * strength * 1.25) * (0.35 + strength);
        for (layer, (grid, share, size)) in
            [(7.0, 0.16, 0.03), (26.0, 0.14, 0.05), (80.0, 0.1, 0.09)]
                .into_iter()
                .enumerate()
        {
            let seed = mix(self.seed, 10 + layer as u64);
            let (gx, gy) = (x * grid, y * grid);
            let (column, row) = (gx.floor() as i32, gy.floor() as i32);
            if cell(seed, column, row) > share {
                continue;
            }
            let at = |salt| 0.3 + 0.4 * cell(mix(seed, salt), column, row);
            let (dx, dy) = (gx - column as f32 - at(1), gy - row as f32 - at(2));
            let distance = (dx * dx + dy * dy).sqrt();
            let fade = smoothstep(0.3, 0.05, distance);
            let spikes = size * 0.12 / (dx.abs() * dy.abs()).sqrt().max(0.01);
            let core = size / distance.max(0.02);
            let hue =
                Color(1.0, 0.8, 0.65).to(Color(0.7, 0.85, 1.0), cell(mix(seed, 3), column, row));
            color = color + hue * ((core * core + spikes * spikes) * fade * 0.6).min(2.2);
        }
        color
    }

    fn ball(&self, x: f32, y: f32) -> Option<Color> {
        let side = 0.3 + 0.4 * unit(self.seed, 20);
        let (cx, cy, radius) = (
            self.aspect * side,
            0.45 + 0.2 * unit(self.seed, 21),
            0.2 + 0.1 * unit(self.seed, 22),
        );
        let (dx, dy) = ((x - cx) / radius, (y - cy) / radius);
        let square = dx * dx + dy * dy;
        let depth = (1.0 - square).max(0.0).sqrt();
        let ring = self.ring(dx, dy, square);
        if square >= 1.0 {
            return ring;
        }
        if dy > 0.0 && ring.is_some() {
            return ring;
        }
        let (lx, ly, lz) = (-0.6, -0.45, 0.66);
        let light = (dx * lx + dy * ly + depth * lz).max(0.0);
        let seed = mix(self.seed, 23);
        let (u, v) = (dx / (0.6 + depth), dy / (0.6 + depth));
        let bands = noise(
            seed,
            0.4 * u,
            v * 9.0 + 0.9 * fractal(mix(seed, 1), u * 3.0, v * 6.0, 4),
        );
        let storms = fractal(mix(seed, 2), u * 4.0, v * 9.0, 5);
        let skin = along(&self.gas[1..], 0.45 + 0.4 * bands + 0.25 * storms);
        let rim = smoothstep(0.55, 1.0, square) * light;
        let edge = smoothstep(1.0, 0.985, square);
        Some((skin * (light * 1.25 + 0.015) + self.gas[3] * (rim * 0.5)) * edge)
    }

    fn ring(&self, dx: f32, dy: f32, square: f32) -> Option<Color> {
        if unit(self.seed, 24) < 0.45 {
            return None;
        }
        let (tx, ty) = (dx * 0.95 + dy * 0.3, (dy * 0.95 - dx * 0.3) * 4.2);
        let away = (tx * tx + ty * ty).sqrt();
        let within = smoothstep(1.35, 1.4, away) * smoothstep(2.1, 2.05, away);
        let grooves = 0.55 + 0.45 * noise(mix(self.seed, 25), away * 22.0, 0.3);
        (within > 0.5 && (square >= 1.0 || dy > 0.0))
            .then(|| along(&self.gas[2..], 0.75) * (grooves * 0.8))
    }
}
