// The page: who is signed in, which view is open, keys, and the live stream that feeds it.

import { say, showKeys } from "./actions.js";
import { drillsView } from "./drills.js";
import { h, put } from "./dom.js";
import { ledgerView } from "./ledger.js";
import { Live, get, me, signIn, signOut } from "./net.js";
import * as overview from "./overview.js";
import { ServiceView } from "./service.js";

const SPARK = 60;
const main = document.getElementById("main");
const board = new Map(); // name -> {status, pulse, spark}
let view = { close() {}, board() {}, hear() {}, key: () => false };
let live = null;
let prefix = false; // "g" was pressed

/** The past minute of every service, so that the first look shows where it comes from. */
async function recall() {
  try {
    for (const card of (await get("/v1/board")).cards) board.set(card.status.service, card);
  } catch (error) { say(error.message, true); }
}

// ---- views --------------------------------------------------------------------------------------

function route() {
  const hash = location.hash || "#/";
  if (!hash.startsWith("#/")) return;
  view.close();
  const [, place, name] = hash.split("/").map(decodeURIComponent);
  const service = place === "s" ? name : null;
  view = open(place, name);
  const current = place === "s" ? "services" : place || "services";
  for (const link of document.querySelectorAll("[data-nav]")) link.dataset.nav === current ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  document.title = `${name ?? { ledger: "Ledger", drills: "Drills" }[place] ?? "Services"} · Holdfast`;
  live.follow(service);
  view.board(board);
}

function open(place, name) {
  const still = { close() {}, board() {}, hear() {}, key: () => false };
  if (place === "s") return new ServiceView(main, name);
  if (place === "ledger") {
    main.replaceChildren(h("div", { class: "head" }, h("h1", { class: "title" }, "Ledger")), ledgerView(null));
    return still;
  }
  if (place === "drills") {
    main.replaceChildren(h("div", { class: "head" }, h("h1", { class: "title" }, "Drills")), drillsView());
    return still;
  }
  overview.open(main);
  return { ...still, close: overview.close, board: overview.update, key: move };
}

function move(key) {
  const links = [...document.querySelectorAll(".board a.name")];
  const at = links.indexOf(document.activeElement);
  const next = { j: Math.min(at + 1, links.length - 1), k: Math.max(at - 1, 0) }[key];
  if (next === undefined || !links.length) return false;
  links[next].focus();
  return true;
}

// ---- live ---------------------------------------------------------------------------------------

function hear(kind, data) {
  if (kind === "board") {
    for (const status of data.statuses) {
      const card = board.get(status.service) ?? { pulse: null, spark: [] };
      board.set(status.service, { ...card, status });
    }
    for (const [name, pulse] of Object.entries(data.pulses)) {
      const card = board.get(name);
      if (card && pulse) board.set(name, { ...card, pulse, spark: [...card.spark, pulse.rate].slice(-SPARK) });
    }
    view.board(board);
    document.documentElement.dataset.heard = String(Date.now());
  } else view.hear(kind, data);
}

function tell(state, pause) {
  const link = document.getElementById("link");
  link.className = `link ${state}`;
  put(link, state === "up" ? "connected" : `not connected${pause >= 1000 ? `, again in ${Math.round(pause / 1000)} s` : ""}`);
  if (state === "out") signedOut("Your session has ended.");
}

function signedOut(why) {
  live?.close();
  view.close();
  document.getElementById("out").hidden = true;
  put(document.getElementById("who"), "");
  const link = document.getElementById("link");
  link.className = "link";
  put(link, "signed out");
  main.replaceChildren(h("div", { class: "card empty" }, h("h1", {}, "Sign in"), h("p", {}, why), h("p", {}, "On the conductor's machine this prints a link that works once:"), h("code", {}, "holdfast console")));
}

// ---- keys ---------------------------------------------------------------------------------------

function pressed(event) {
  const typing = event.target.closest?.("input, select, textarea, dialog[open]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const places = { s: "#/", l: "#/ledger", d: "#/drills" };
  if (prefix && places[event.key]) location.hash = places[event.key];
  else if (event.key === "?") showKeys();
  else if (event.key !== "g" && !view.key(event.key)) return;
  prefix = event.key === "g" && !prefix;
  event.preventDefault();
}

// ---- beginning ----------------------------------------------------------------------------------

async function begin() {
  document.getElementById("keys").addEventListener("click", showKeys);
  document.getElementById("skip").addEventListener("click", () => main.focus());
  document.getElementById("out").addEventListener("click", async () => {
    try { await signOut(); } catch (error) { say(error.message, true); }
    signedOut("You have signed out.");
  });
  try {
    await signIn();
  } catch (error) {
    return signedOut(error.code === "signed-out" ? "Nobody is signed in here." : error.message);
  }
  put(document.getElementById("who"), `${me.name}, ${me.role}`);
  document.getElementById("out").hidden = false;
  await recall();
  live = new Live(hear, tell);
  addEventListener("hashchange", route);
  addEventListener("keydown", pressed);
  route();
}

begin();
