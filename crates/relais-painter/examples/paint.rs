//! Paints a prompt into a file: `cargo run -p relais-painter --example paint -- "sunset over the ocean" 1 768 512 out.png`.

use relais_painter::{Painting, paint};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |or: &str| arguments.next().unwrap_or_else(|| or.to_owned());
    let painting = Painting {
        prompt: next("sunset over the ocean"),
        negative_prompt: String::new(),
        seed: next("1").parse()?,
        width: next("768").parse()?,
        height: next("512").parse()?,
    };
    let png = paint(&painting, &mut |_| Ok(()))?;
    std::fs::write(next("painting.png"), png)?;
    Ok(())
}
