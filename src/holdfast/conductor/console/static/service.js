// One service: what it does now and why it waits, the ladder, the releases, charts, logs, history.

import { press, toolbar, updateToolbar } from "./actions.js";
import { Charts } from "./charts.js";
import { fill, h, put, seconds, shown } from "./dom.js";
import { ledgerView } from "./ledger.js";
import { logsView } from "./logs.js";
import { drawBar, releasesOf, standing } from "./overview.js";

const TABS = [["rollout", "Rollout"], ["logs", "Logs"], ["history", "History"], ["promises", "Promises"]];
const MARKS = { done: "✓", now: "▶", ahead: "·", back: "✕", left: "·" };
const STANDING = { done: "passed", now: "here now", ahead: "to come", back: "taken back from here", left: "not reached" };
const WAITS = {
  "starting": "instances become ready", "routing": "the data plane takes the weights", "soaking": "minimum time on this step",
  "needs-samples": "more requests to judge by", "source-down": "metric source is silent", "common-cause": "the old release fails too",
  "needs-approval": "a person must approve", "paused": "paused by a person", "window-closed": "deployment window is closed",
  "draining": "requests in flight finish", "refuge": "traffic stays where it is answered", "drift": "changed from outside",
  "queued": "another rollout first", "baking": "watching at 100 %", "target": "target does not do as told", "ledger": "cannot be recorded", "stranded": "a person is needed",
};

