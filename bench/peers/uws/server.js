// The benchmark's server contract (`join`, `pub`, `echo`) on uWebSockets, which is the WebSocket server inside Bun. It is
// no Socket.IO server: it writes just the packets that the load generator expects, so it shows what the sockets alone
// cost. In: the port as the only argument.
const port = Number(process.argv[2]);
const interval = 25_000;
let made = 0;

function handshake(ws) {
  const sid = `s${++made}`;
  ws.data.sid = sid;
  ws.send(`0{"sid":"${sid}","upgrades":[],"pingInterval":${interval},"pingTimeout":20000,"maxPayload":1000000}`);
  ws.data.timer = setInterval(() => ws.send("2"), interval);
}

function event(ws, text) {
  const bracket = text.indexOf("[");
  const ackId = text.slice(2, bracket);
  const [name, first, second] = JSON.parse(text.slice(bracket));
  if (name === "join") ws.subscribe(first);
  else if (name === "pub") server.publish(first, `42${JSON.stringify(["msg", second])}`);
  else if (name === "echo") ws.send(`43${ackId}${JSON.stringify([first])}`);
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port,
  fetch(request, server) {
    return server.upgrade(request, { data: {} }) ? undefined : new Response("", { status: 400 });
  },
  websocket: {
    idleTimeout: 0,
    open: handshake,
    message(ws, text) {
      if (text.startsWith("42")) event(ws, text);
      else if (text === "40") ws.send(`40{"sid":"${ws.data.sid}"}`);
    },
    close(ws) {
      clearInterval(ws.data.timer);
    },
  },
});
