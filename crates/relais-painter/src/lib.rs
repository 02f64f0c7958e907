//! Pictures out of words: a procedural painter. No model, no network, no randomness: the same words, seed and size give the same bytes.
//!
//! In goes a [`Painting`], out comes a PNG; on the way whoever asked hears of the progress, and may stop it. A prompt chooses subject,
//! time of day, weather and style ([`words`]); everything else follows from noise ([`noise`]). It blocks the thread that it is
//! called on, and knows no task, queue or file.

mod brush;
mod color;
mod garden;
mod ground;
mod noise;
mod sky;
mod words;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

use brush::Canvas;
use color::Color;
use garden::{Flowers, Veils};
use ground::{Landscape, Space};
use noise::{mix, unit};
use words::{Style, Subject, Wishes};

/// The longest side, in pixels.
pub const SIDE_MAX: u32 = 4_096;

/// What to paint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Painting {
    /// What is to be seen, in words.
    pub prompt: String,
    /// What is not.
    pub negative_prompt: String,
    /// Pixels in a row, 1 to [`SIDE_MAX`].
    pub width: u32,
    /// Rows, likewise.
    pub height: u32,
    /// Another seed, another picture.
    pub seed: u64,
}

/// Whoever asked for a picture does not want it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PaintError {
    /// It was stopped.
    #[error("stopped, as asked for")]
    Stopped,
    /// A side of nothing, or over [`SIDE_MAX`].
    #[error("unable to paint {width} by {height} pixels; a side has 1 to {SIDE_MAX}")]
    Size {
        /// As asked for.
        width: u32,
        /// Likewise.
        height: u32,
    },
    /// The PNG encoder failed.
    #[error("unable to write a PNG; {0}")]
    Encode(#[from] image::ImageError),
}

impl From<Stop> for PaintError {
    fn from(_: Stop) -> Self {
        Self::Stopped
    }
}

/// A seed for one of several pictures of a request.
pub fn derived_seed(seed: u64, index: u32) -> u64 {
    mix(seed, u64::from(index) + 1)
}

/// Paints, as a PNG. `progress` hears of it, 0 to 1, every few rows; its `Err` stops the painting.
pub fn paint(
    painting: &Painting,
    progress: &mut dyn FnMut(f32) -> Result<(), Stop>,
) -> Result<Vec<u8>, PaintError> {
    let (width, height) = (painting.width, painting.height);
    let sides = 1..=SIDE_MAX;
    if !sides.contains(&width) || !sides.contains(&height) {
        return Err(PaintError::Size { width, height });
    }
    let wishes = Wishes::read(&painting.prompt, &painting.negative_prompt, painting.seed);
    let share = match wishes.style {
        Style::Oil => 0.6,
        _ => 0.95,
    };
    let mut canvas = sketch(&wishes, painting, &mut |done| progress(done * share))?;
    canvas.restyle(wishes.style, wishes.seed, &mut |done| {
        progress(share + done * (0.95 - share))
    })?;
    let bytes = develop(&canvas, &wishes);
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&bytes, width, height, ExtendedColorType::Rgb8)?;
    progress(1.0)?;
    Ok(png)
}

/// What is to be seen, as a colour for every place.
enum Scene {
    Landscape(Landscape),
    Space(Space),
    Flowers(Flowers),
    Veils(Veils),
}

impl Scene {
    fn new(wishes: &Wishes, aspect: f32, rows: u32) -> Self {
        match wishes.subject {
            Subject::Space => Self::Space(Space::new(wishes, aspect)),
            Subject::Flowers => Self::Flowers(Flowers::new(wishes, aspect)),
            Subject::Abstract => Self::Veils(Veils::new(wishes)),
            _ => Self::Landscape(Landscape::new(wishes, aspect, rows)),
        }
    }

    fn at(&self, x: f32, y: f32) -> Color {
        match self {
            Self::Landscape(scene) => scene.at(x, y),
            Self::Space(scene) => scene.at(x, y),
            Self::Flowers(scene) => scene.at(x, y),
            Self::Veils(scene) => scene.at(x, y),
        }
    }
}

