// A plain Node server: answers, says its version, and ends gracefully on SIGTERM.
"use strict";
const http = require("node:http");

const version = process.env.APP_VERSION || "v1";
const server = http.createServer((request, response) => {
  response.setHeader("x-version", version);
  if (server.draining) response.setHeader("connection", "close");
  response.end(request.url === "/ready" ? "ready\n" : `hello from ${version}\n`);
});

server.keepAliveTimeout = 75_000;
server.listen(Number(process.env.PORT || 8083), "127.0.0.1");
process.on("SIGTERM", () => {
  server.draining = true;
  setTimeout(() => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  }, 200);
});
