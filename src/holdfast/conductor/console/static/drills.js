// The scorecard: what drills measured last about each promise, beside its bound.

import { clock, h, shown } from "./dom.js";
import { get } from "./net.js";

const TONES = { holds: "good", broken: "bad", void: "wait" };

export function drillsView() {
  const place = h("section", { class: "card" }, h("p", { class: "soft" }, "Loading"));
  get("/v1/drills").then(({ findings }) => place.replaceChildren(...(findings.length ? [card(findings)] : [none()])),
    (error) => place.replaceChildren(h("p", {}, error.message)));
  return place;
}

function none() {
  return h("div", { class: "empty" }, h("p", {}, "No drill was recorded in this ledger yet. A drill writes here when no conductor runs, so measure first, then start it."), h("code", {}, "holdfast drill"));
}

function card(findings) {
  const kept = findings.filter(({ body }) => body.mark === "holds").length;
  const head = ["Promise", "What", "Measured", "Bound", "n", "When", "Verdict"];
  return h("div", {}, h("h2", {}, `${kept} of ${findings.length} promises kept`), h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Scorecard" }, h("table", {},
    h("thead", {}, h("tr", {}, head.map((word) => h("th", { scope: "col", class: ["Measured", "Bound", "n"].includes(word) ? "n" : "" }, word)))), h("tbody", {}, findings.map(row)))));
}

function row({ wall, body }) {
  const unit = body.unit ? ` ${body.unit}` : "";
  const size = (value) => (Number.isInteger(value) ? value.toLocaleString("en") : typeof value === "number" ? Number(value.toPrecision(4)).toLocaleString("en") : String(value));
  return h("tr", {}, h("td", {}, shown(body.promise)), h("td", {}, shown(body.says)), h("td", { class: "n" }, size(body.measured) + unit),
    h("td", { class: "n" }, `${body.at_least ? "≥" : "≤"} ${size(body.bound)}${unit}`), h("td", { class: "n" }, size(body.n)), h("td", {}, clock(wall)),
    h("td", {}, h("span", { class: `pill ${TONES[body.mark] ?? (body.void ? "wait" : "")}` }, body.void ? "void" : body.mark), body.void ? h("small", { class: "soft" }, " ", shown(body.void)) : null));
}
