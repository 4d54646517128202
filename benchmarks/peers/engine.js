// The trading engine's work in Node, for pm2: closes gracefully and says when it is ready.
"use strict";
const fs = require("node:fs");
const http = require("node:http");

const version = fs.readFileSync(process.env.VERSION_FILE, "utf8").trim();
const weights = version === "v1"
  ? [0.5, -0.25, 0.125, 0.0, 0.375, -0.5, 0.25, 0.0]
  : [0.5, -0.375, 0.25, 0.125, 0.375, -0.5, 0.125, 0.0];

function decide(body) {
  const decisions = Buffer.alloc(body.length / 32);
  for (let row = 0; row < decisions.length; row++) {
    let score = 0;
    for (let i = 0; i < 8; i++) score += weights[i] * body.readFloatLE(row * 32 + i * 4);
    decisions.writeInt8(score > 0.5 ? 1 : score < -0.5 ? -1 : 0, row);
  }
  return decisions;
}

const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const decisions = decide(Buffer.concat(parts));
    response.writeHead(200, { "x-version": version, "content-length": decisions.length });
    response.end(decisions);
  });
});

server.keepAliveTimeout = 75000;
server.listen(Number(process.env.PORT), "127.0.0.1", () => process.send && process.send("ready"));
process.on("SIGINT", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
