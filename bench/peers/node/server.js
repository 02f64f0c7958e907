// The benchmark's server contract (`join`, `pub`, `echo`) on Node's socket.io, with its defaults and the native
// `bufferutil` that its tuning guide recommends. In: the port as the only argument.
import { createServer } from "node:http";
import { Server } from "socket.io";

const port = Number(process.argv[2]);
const http = createServer();
const io = new Server(http, { serveClient: false });

io.on("connection", (socket) => {
  socket.on("join", (room) => socket.join(room));
  socket.on("pub", (room, payload) => io.to(room).emit("msg", payload));
  socket.on("echo", (payload, ack) => ack(payload));
});

http.listen(port, "127.0.0.1");
