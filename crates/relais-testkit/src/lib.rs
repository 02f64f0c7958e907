//! A whole server in a test: chaos proxy, kill and restart, contract suites for ports.
