//! `relais doctor`: whether this machine can run the server, one line a check, with what to do where it cannot.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use crate::settings::Settings;

/// Connections that a server should be able to hold before it is called healthy.
const FILES_MIN: u64 = 4_096;
/// How many syncs are timed.
const SYNCS: u32 = 50;

/// Outcome of one check.
pub struct Finding {
    /// What was checked.
    pub name: &'static str,
    /// What was found, or what to do.
    pub result: Result<String, String>,
}

/// Runs every check.
pub fn examine(settings: &Settings) -> Vec<Finding> {
    vec![
        Finding {
            name: "data folder",
            result: data_folder(&settings.data),
        },
        Finding {
            name: "disk syncs",
            result: disk_syncs(&settings.data),
        },
        Finding {
            name: "address",
            result: address(settings),
        },
        Finding {
            name: "open files",
            result: open_files(),
        },
        Finding {
            name: "tokens",
            result: tokens(settings),
        },
    ]
}

fn data_folder(data: &Path) -> Result<String, String> {
    let probe = data.join(".doctor");
    fs::create_dir_all(data)
        .and_then(|()| fs::write(&probe, b"relais"))
        .and_then(|()| fs::remove_file(&probe))
        .map(|()| format!("{} is writable", data.display()))
        .map_err(|error| format!("unable to write in {}; {error}", data.display()))
}

fn disk_syncs(data: &Path) -> Result<String, String> {
    let probe = data.join(".doctor");
    let timed = || -> std::io::Result<f64> {
        let mut file = fs::File::create(&probe)?;
        let started = Instant::now();
        for _ in 0..SYNCS {
            file.write_all(&[0; 4_096])?;
            file.sync_data()?;
        }
        Ok(f64::from(SYNCS) / started.elapsed().as_secs_f64())
    };
    let result = timed().map_err(|error| format!("unable to sync in {}; {error}", data.display()));
    // A probe that cannot be removed harms nobody; the check before has said so already.
    let _ = fs::remove_file(&probe);
    result.map(|rate| format!("{rate:.0} a second; one sync acknowledges all that waits for it"))
}

fn address(settings: &Settings) -> Result<String, String> {
    TcpListener::bind(settings.listen)
        .map(|_| format!("{} is free", settings.listen))
        .map_err(|error| {
            format!(
                "unable to listen on {}; {error}; set WS_HOST or WS_PORT",
                settings.listen
            )
        })
}

fn open_files() -> Result<String, String> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)
        .map_err(|error| format!("unable to read the limit; {error}"))?;
    if limit < FILES_MIN {
        return Err(format!(
            "{limit} open files allow as many connections; raise `ulimit -n`"
        ));
    }
    Ok(format!("{limit}, one for each connection"))
}

fn tokens(settings: &Settings) -> Result<String, String> {
    if settings.is_development() {
        return Ok(
            "development mode: no JWT_SECRET, a key of our own, demo users, loopback only"
                .to_owned(),
        );
    }
    Ok("JWT_SECRET is set".to_owned())
}