export class ServiceView {
  constructor(main, name) {
    this.name = name;
    this.status = null;
    this.sheet = null;
    this.told = "";
    this.known = new Map(); // every release seen here keeps its colour while the page is open
    this.charts = new Charts(() => this.known);
    this.bar = toolbar(name, () => this.status);
    this.parts = {
      pill: h("span"), place: h("span", { class: "soft" }), lead: h("p", { class: "lead" }), past: h("p", { class: "soft" }), waits: h("ul", { class: "waits" }),
      traffic: h("div", { class: "bar big", role: "img" }), releases: h("tbody"), ladder: h("ol", { class: "ladder" }),
      evidence: h("div"), failures: h("div"), promises: h("tbody"), regions: h("ul", { class: "regions" }),
    };
    this.now = h("section", { class: "card now", "aria-label": "What it does now" }, this.parts.lead, this.parts.past, this.parts.waits);
    this.panel = h("div", { role: "tabpanel", id: "panel", tabindex: "0", "aria-labelledby": "tab-rollout" });
    this.tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Views of the service", on: { keydown: (event) => this.arrow(event) } },
      TABS.map(([id, label]) => h("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": "panel", on: { click: () => this.show(id) } }, label)));
    this.rolloutPanel = this.makeRollout();
    this.promisesPanel = this.makePromises();
    main.replaceChildren(
      h("div", { class: "head" }, h("div", { class: "title" }, h("h1", {}, shown(name), " ", this.parts.pill), this.parts.place), this.bar),
      this.now, this.tabs, this.panel);
    this.show("rollout");
  }

  makeRollout() {
    const p = this.parts;
    const head = ["Release", "Traffic", "Ready", "Starting", "Draining", "In flight", "Deaths"];
    const releases = h("section", { class: "card" }, h("h2", {}, "Traffic and instances"), p.traffic,
      h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Releases" }, h("table", {}, h("thead", {}, h("tr", {}, head.map((word, at) => h("th", { scope: "col", class: at ? "n" : "" }, word)))), p.releases)), p.failures);
    return h("div", { class: "columns" }, h("div", { class: "stack" }, releases,
      h("section", { class: "card" }, h("h2", {}, "Ladder"), p.ladder),
      h("section", { class: "card" }, h("h2", {}, "Evidence"), p.evidence)), this.charts.element);
  }

  makePromises() {
    const p = this.parts;
    return h("div", { class: "stack" },
      h("section", { class: "card" }, h("h2", {}, "What is promised"), h("table", {}, h("thead", {}, h("tr", {}, ["Promise", "What", "Bound"].map((word) => h("th", { scope: "col" }, word)))), p.promises),
        h("p", { class: "soft" }, "Measured by ", h("code", {}, "holdfast drill"), "; the latest findings are under ", h("a", { href: "#/drills" }, "Drills"), ".")),
      h("section", { class: "card" }, h("h2", {}, "Regions of the rendered set"), p.regions, h("p", { class: "soft" }, "This conductor runs the service on one machine; the files of ", h("code", {}, "holdfast render"), " are for these regions.")));
  }

  // ---- tabs

  show(id) {
    this.leave?.();
    this.leave = null;
    for (const tab of this.tabs.children) {
      const chosen = tab.id === `tab-${id}`;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    this.panel.setAttribute("aria-labelledby", `tab-${id}`);
    if (id === "rollout") this.panel.replaceChildren(this.rolloutPanel);
    if (id === "promises") this.panel.replaceChildren(this.promisesPanel);
    if (id === "history") this.panel.replaceChildren(ledgerView(this.name));
    if (id === "logs") {
      const logs = logsView(this.name, () => this.known);
      this.leave = logs.close;
      this.panel.replaceChildren(logs.element);
    }
  }

  arrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...this.tabs.children];
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  }

  key(key) {
    const tab = TABS[Number(key) - 1];
    if (tab) this.show(tab[0]);
    return Boolean(tab) || press(this.bar, key);
  }

  // ---- news

  board(board) {
    const card = board.get(this.name);
    if (!card) {
      if (board.size) put(this.parts.lead, "There is no such service on this conductor.");
      return;
    }
    if (card.status === this.status) return;
    this.status = card.status;
    this.draw();
  }

  hear(kind, data) {
    if (kind === "points") this.charts.add(data);
    if (kind === "sheet") { this.sheet = data; this.drawSheet(); }
  }

  close() {
    this.leave?.();
    this.charts.close();
  }

  // ---- drawing

  draw() {
    const { status, parts } = this;
    const [tone, words] = standing(status);
    fill(parts.pill, tone + words, () => h("span", { class: `pill ${tone}` }, shown(words)));
    put(parts.place, [status.endpoint, `${status.replicas} replicas`, `${status.target} target`].filter(Boolean).join("  ·  "));
    this.now.className = `card now ${tone}`;
    const lead = leadOf(status);
    fill(parts.lead, lead, () => shown(lead));
    const past = pastOf(status);
    fill(parts.past, past, () => shown(past));
    this.drawWaits();
    for (const [id, version] of releasesOf(status)) if (!this.known.has(id)) this.known.set(id, version);
    drawBar(parts.traffic, status, this.known);
    this.drawReleases();
    updateToolbar(this.bar, status);
    this.tellWaits(lead);
  }

  drawWaits() {
    const { status, parts } = this;
    const rows = status.holds.map((hold) => [hold.code, hold.detail]);
    if (status.gate) rows.push(["window-closed", status.gate]);
    if (status.trouble) rows.push(["trouble", status.trouble]);
    fill(parts.waits, JSON.stringify(rows), () => rows.map(([code, detail]) => h("li", { "data-hold": code }, h("span", { class: `pill ${["trouble", "stranded"].includes(code) ? "bad" : "wait"}` }, WAITS[code] ?? code), shown(detail))));
  }

  /** A screen reader hears a new reason to wait, not every new number in it. */
  tellWaits(lead) {
    const told = lead + this.status.holds.map((hold) => WAITS[hold.code] ?? hold.code).join(", ");
    if (told === this.told) return;
    this.told = told;
    put(document.getElementById("say"), told);
  }

  drawReleases() {
    const { status, parts } = this;
    const fleets = new Map(status.fleets.map((fleet) => [fleet.release, fleet]));
    const rows = [...this.known].map(([id, version], at) => ({ id, version, at, fleet: fleets.get(id) })).filter((each) => each.fleet || status.weights[each.id]);
    fill(parts.releases, JSON.stringify([rows, status.weights]), () => rows.map(({ id, version, at, fleet }) => h("tr", {},
      h("td", {}, h("span", { class: `swatch c${at % 6}` }), h("strong", { title: id }, shown(version))),
      [`${status.weights[id] ?? 0} %`, fleet?.ready ?? 0, fleet?.starting ?? 0, fleet?.draining ?? 0, fleet?.in_flight ?? 0, fleet?.restarts ?? 0].map((cell) => h("td", { class: "n" }, String(cell))))));
    const failures = status.fleets.filter((fleet) => fleet.failure);
    fill(parts.failures, JSON.stringify(failures), () => failures.map(({ version, failure }) => h("div", {}, h("p", {}, h("span", { class: "pill bad" }, failure.code), " ", shown(`${version}: ${failure.detail}`)), failure.log_tail.length ? h("pre", { class: "logs short", role: "region", "aria-label": `Last lines of ${version}`, tabindex: "0" }, failure.log_tail.flatMap((line) => [shown(line), "\n"])) : null)));
  }

  drawSheet() {
    const { sheet, parts } = this;
    fill(parts.ladder, JSON.stringify(sheet.ladder), () => (sheet.ladder.length ? sheet.ladder.map(rung) : [h("li", { class: "soft" }, "No rollout yet.")]));
    fill(parts.evidence, JSON.stringify([sheet.mark, sheet.says, sheet.evidence]), () => evidence(sheet));
    fill(parts.promises, JSON.stringify(sheet.promises), () => sheet.promises.map((each) => h("tr", {}, h("td", {}, each.promise), h("td", {}, each.says), h("td", { class: "num" }, each.bound))));
    fill(parts.regions, JSON.stringify(sheet.regions), () => sheet.regions.map((each) => h("li", {}, h("strong", {}, shown(each.name)), " ", h("span", { class: "soft" }, shown(each.cloud)), each.primary ? [" ", h("span", { class: "pill" }, "primary")] : [])));
  }
}

