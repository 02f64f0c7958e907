//! The log and the state behind core's Store port: SQLite, and memory for tests.
