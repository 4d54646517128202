// All services: one line each, changed in place, so that fifty of them cost nothing.

import { fill, h, millis, number, percent, put, shown, spark } from "./dom.js";

const HEAD = ["Service", "State", "Traffic", "Requests/s", "Errors", "p99", "Ready", "Waits for"];
const order = new Intl.Collator("en", { numeric: true });
const rows = new Map();
let list = null;
let empty = null;

export function open(main) {
  rows.clear();
  list = h("ul", { class: "board" });
  empty = h("div", { class: "card empty", hidden: true }, h("p", {}, "No service is deployed on this conductor yet."), h("code", {}, "holdfast up"));
  main.replaceChildren(
    h("div", { class: "head" }, h("h1", { class: "title" }, "Services"), h("span", { class: "soft num", id: "count" }, "")),
    h("div", { class: "board-head", "aria-hidden": "true" }, HEAD.map((word) => h("span", {}, word))),
    list, empty,
  );
}

export function update(board) {
  if (!list) return;
  for (const [name, card] of board) {
    if (!rows.has(name)) add(name);
    draw(rows.get(name), card);
  }
  const waiting = [...board.values()].filter((card) => card.status.state.rollout).length;
  put(document.getElementById("count"), `${board.size} in all, ${waiting} rolling out`);
  empty.hidden = board.size > 0;
  document.querySelector(".board-head").hidden = board.size === 0;
}

export const close = () => { list = null; };

function cell(label, element, extra = "") {
  return h("div", { class: extra }, h("span", { class: "cell-label" }, label), element);
}

function add(name) {
  const parts = { state: h("span"), bar: h("div", { class: "bar", role: "img" }), rate: h("span", { class: "num" }), line: spark([]), errors: h("span", { class: "num" }), slow: h("span", { class: "num" }), ready: h("span", { class: "num" }), why: h("span", { class: "why" }), rates: [], wall: 0 };
  const link = h("a", { class: "name", href: `#/s/${encodeURIComponent(name)}` }, shown(name));
  parts.row = h("li", {}, h("div", { class: "wide" }, link), h("div", { class: "wide" }, parts.state), cell("Traffic", parts.bar, "wide"), cell("Requests/s", h("span", { class: "rate" }, parts.line, parts.rate)), cell("Errors", parts.errors), cell("p99", parts.slow), cell("Ready", parts.ready), h("div", { class: "wide" }, parts.why));
  const later = [...rows.keys()].filter((other) => order.compare(other, name) > 0).sort(order.compare)[0];
  list.insertBefore(parts.row, later ? rows.get(later).row : null);
  rows.set(name, parts);
}

function draw(row, { status, pulse, spark: rates }) {
  const [tone, words] = standing(status);
  fill(row.state, tone + words, () => h("span", { class: `pill ${tone}` }, shown(words)));
  drawBar(row.bar, status);
  put(row.ready, `${status.fleets.reduce((sum, fleet) => sum + fleet.ready, 0)}/${status.replicas}`);
  const why = status.trouble ?? status.holds.map((hold) => hold.detail || hold.code).join("; ");
  fill(row.why, why, () => (why ? shown(why) : h("span", { class: "sr" }, "nothing")));
  if (!pulse || row.wall === pulse.wall) return;
  row.wall = pulse.wall;
  put(row.rate, number(pulse.rate));
  put(row.errors, percent(pulse.errors));
  put(row.slow, millis(pulse.p99_ms));
  row.line.draw(rates);
}

/** Tone and words of what a service is doing. */
export function standing(status) {
  const { stable, rollout, last, retired } = status.state;
  if (status.trouble) return ["bad", "in trouble"];
  if (retired) return ["", "taken down"];
  if (rollout) {
    const words = `${rollout.old ? `${rollout.old.version} → ` : ""}${rollout.new.version}, step ${rollout.step} of ${rollout.steps}`;
    return [rollout.phase === "reverting" ? "bad" : "wait", rollout.paused ? `${words}, paused` : words];
  }
  if (!stable) return ["bad", last ? `nothing live: ${last.ending}` : "nothing live"];
  return ["good", `${stable.version} live`];
}

/** Releases of a service in the order of their colours: the stable one first. */
export function releasesOf(status) {
  const { stable, previous, rollout } = status.state;
  const known = new Map();
  for (const release of [rollout?.old, stable, rollout?.new, previous]) if (release) known.set(release.id, release.version);
  for (const fleet of status.fleets) if (!known.has(fleet.release)) known.set(fleet.release, fleet.version || fleet.release);
  return known;
}

export function drawBar(bar, status, names = releasesOf(status)) {
  const shares = [...names].map(([id, version], at) => ({ version, weight: status.weights[id] ?? 0, at })).filter((each) => each.weight > 0);
  fill(bar, JSON.stringify(shares.map((each) => [each.at, each.version])), () => shares.map((each) => h("i", { class: `c${each.at % 6}` })));
  shares.forEach((each, at) => { bar.children[at].style.width = `${each.weight}%`; });
  bar.setAttribute("aria-label", shares.map((each) => `${each.version} ${each.weight} %`).join(", ") || "no traffic");
}
