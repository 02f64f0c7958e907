//! Contract suites: what the ports of core promise, as tests that every implementation runs.

pub mod fanout;
pub mod store;
