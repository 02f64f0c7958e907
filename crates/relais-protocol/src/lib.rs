//! Bytes to packets and back: WebSocket, Engine.IO v4, Socket.IO v5, plain JSON. No I/O.
