//! The Relais binary: settings in, a running server out.

mod cli;
mod clock;
mod development;
mod http;
mod identity;
mod log;
mod origin;
mod settings;

fn main() {
    let (_task, raw) = cli::parse().unwrap();
    let s = raw.check().unwrap();
    log::init(&s).unwrap();
}
