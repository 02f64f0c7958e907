//! Pictures by their content: what they are, how large, and smaller ones of them. Names and declared types are never asked.

use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use relais_core::error::{Code, Error};

/// Sides that a small picture may have.
pub const THUMBNAILS: [u32; 3] = [128, 256, 512];
/// Memory that decoding one picture may take: 64 megapixels of four bytes, twice.
const DECODE_BYTES_MAX: u64 = 512 * 1024 * 1024;
const JPEG_QUALITY: u8 = 82;

/// A kind of picture that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// For `Content-Type`.
    pub content_type: &'static str,
    /// Of names of files.
    pub extension: &'static str,
    format: ImageFormat,
}

/// All kinds.
pub const KINDS: [Kind; 4] = [
    Kind {
        content_type: "image/png",
        extension: "png",
        format: ImageFormat::Png,
    },
    Kind {
        content_type: "image/jpeg",
        extension: "jpg",
        format: ImageFormat::Jpeg,
    },
    Kind {
        content_type: "image/webp",
        extension: "webp",
        format: ImageFormat::WebP,
    },
    Kind {
        content_type: "image/gif",
        extension: "gif",
        format: ImageFormat::Gif,
    },
];

/// Looks at a file: its kind, if it is a picture that is taken, of at most `pixels_max`. Blocks.
pub fn look(path: &Path, pixels_max: u64) -> Result<Kind, Error> {
    let file = std::fs::File::open(path).map_err(|error| super::storage::io_failed(&error))?;
    examine(BufReader::new(file), pixels_max)
}

fn examine(content: impl BufRead + Seek, pixels_max: u64) -> Result<Kind, Error> {
    let refuse = |code, why: String| Error::new(code, format!("unable to take the file; {why}"));
    let no_picture = || {
        refuse(
            Code::InvalidPayload,
            "it is no PNG, JPEG, WebP or GIF".to_owned(),
        )
    };
    let reader = ImageReader::new(content)
        .with_guessed_format()
        .map_err(|_| no_picture())?;
    let format = reader.format().ok_or_else(no_picture)?;
    let kind = KINDS
        .into_iter()
        .find(|kind| kind.format == format)
        .ok_or_else(no_picture)?;
    let (width, height) = reader.into_dimensions().map_err(|_| {
        let why = format!("it begins as {} and is broken", kind.content_type);
        refuse(Code::InvalidPayload, why)
    })?;
    let pixels = u64::from(width) * u64::from(height);
    match pixels {
        0 => Err(refuse(Code::InvalidPayload, "it has no pixels".to_owned())),
        _ if pixels > pixels_max => {
            let why = format!("it has {width} by {height} pixels; {pixels_max} are taken at most");
            Err(refuse(Code::TooLarge, why))
        }
        _ => Ok(kind),
    }
}

/// A smaller picture that fits into a square. `None`: it cannot be decoded. Blocks, for a while.
pub fn smaller(bytes: &[u8], side: u32) -> Option<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    reader.limits(limits);
    let picture = reader.decode().ok()?;
    let small = match picture.width() <= side && picture.height() <= side {
        true => picture,
        false => picture.thumbnail(side, side),
    };
    let mut encoded = Vec::new();
    match small.color().has_alpha() {
        // What can be seen through has to stay so.
        true => small.write_to(&mut Cursor::new(&mut encoded), ImageFormat::Png),
        false => {
            let opaque = DynamicImage::from(small.into_rgb8());
            opaque.write_with_encoder(JpegEncoder::new_with_quality(&mut encoded, JPEG_QUALITY))
        }
    }
    .ok()?;
    Some(encoded)
}

/// The type of what [`smaller`] made.
pub fn type_of_smaller(bytes: &[u8]) -> &'static str {
    match bytes.starts_with(&[0xFF, 0xD8]) {
        true => "image/jpeg",
        false => "image/png",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = DynamicImage::new_rgb8(40, 20);
        picture
            .write_to(&mut Cursor::new(&mut bytes), format)
            .expect("encoded");
        bytes
    }

    #[test]
    fn a_picture_is_known_by_its_content() {
        for kind in KINDS {
            let found = examine(Cursor::new(encoded(kind.format)), 800).expect("taken");
            assert_eq!(found, kind);
        }
    }

    #[test]
    fn what_is_no_picture_broken_or_too_large_is_refused() {
        let refusal = |bytes: &[u8], pixels| {
            examine(Cursor::new(bytes), pixels)
                .expect_err("refused")
                .code
        };
        for text in [
            &b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..],
            b"",
            b"BM\0\0",
            b"GIF89a",
            b"\x89PNG\r\n\x1a\n1234",
        ] {
            assert_eq!(refusal(text, 800), Code::InvalidPayload, "{text:?}");
        }
        assert_eq!(refusal(&encoded(ImageFormat::Png), 799), Code::TooLarge);
        // A head that promises more than anybody has memory for is refused by its head alone.
        let mut bomb = encoded(ImageFormat::Gif);
        bomb[6..10].copy_from_slice(&[0xFF; 4]);
        assert_eq!(refusal(&bomb, 64_000_000), Code::TooLarge);
    }

    #[test]
    fn a_smaller_picture_fits_keeps_its_shape_and_is_never_larger() {
        let small = smaller(&encoded(ImageFormat::Png), 10).expect("decoded");
        let small = image::load_from_memory(&small).expect("a picture");
        assert_eq!((small.width(), small.height()), (10, 5));
        let same = smaller(&encoded(ImageFormat::WebP), 512).expect("decoded");
        assert_eq!(
            image::load_from_memory(&same).expect("a picture").width(),
            40
        );
        assert_eq!(smaller(b"nothing", 10), None);
    }
}