function leadOf(status) {
  const { stable, rollout, last, retired } = status.state;
  if (rollout) {
    const share = status.weights[rollout.new.id] ?? 0;
    if (rollout.phase === "reverting") return `${rollout.new.version} is being taken back: ${rollout.reason}`;
    return `${rollout.new.version} carries ${share} % of the traffic, step ${rollout.step} of ${rollout.steps} (${rollout.strategy})`;
  }
  if (retired) return "Taken down; bring it back with: holdfast up";
  if (!stable) return last ? `Nothing is live. The last rollout ended ${last.ending}: ${last.reason}` : "Nothing is deployed yet.";
  return `${stable.version} is live and carries ${status.weights[stable.id] ?? 0} % of the traffic.`;
}

/** How the last rollout went wrong, if it did and nothing newer is on its way. */
function pastOf(status) {
  const { stable, rollout, last } = status.state;
  if (!stable || rollout || !last || last.ending === "promoted") return "";
  return `The last rollout, ${last.new.version}, ended ${last.ending}${last.reason ? `: ${last.reason}` : ""}`;
}

function rung(step, at) {
  const needs = [step.hold_s ? `at least ${seconds(step.hold_s)}` : "", step.judged ? `judged, at most ${seconds(step.hold_s_max)}` : "", step.approvals ? `${step.approvals} approval${step.approvals > 1 ? "s" : ""}` : ""].filter(Boolean);
  return h("li", { class: step.standing === "now" ? "now-step" : step.standing, "aria-current": step.standing === "now" ? "step" : null },
    h("span", { class: "mark", "aria-hidden": "true" }, MARKS[step.standing]), h("span", { class: "num" }, `${step.weight} %`),
    h("span", {}, `Step ${at + 1}, ${STANDING[step.standing]}`, h("small", {}, needs.join(", ") || "no wait")));
}

function evidence(sheet) {
  if (!sheet.mark) return h("p", { class: "soft" }, "Nothing was judged yet.");
  const tone = { pass: "good", fail: "bad" }[sheet.mark] ?? "wait";
  const words = sheet.needed > 0 ? `Needs ${sheet.needed.toLocaleString("en")} more requests on the new release.` : "";
  const table = h("table", {}, h("thead", {}, h("tr", {}, ["Metric", "New", "Old", "Evidence against"].map((word, at) => h("th", { scope: "col", class: at ? "n" : "" }, word)))),
    h("tbody", {}, sheet.evidence.map((each) => h("tr", {}, h("td", {}, shown(each.metric)), h("td", { class: "n" }, `${each.new_bad} of ${each.new_requests}`), h("td", { class: "n" }, `${each.old_bad} of ${each.old_requests}`),
      h("td", { class: "n" }, `${each.e_value === null ? "∞" : each.e_value.toPrecision(2)} of ${Math.round(each.bound)}`)))));
  return [h("p", {}, h("span", { class: `pill ${tone}` }, sheet.mark), " ", shown(sheet.says)), words ? h("p", { class: "soft num" }, words) : h("span"), sheet.evidence.length ? h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Evidence by metric" }, table) : h("span")];
}

