// Asks for / over one HTTP/2 connection until its input ends, then counts what it got.
//   node client.js 8088       (Ctrl-D ends it)
"use strict";
const http2 = require("node:http2");

const CALLERS = 4, PAUSE_MS = 20;
const seen = {};
const count = (what) => { seen[what] = (seen[what] || 0) + 1; };
let ended = false, session = null;

// A new connection only when the old one is gone: an update must not need one.
function connected() {
  if (!session || session.closed || session.destroyed) {
    session = http2.connect(`http://127.0.0.1:${process.argv[2]}`);
    session.on("error", () => {});
    count("connections");
  }
  return session;
}

const ask = () => new Promise((done) => {
  let status = 0, version = "";
  const stream = connected().request({ ":path": "/" });
  stream.on("response", (headers) => { status = headers[":status"]; version = headers["x-version"]; });
  stream.on("error", (error) => { status = error.code; });
  stream.on("close", () => { count(status === 200 ? version : `failed: ${status}`); done(); });
  stream.resume();
});

async function keepAsking() {
  while (!ended) {
    await ask();
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}

process.stdin.resume().on("end", () => { ended = true; });
Promise.all(Array.from({ length: CALLERS }, keepAsking)).then(() => {
  if (session) session.close();
  console.log(JSON.stringify(seen));
});