fn sketch(
    wishes: &Wishes,
    painting: &Painting,
    step: &mut dyn FnMut(f32) -> Result<(), Stop>,
) -> Result<Canvas, Stop> {
    let (width, height) = (painting.width, painting.height);
    let aspect = width as f32 / height as f32;
    let scene = Scene::new(wishes, aspect, height);
    let mut pixels = Vec::with_capacity((width * height) as usize);
    for row in 0..height {
        if row % 8 == 0 {
            step(row as f32 / height as f32)?;
        }
        let y = (row as f32 + 0.5) / height as f32;
        pixels.extend((0..width).map(|column| scene.at((column as f32 + 0.5) / height as f32, y)));
    }
    Ok(Canvas {
        width: width as usize,
        height: height as usize,
        pixels,
    })
}

/// From light to bytes: tint, darker corners, and a little grain, which hides steps in smooth skies.
fn develop(canvas: &Canvas, wishes: &Wishes) -> Vec<u8> {
    let grain = match wishes.style {
        Style::Smooth => 0.022,
        Style::Oil => 0.012,
        Style::Poster | Style::Pixel => 0.0,
    };
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let mut bytes = Vec::with_capacity(canvas.pixels.len() * 3);
    for (index, pixel) in canvas.pixels.iter().enumerate() {
        let (column, row) = ((index % canvas.width) as f32, (index / canvas.width) as f32);
        let (dx, dy) = (column / width - 0.5, row / height - 0.5);
        let corner = 1.0 - 0.55 * (dx * dx + dy * dy);
        let mut color = *pixel * corner;
        if let Some(tint) = wishes.tint {
            let washed = tint * (color.light() / tint.light().max(0.02));
            color = color.to(washed, 0.3);
        }
        let speck = (unit(wishes.seed ^ 0x6772_6169, index as u64) - 0.5) * grain;
        bytes.extend(color.saturated(1.06).bytes(speck));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(prompt: &str, seed: u64) -> Vec<u8> {
        let painting = Painting {
            prompt: prompt.to_owned(),
            negative_prompt: String::new(),
            width: 96,
            height: 64,
            seed,
        };
        paint(&painting, &mut |_| Ok(())).expect("painted")
    }

    #[test]
    fn the_same_words_seed_and_size_are_the_same_bytes_and_another_seed_is_another_picture() {
        for prompt in [
            "sunset over the ocean",
            "city at night",
            "flowers",
            "oil painting of a forest",
            "silk",
        ] {
            assert_eq!(painted(prompt, 7), painted(prompt, 7), "{prompt}");
            assert_ne!(painted(prompt, 7), painted(prompt, 8), "{prompt}");
        }
    }

    /// Whoever changes the painter on purpose changes these; whoever does not has broken a promise to those who kept a seed.
    #[test]
    fn what_is_painted_stays_what_it_was() {
        let digest = |prompt: &str| {
            let pixels = image::load_from_memory(&painted(prompt, 42)).expect("a PNG");
            let digest = <sha2::Sha256 as sha2::Digest>::digest(pixels.as_bytes());
            digest[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let found = [
            "sunset over the ocean",
            "city at night",
            "flowers",
            "oil painting of a mountain",
            "planet",
        ]
        .map(digest);
        assert_eq!(
            found,
            [
                "5cb0c8442b7d03e2",
                "8a7cce46a6ac357b",
                "708afe0f23550387",
                "061d4de3c4c99ade",
                "cf1e449d79a460ca"
            ]
        );
    }

    #[test]
    fn progress_only_grows_and_ends_at_one_and_whoever_stops_gets_no_picture() {
        let painting = Painting {
            prompt: "peinture d'une montagne".to_owned(),
            negative_prompt: String::new(),
            width: 64,
            height: 64,
            seed: 1,
        };
        let mut heard = vec![0.0];
        paint(&painting, &mut |done| {
            heard.push(done);
            Ok(())
        })
        .expect("painted");
        assert!(heard.is_sorted() && heard.last() == Some(&1.0), "{heard:?}");
        let mut steps = 0;
        let stopped = paint(&painting, &mut |_| {
            steps += 1;
            if steps < 3 { Ok(()) } else { Err(Stop) }
        });
        assert!(matches!(stopped, Err(PaintError::Stopped)) && steps == 3);
    }

    #[test]
    fn a_side_of_nothing_or_of_too_much_is_refused() {
        for (width, height) in [(0, 64), (64, 0), (SIDE_MAX + 1, 64)] {
            let painting = Painting {
                prompt: String::new(),
                negative_prompt: String::new(),
                width,
                height,
                seed: 1,
            };
            assert!(matches!(
                paint(&painting, &mut |_| Ok(())),
                Err(PaintError::Size { .. })
            ));
        }
    }
}
