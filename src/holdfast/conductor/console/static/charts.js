// Requests, errors and latency of each release over the last minutes, by uPlot.

import { h, millis, number, percent } from "./dom.js";

const WINDOW_S = 300;
const WINDOW_S_MIN = 60; // a young service fills the picture, too
const HEIGHT = 168;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const KINDS = {
  rate: { title: "Requests per second", of: (arm, s) => arm.requests / s, show: number, top: 1 },
  errors: { title: "Failed, % of requests", of: (arm) => (arm.requests ? (100 * arm.errors) / arm.requests : null), show: (v) => percent(v / 100), top: 1 },
  late: { title: "Latency, 99th percentile in ms", of: (arm) => arm.p99_ms, show: millis, top: 2 },
  slow: { title: "Slower than promised, % of requests", of: (arm) => (arm.requests ? (100 * arm.slow) / arm.requests : null), show: (v) => percent(v / 100), top: 1 },
};

/** Three charts in places of a fixed size. `names()` gives release ids and versions in colour order. */
export class Charts {
  constructor(names) {
    this.names = names;
    this.points = [];
    this.plots = new Map();
    this.shape = "";
    this.holders = ["rate", "errors", "late"].map((kind) => {
      const title = h("h2", {}, KINDS[kind].title);
      const place = h("div", { class: "chart", role: "img", "aria-label": `${KINDS[kind].title}: no data yet` });
      return { kind, title, place, card: h("section", { class: "card" }, title, place) };
    });
    this.element = h("div", { class: "stack" }, this.holders.map((each) => each.card));
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(this.element);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.rebuilt = () => { this.shape = ""; this.draw(); };
    this.scheme.addEventListener("change", this.rebuilt);
  }

  add(points) {
    this.points.push(...points);
    const from = this.points.at(-1).wall - WINDOW_S;
    this.points = this.points.filter((point) => point.wall >= from);
    this.draw();
  }

  draw() {
    if (!this.points.length) return;
    const seen = new Set(this.points.flatMap((point) => point.arms.map((arm) => arm.release)));
    const known = this.names();
    const names = [...known, ...[...seen].filter((id) => !known.has(id)).map((id) => [id, id])];
    const releases = names.map(([id, version], at) => ({ id, version, at })).filter((each) => seen.has(each.id));
    const measured = this.points.some((point) => point.arms.some((arm) => arm.p99_ms !== null));
    const shape = JSON.stringify([releases, measured]);
    const last = this.points.at(-1);
    for (const holder of this.holders) {
      const kind = KINDS[holder.kind === "late" && !measured ? "slow" : holder.kind];
      const data = [this.points.map((point) => point.wall), ...releases.map((release) => this.points.map((point) => value(point, release.id, kind)))];
      if (shape !== this.shape) this.build(holder, kind, releases, data);
      else this.plots.get(holder.kind).setData(data);
      this.plots.get(holder.kind).setScale("x", { min: Math.max(last.wall - WINDOW_S, Math.min(this.points[0].wall, last.wall - WINDOW_S_MIN)), max: last.wall });
      const latest = releases.map((release) => [release, value(last, release.id, kind)]).filter(([, v]) => v !== null);
      holder.place.setAttribute("aria-label", `${kind.title}: ${latest.map(([release, v]) => `${release.version} ${kind.show(v)}`).join(", ") || "no requests"}`);
    }
    this.shape = shape;
  }

  build(holder, kind, releases, data) {
    this.plots.get(holder.kind)?.destroy();
    holder.title.textContent = kind.title;
    const axis = { stroke: style("--soft"), grid: { stroke: style("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const options = {
      width: Math.max(holder.place.clientWidth, 200), height: HEIGHT, legend: { show: false }, padding: [8, 28, 0, 0],
      cursor: { y: false, sync: { key: "releases" }, points: { size: 7 } },
      scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, Math.max(high ?? 0, kind.top) * 1.1] } },
      axes: [{ ...axis, space: 90, size: 26, values: (_plot, at) => at.map((wall) => new Date(wall * 1000).toLocaleTimeString("en-GB")) }, { ...axis, size: 52, values: (_plot, at) => at.map((v) => (v < 10 ? String(Number(v.toFixed(2))) : number(v))) }],
      series: [{}, ...releases.map((release) => ({ label: release.version, stroke: style(`--r${release.at % 6}`), width: 2, spanGaps: false, points: { show: false } }))],
    };
    this.plots.set(holder.kind, new globalThis.uPlot(options, data, holder.place));
  }

  fit() {
    for (const holder of this.holders) this.plots.get(holder.kind)?.setSize({ width: Math.max(holder.place.clientWidth, 200), height: HEIGHT });
  }

  close() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.rebuilt);
    for (const plot of this.plots.values()) plot.destroy();
  }
}

function value(point, release, kind) {
  const arm = point.arms.find((each) => each.release === release);
  return arm ? kind.of(arm, point.seconds) : null;
}
