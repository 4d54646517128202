// Elements from data. Text is only ever text: no markup is made from strings anywhere.

/** h("p", {class: "soft"}, "words", element): an element. `on` holds listeners by event name. */
export function h(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, run] of Object.entries(value)) made.addEventListener(event, run);
    else if (name in made && typeof value === "boolean") made[name] = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((each) => each !== null && each !== undefined));
  return made;
}

// Controls, marks that turn the direction of text, and what has no width: a name or a log line
// must not be able to hide or to move anything.
const ODD = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const COLOUR = /\u001b\[[0-9;:]*m/g;

/** Text of others, isolated, with odd characters shown by their number. */
export function shown(text) {
  const plain = String(text).replace(COLOUR, "");
  const parts = [];
  let from = 0;
  for (const match of plain.matchAll(ODD)) {
    if (match.index > from) parts.push(plain.slice(from, match.index));
    const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    parts.push(h("span", { class: "odd" }, `U+${code}`));
    from = match.index + match[0].length;
  }
  if (from < plain.length) parts.push(plain.slice(from));
  return h("bdi", {}, parts);
}

/** Replace what an element holds, only when `key` says that it changed. */
export function fill(element, key, make) {
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.replaceChildren(...[make()].flat());
}

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function spark(values) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of [["viewBox", "0 0 60 20"], ["class", "spark"], ["aria-hidden", "true"], ["preserveAspectRatio", "none"]]) svg.setAttribute(name, value);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  for (const [name, value] of [["fill", "none"], ["stroke", "currentColor"], ["stroke-width", "1.5"], ["vector-effect", "non-scaling-stroke"]]) line.setAttribute(name, value);
  svg.append(line);
  svg.draw = (next) => {
    const top = Math.max(...next, 1);
    line.setAttribute("points", next.map((v, i) => `${60 - next.length + i + 1},${(19 - (v / top) * 17).toFixed(1)}`).join(" "));
  };
  svg.draw(values);
  return svg;
}

// ---- numbers and times as people read them ------------------------------------------------------

export function number(value) {
  if (value >= 100000) return `${Math.round(value / 1000).toLocaleString("en")}k`;
  return value >= 100 ? Math.round(value).toLocaleString("en") : String(Math.round(value * 10) / 10);
}

export function percent(share) {
  if (share === 0) return "0 %";
  return share < 0.0001 ? "<0.01 %" : `${(share * 100).toFixed(share < 0.1 ? 2 : 0)} %`;
}

export function millis(value) {
  if (value === null || value === undefined) return "–";
  return value < 1 ? "<1 ms" : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

export function seconds(value) {
  if (value < 60) return `${Math.round(value * 10) / 10} s`;
  return value < 3600 ? `${Math.round(value / 6) / 10} min` : `${Math.round(value / 360) / 10} h`;
}

export function clock(wall) {
  const at = new Date(wall * 1000);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toLocaleDateString("en-CA")} `;
  return day + at.toLocaleTimeString("en-GB");
}
