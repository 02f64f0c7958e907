// What the scenario `durable` asks of a server (`join-bam`, `send-message` of the application `bam`), as a team would write it on
// Node's socket.io and PostgreSQL: the token is checked, each message is one INSERT that commits by itself, and the room and
// the ack get it after the commit. In: the port, the secret of the tokens, and libpq's own environment for the database.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import pg from "pg";
import { Server } from "socket.io";

const port = Number(process.argv[2]);
const secret = process.env.JWT_SECRET;
const pool = new pg.Pool({ max: Number(process.env.POOL_MAX ?? 20) });

await pool.query(`CREATE TABLE IF NOT EXISTS messages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  room text NOT NULL,
  sender text NOT NULL,
  content text NOT NULL,
  temp_id text,
  created_at timestamptz NOT NULL DEFAULT now()
)`);
await pool.query("CREATE INDEX IF NOT EXISTS messages_of_a_room ON messages (room, id)");

// A statement with a name is prepared once on each connection of the pool.
const insert = {
  name: "insert-message",
  text: "INSERT INTO messages (room, sender, content, temp_id) VALUES ($1, $2, $3, $4) RETURNING id, created_at",
};

function claimsOf(token) {
  const [header, body, signature] = String(token).split(".");
  const wanted = createHmac("sha256", secret).update(`${header}.${body}`).digest();
  const given = Buffer.from(signature ?? "", "base64url");
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new Error("TOKEN_INVALID");
  const claims = JSON.parse(Buffer.from(body, "base64url"));
  if (claims.exp < Date.now() / 1000) throw new Error("TOKEN_EXPIRED");
  return claims;
}

const http = createServer();
const io = new Server(http, { serveClient: false });

io.use((socket, next) => {
  try {
    socket.data.claims = claimsOf(socket.handshake.auth.token);
    next();
  } catch (error) {
    next(error);
  }
});

io.on("connection", (socket) => {
  const { sub, name, bams } = socket.data.claims;
  socket.on("join-bam", (bamId, ack) => {
    if (!bams.includes(bamId)) return ack({ success: false, error: { code: "NOT_A_MEMBER" } });
    socket.join(bamId);
    ack({ success: true, bamId });
  });
  socket.on("send-message", async ({ bamId, content, tempId }, ack) => {
    if (!socket.rooms.has(bamId)) return ack({ success: false, error: { code: "NOT_IN_ROOM" } });
    try {
      const { rows } = await pool.query({ ...insert, values: [bamId, sub, content, tempId] });
      const message = { id: rows[0].id, bamId, content, tempId, createdAt: rows[0].created_at, sender: { id: sub, name } };
      io.to(bamId).emit("new-message", message);
      ack({ success: true, message });
    } catch (error) {
      ack({ success: false, error: { code: "INTERNAL", message: error.message } });
    }
  });
});

http.listen(port, "127.0.0.1");
