//! A Socket.IO server library: shards, transports, sessions, hub, outbox, heartbeat, resume.
