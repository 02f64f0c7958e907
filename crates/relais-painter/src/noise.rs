//! Noise: smooth functions of a place and a seed, from which everything in a picture is made.
//!
//! The same on every machine: whole numbers are hashed, and floats meet only operations that IEEE 754 rounds exactly, or `libm`.

/// Mixes a seed and a number into a new seed.
pub fn mix(seed: u64, salt: u64) -> u64 {
    let mut word = seed ^ salt.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// A number from 0 to 1 for a cell of a grid.
pub fn cell(seed: u64, x: i32, y: i32) -> f32 {
    let place = (u64::from(x as u32) << 32) | u64::from(y as u32);
    (mix(seed, place.wrapping_add(1)) >> 40) as f32 / (1 << 24) as f32
}

/// A number from 0 to 1 for a seed alone.
pub fn unit(seed: u64, salt: u64) -> f32 {
    (mix(seed, salt) >> 40) as f32 / (1 << 24) as f32
}

/// 0 below `from`, 1 above `to`, smooth between.
pub fn smoothstep(from: f32, to: f32, at: f32) -> f32 {
    let t = ((at - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

const GRADIENTS: [(f32, f32); 8] = [
    (1.0, 0.0),
    (-1.0, 0.0),
    (0.0, 1.0),
    (0.0, -1.0),
    (0.707, 0.707),
    (-0.707, 0.707),
    (0.707, -0.707),
    (-0.707, -0.707),
];

/// Gradient noise, about -1 to 1, one hill or hollow for each unit.
pub fn noise(seed: u64, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (dx, dy) = (x - left, y - top);
    let (column, row) = (left as i32, top as i32);
    let corner = |cx: i32, cy: i32| {
        let place = (u64::from((column + cx) as u32) << 32) | u64::from((row + cy) as u32);
        let (gx, gy) = GRADIENTS[(mix(seed, place.wrapping_add(1)) >> 61) as usize];
        gx * (dx - cx as f32) + gy * (dy - cy as f32)
    };
    let fade = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (fade(dx), fade(dy));
    let upper = corner(0, 0) + u * (corner(1, 0) - corner(0, 0));
    let lower = corner(0, 1) + u * (corner(1, 1) - corner(0, 1));
    (upper + v * (lower - upper)) * 1.5
}

/// Noise of several scales, each half as strong and twice as fine, about -1 to 1.
pub fn fractal(seed: u64, x: f32, y: f32, octaves: u32) -> f32 {
    let (mut sum, mut weight, mut scale, mut whole) = (0.0, 1.0, 1.0, 0.0);
    for octave in 0..octaves {
        // A turn between octaves hides the grid.
        let (rx, ry) = (x * 0.8 - y * 0.6, x * 0.6 + y * 0.8);
        let (px, py) = match octave % 2 {
            0 => (x, y),
            _ => (rx, ry),
        };
        sum += weight * noise(mix(seed, u64::from(octave)), px * scale, py * scale);
        whole += weight;
        weight *= 0.5;
        scale *= 2.03;
    }
    sum / whole
}

/// The same with sharp crests, 0 to 1: what mountains are made of.
pub fn ridged(seed: u64, x: f32, y: f32, octaves: u32) -> f32 {
    let (mut sum, mut weight, mut scale, mut whole, mut before) = (0.0, 1.0, 1.0, 0.0, 1.0_f32);
    for octave in 0..octaves {
        let crest = 1.0 - noise(mix(seed, u64::from(octave)), x * scale, y * scale).abs();
        let crest = crest * crest;
        sum += weight * crest * before;
        whole += weight;
        before = crest.clamp(0.0, 1.0);
        weight *= 0.5;
        scale *= 2.1;
    }
    sum / whole
}

/// Noise at a place that noise has moved: swirls, as in smoke and marble.
pub fn warped(seed: u64, x: f32, y: f32, strength: f32, octaves: u32) -> f32 {
    let qx = fractal(mix(seed, 101), x, y, 3);
    let qy = fractal(mix(seed, 102), x + 5.2, y + 1.3, 3);
    fractal(seed, x + strength * qx, y + strength * qy, octaves)
}
