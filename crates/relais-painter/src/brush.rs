//! From a smooth picture to another manner: strokes of a brush, flat colours, large squares.

use crate::Stop;
use crate::color::Color;
use crate::noise::{fractal, mix, noise, smoothstep, unit};
use crate::words::Style;

/// A picture in the making.
pub struct Canvas {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row by row.
    pub pixels: Vec<Color>,
}

impl Canvas {
    fn pick(&self, x: f32, y: f32) -> Color {
        let column = (x.max(0.0) as usize).min(self.width - 1);
        let row = (y.max(0.0) as usize).min(self.height - 1);
        self.pixels[row * self.width + column]
    }

    /// Paints itself again in a style. `step` hears of the progress, 0 to 1.
    pub fn restyle(
        &mut self,
        style: Style,
        seed: u64,
        step: &mut dyn FnMut(f32) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        match style {
            Style::Smooth => {}
            Style::Oil => self.brush(seed, step)?,
            Style::Poster => self.flatten(),
            Style::Pixel => self.squares(),
        }
        Ok(())
    }

    /// From a wide brush to a fine one, which only touches what the wide one got wrong.
    fn brush(
        &mut self,
        seed: u64,
        step: &mut dyn FnMut(f32) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let unit_size = self.width.min(self.height) as f32;
        let brushes = [0.03, 0.016, 0.008, 0.0045];
        let mut painted = Canvas {
            pixels: self
                .pixels
                .iter()
                .map(|color| *color * 0.6 + Color::hex(0xB0_8A60) * 0.15)
                .collect(),
            ..*self
        };
        for (index, size) in brushes.into_iter().enumerate() {
            let radius = (unit_size * size).max(1.2);
            let spacing = radius * 0.85;
            let (columns, rows) = (
                (self.width as f32 / spacing) as u64 + 2,
                (self.height as f32 / spacing) as u64 + 2,
            );
            for row in 0..rows {
                step((index as f32 + row as f32 / rows as f32) / brushes.len() as f32)?;
                for column in 0..columns {
                    let own = mix(mix(seed, 400 + index as u64), row * 65_536 + column);
                    let x = (column as f32 + unit(own, 1) - 0.5) * spacing;
                    let y = (row as f32 + unit(own, 2) - 0.5) * spacing;
                    let (wanted, there) = (self.pick(x, y), painted.pick(x, y));
                    let wrong = (wanted.light().sqrt() - there.light().sqrt()).abs();
                    if index > 0 && wrong < 0.02 && unit(own, 3) > 0.3 {
                        continue;
                    }
                    self.stroke(&mut painted, own, (x, y), radius);
                }
            }
        }
        self.pixels = painted.pixels;
        Ok(())
    }

    /// One stroke: along what is equally bright, where there is an edge, else with the wind.
    fn stroke(&self, painted: &mut Canvas, seed: u64, (mut x, mut y): (f32, f32), radius: f32) {
        let reach = radius.max(1.5);
        let color = self.pick(x, y).saturated(1.18) * (0.88 + 0.24 * unit(seed, 4));
        let length = radius * (2.5 + 4.0 * unit(seed, 5));
        let bristles = mix(seed, 6);
        let mut travelled = 0.0;
        while travelled < length {
            let light = |dx: f32, dy: f32| self.pick(x + dx, y + dy).light().sqrt();
            let (gx, gy) = (
                light(reach, 0.0) - light(-reach, 0.0),
                light(0.0, reach) - light(0.0, -reach),
            );
            let wind = fractal(
                7,
                x * 1.6 / self.height as f32,
                y * 1.6 / self.height as f32,
                2,
            ) * 2.5;
            let (wx, wy) = (libm::cosf(wind), libm::sinf(wind));
            let (mut tx, mut ty) = (-gy + 0.04 * wx, gx + 0.04 * wy);
            if tx * wx + ty * wy < 0.0 {
                (tx, ty) = (-tx, -ty);
            }
            let norm = (tx * tx + ty * ty).sqrt().max(1e-6);
            (tx, ty) = (tx / norm, ty / norm);
            let taper =
                smoothstep(0.0, 0.2, travelled / length) * smoothstep(1.0, 0.7, travelled / length);
            painted.dab(
                (x, y),
                (tx, ty),
                radius * (0.55 + 0.45 * taper),
                color,
                bristles,
            );
            let pace = (radius * 0.5).max(1.0);
            (x, y, travelled) = (x + tx * pace, y + ty * pace, travelled + pace);
        }
    }

    fn dab(
        &mut self,
        (cx, cy): (f32, f32),
        (tx, ty): (f32, f32),
        radius: f32,
        color: Color,
        bristles: u64,
    ) {
        let bound = |at: f32, last: usize| at.clamp(0.0, last as f32) as usize;
        let rows = bound(cy - radius, self.height)..bound(cy + radius + 1.0, self.height);
        for row in rows {
            for column in bound(cx - radius, self.width)..bound(cx + radius + 1.0, self.width) {
                let (dx, dy) = (column as f32 - cx, row as f32 - cy);
                let away = (dx * dx + dy * dy).sqrt() / radius;
                if away >= 1.0 {
                    continue;
                }
                let across = (dx * -ty + dy * tx) / radius;
                let hair = noise(bristles, across * 4.5, 0.5);
                let cover = smoothstep(1.0, 0.6, away) * (0.72 + 0.4 * hair).clamp(0.1, 0.95);
                let ridge = 1.0 + 0.16 * hair - 0.1 * across;
                let pixel = &mut self.pixels[row * self.width + column];
                *pixel = pixel.to(color * ridge, cover);
            }
        }
    }

    fn flatten(&mut self) {
        for pixel in &mut self.pixels {
            let light = pixel.light().sqrt().max(1e-4);
            let flat = ((light * 7.0).floor() + 0.5) / 7.0;
            let factor = flat / light;
            *pixel = (*pixel * (factor * factor)).saturated(1.25);
        }
    }

    fn squares(&mut self) {
        let side = (self.width.min(self.height) / 96).max(2);
        for top in (0..self.height).step_by(side) {
            for left in (0..self.width).step_by(side) {
                let (bottom, right) =
                    ((top + side).min(self.height), (left + side).min(self.width));
                let places =
                    || (top..bottom).flat_map(|row| (left..right).map(move |column| (row, column)));
                let sum = places().fold(Color(0.0, 0.0, 0.0), |sum, (row, column)| {
                    sum + self.pixels[row * self.width + column]
                });
                let mean = sum * (1.0 / places().count() as f32);
                let [r, g, b] = mean
                    .saturated(1.3)
                    .bytes(0.0)
                    .map(|byte| u32::from(byte / 16 * 17));
                let flat = Color::hex(r << 16 | g << 8 | b);
                for (row, column) in places() {
                    self.pixels[row * self.width + column] = flat;
                }
            }
        }
    }
}
