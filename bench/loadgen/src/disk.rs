//! How often the disk itself can sync: the yardstick beside the durable rate.
//!
//! In: a folder. Out: synced appends a second, one after the other, 4 KiB each, as the log of a database makes them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::LoadError;

const BLOCK_BYTES: usize = 4096;

/// `fdatasync` calls a second after an append of 4 KiB, over about `time`, in `folder`.
pub fn sync_rate(folder: &Path, time: Duration) -> Result<f64, LoadError> {
    let path = folder.join("sync-probe");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)
        .map_err(LoadError::io("open the sync probe"))?;
    let block = [0x5a; BLOCK_BYTES];
    let start = Instant::now();
    let mut syncs = 0u32;
    while start.elapsed() < time {
        file.write_all(&block).map_err(LoadError::io("append"))?;
        file.sync_data().map_err(LoadError::io("fdatasync"))?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / start.elapsed().as_secs_f64();
    fs::remove_file(&path).map_err(LoadError::io("remove the sync probe"))?;
    Ok(rate)
}
