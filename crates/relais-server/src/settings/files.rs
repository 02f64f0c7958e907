//! Settings of files and of the engine that makes pictures.
//!
//! Comes in: the gathered values. Goes out: [`FileSettings`] and [`ImageEngine`], checked.

use std::path::Path;
use std::time::Duration;

use super::{RawSettings, SettingsError, Source};
use crate::engines::comfy::{ComfySettings, Workflow};
use crate::files::{FileSettings, Place, S3};

/// What makes the pictures that app files want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageEngine {
    /// The painter in this program.
    Embedded,
    /// A ComfyUI.
    Comfy(ComfySettings),
    /// Workers from outside, who claim tasks over HTTP.
    None,
}

pub(super) fn files(raw: &RawSettings, data: &Path) -> Result<FileSettings, SettingsError> {
    let public_url = raw.optional("public_url").map(str::to_owned);
    if let Some(url) = &public_url {
        check_url(raw, "public_url", url)?;
    }
    Ok(FileSettings {
        place: place(raw, data)?,
        incoming: data.join("incoming"),
        bytes_max: raw.number("file_bytes_max", 1_024..=1_073_741_824)?,
        pixels_max: raw.number("image_pixels_max", 1..=67_108_864)?,
        link_seconds: raw.number("file_link_seconds", 60..=604_800)? as i64,
        public_url,
        sweep_seconds: raw.number("file_sweep_seconds", 1..=604_800)?,
        timeout: Duration::from_millis(raw.number("body_timeout_ms", 100..=300_000)?),
    })
}

fn place(raw: &RawSettings, data: &Path) -> Result<Place, SettingsError> {
    let Some(url) = raw.optional("files_url") else {
        return Ok(Place::Folder(data.join("files")));
    };
    let Some(bucket) = url.strip_prefix("s3://") else {
        let folder = url
            .strip_prefix("file:")
            .map(|path| path.trim_start_matches("//"));
        return folder
            .map(|path| Place::Folder(path.into()))
            .ok_or_else(|| raw.wrong("files_url", "expected `file:PATH` or `s3://BUCKET/PREFIX`"));
    };
    let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
    if bucket.is_empty() {
        return Err(raw.wrong("files_url", "the bucket is missing in `s3://BUCKET/PREFIX`"));
    }
    let endpoint = raw.optional("s3_endpoint").map(str::to_owned);
    if let Some(url) = &endpoint {
        check_url(raw, "s3_endpoint", url)?;
    }
    let needed = |key| {
        let text = raw.optional(key).map(str::to_owned);
        text.ok_or_else(|| raw.wrong(key, "it is needed where `files_url` is a bucket"))
    };
    Ok(Place::S3(S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        endpoint,
        region: raw.text("s3_region").trim().to_owned(),
        access_key_id: needed("s3_access_key_id")?,
        secret_access_key: needed("s3_secret_access_key")?,
    }))
}

pub(super) fn image_engine(raw: &RawSettings) -> Result<ImageEngine, SettingsError> {
    // Who names a ComfyUI and nothing else wants it.
    let is_chosen = raw.values["image_engine"].source != Source::Default;
    match raw.text("image_engine").trim() {
        "embedded" if is_chosen || raw.optional("comfyui_url").is_none() => {
            Ok(ImageEngine::Embedded)
        }
        "embedded" | "comfyui" => comfy(raw).map(ImageEngine::Comfy),
        "none" => Ok(ImageEngine::None),
        _ => Err(raw.wrong("image_engine", "expected `embedded`, `comfyui` or `none`")),
    }
}

fn comfy(raw: &RawSettings) -> Result<ComfySettings, SettingsError> {
    let url = raw.optional("comfyui_url").ok_or_else(|| {
        let why = "it is needed where `image_engine` is `comfyui`";
        raw.wrong("comfyui_url", why)
    })?;
    check_url(raw, "comfyui_url", url)?;
    let workflow = match raw.optional("comfyui_workflow") {
        None => Workflow::default(),
        Some(file) => {
            let wrong = |why: String| raw.wrong("comfyui_workflow", format!("{file}: {why}"));
            let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
            Workflow::read(&text).map_err(|error| wrong(error.to_string()))?
        }
    };
    Ok(ComfySettings {
        url: url.to_owned(),
        workflow,
        checkpoint: raw.text("comfyui_checkpoint").trim().to_owned(),
        timeout: Duration::from_secs(raw.number("comfyui_timeout_seconds", 1..=86_400)?),
    })
}

fn check_url(raw: &RawSettings, key: &'static str, url: &str) -> Result<(), SettingsError> {
    let parsed = url.parse::<http::Uri>();
    let is_right = parsed.is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && url.authority().is_some()
            && url.query().is_none()
    });
    match is_right {
        true => Ok(()),
        false => Err(raw.wrong(
            key,
            "expected an address such as https://relais.example.org",
        )),
    }
}
