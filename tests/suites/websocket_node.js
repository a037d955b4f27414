// WebSocket with `ws` on either side: `server` echoes and prints its port; `client URL CA` talks and
// prints a transcript as JSON. The dialogue is the one of websocket_talks.py.
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const { createRequire } = require("node:module");
const { WebSocket, WebSocketServer } = createRequire(process.env.MODULES + "/")("ws");

const short = (data) => (data.length > 64 ? crypto.createHash("sha256").update(data).digest("hex") : data.toString("latin1"));

function server() {
  const listening = new WebSocketServer({ port: 0, host: "127.0.0.1", maxPayload: 64 << 20, handleProtocols: () => "chat" });
  listening.on("connection", (socket) => {
    socket.on("message", (data, binary) => {
      const text = binary ? "" : data.toString();
      if (text.startsWith("close ")) socket.close(Number(text.slice(6)), "as asked");
      else if (text === "ping me") socket.ping("from the server");
      else socket.send(data, { binary });
    });
    socket.on("pong", (data) => socket.send("pong: " + data));
    socket.on("error", () => {});
  });
  listening.on("listening", () => console.log(listening.address().port));
  process.stdin.resume().on("end", () => process.exit(0)); // whoever started it is gone
}

function client(url, ca, address) {
  const heard = [];
  const port = Number(new URL(url).port);
  const socket = new WebSocket(url, ["chat"], {
    ca: fs.readFileSync(ca), maxPayload: 64 << 20,
    lookup: (_name, options, done) => (options.all ? done(null, [{ address, family: 4 }]) : done(null, address, 4)),
  });
  const say = [
    () => socket.send("hello"),
    () => socket.send("a\u00e9\u20ac\u{1f600}"),
    () => socket.send(Buffer.from(Array.from({ length: 256 }, (_, n) => n))),
    () => socket.send(""),
    () => { for (const [index, part] of ["one ", "two ", "three"].entries()) socket.send(part, { fin: index === 2 }); },
    () => socket.send(Buffer.alloc(8 << 20, 7)),
    () => socket.ping("from the client"),
    () => socket.send("ping me"),
    () => socket.send("close 4321"),
  ];
  const next = () => say.length && say.shift()();
  socket.on("open", () => { heard.push(["open", socket.protocol]); next(); });
  socket.on("message", (data, binary) => { heard.push([binary ? "binary" : "text", data.length, short(data)]); next(); });
  socket.on("pong", (data) => { heard.push(["pong", data.toString()]); next(); });
  socket.on("ping", (data) => heard.push(["ping", data.toString()]));
  socket.on("error", (error) => heard.push(["error", error.message.replaceAll(String(port), "PORT")]));
  socket.on("close", (code, reason) => { heard.push(["close", code, reason.toString()]); console.log(JSON.stringify(heard)); process.exit(0); });
  setTimeout(() => { heard.push(["no end"]); console.log(JSON.stringify(heard)); process.exit(1); }, 20000);
}

if (process.argv[2] === "server") server();
else client(process.argv[3], process.argv[4], "127.0.0.1");
