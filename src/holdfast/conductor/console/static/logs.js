// The last lines of a service's replicas, again every two seconds, as text and nothing else.

import { h, shown } from "./dom.js";
import { get } from "./net.js";

const EVERY_MS = 2000;

export function logsView(service, releases) {
  const place = h("pre", { class: "logs", role: "region", tabindex: "0", "aria-label": "Log lines" });
  const note = h("span", { class: "soft", role: "status" }, "Loading");
  const grep = h("input", { type: "search", id: "grep", placeholder: "only lines with", on: { input: () => draw() } });
  const release = h("select", { id: "release", on: { change: () => load() } }, h("option", { value: "" }, "all releases"));
  const follow = h("input", { type: "checkbox", id: "follow" });
  follow.checked = true;
  let logs = [];
  let timer = 0;

  for (const [id, version] of releases()) release.append(h("option", { value: id }, version));

  function draw() {
    const names = new Map(releases());
    const word = grep.value.toLowerCase();
    const lines = logs.flatMap((log) => log.lines.filter((line) => line.toLowerCase().includes(word)).map((line) => [`${names.get(log.release) ?? log.release}/${log.replica}`, line]));
    const top = place.scrollTop;
    place.replaceChildren(...lines.flatMap(([replica, line]) => [h("b", {}, shown(replica), " "), shown(line), "\n"]));
    place.scrollTop = follow.checked ? place.scrollHeight : top;
    note.textContent = lines.length ? `${lines.length} lines of ${logs.length} replicas` : "No line matches, or nothing was printed yet.";
  }

  async function load() {
    clearTimeout(timer);
    const wanted = release.value ? `&release=${encodeURIComponent(release.value)}` : "";
    try {
      logs = (await get(`/v1/services/${encodeURIComponent(service)}/logs?lines=100${wanted}`)).logs;
      draw();
    } catch (error) { note.textContent = error.message; }
    timer = setTimeout(load, EVERY_MS);
  }

  load();
  const element = h("section", { class: "card" }, h("div", { class: "tools" },
    h("label", { for: "grep", class: "sr" }, "Only lines with"), grep, h("label", { for: "release", class: "sr" }, "Release"), release,
    h("label", { class: "tick" }, follow, " stay at the end"), note), place);
  return { element, close: () => clearTimeout(timer) };
}
