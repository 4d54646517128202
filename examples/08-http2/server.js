// HTTP/2 without TLS (h2c): answers, says its version, and ends gracefully on SIGTERM.
"use strict";
const http2 = require("node:http2");

const version = process.env.APP_VERSION || "v1";
const sessions = new Set();
const server = http2.createServer();

server.on("session", (session) => {
  sessions.add(session);
  session.on("close", () => sessions.delete(session));
});
server.on("stream", (stream, headers) => {
  stream.on("error", () => {}); // whoever asked has left
  stream.respond({ ":status": 200, "content-type": "text/plain", "x-version": version });
  stream.end(headers[":path"] === "/ready" ? "ready\n" : `hello from ${version}\n`);
});

server.listen(Number(process.env.PORT || 8088), "127.0.0.1");
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  for (const session of sessions) session.close(); // GOAWAY: open streams are finished
});
