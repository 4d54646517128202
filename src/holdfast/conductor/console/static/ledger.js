// The ledger's entries, each with its proof, checked in this browser.

import { clock, h, shown } from "./dom.js";
import { get, getText } from "./net.js";
import { checkConsistency, checkSignature, hex, leafHash, leafParts, parseCheckpoint, parseConsistency, parseProof, rootByInclusion, unpack } from "./proof.js";

const LIMIT = 60;
const SHOWN = ["version", "by", "reason", "step", "code", "ending", "detail", "replicas", "owner", "promise", "mark"];
const NOISE = new Set(["Measured"]);

/** A list of the newest entries, of one service or of all. */
export function ledgerView(service) {
  const list = h("ul", { class: "entries" });
  const note = h("p", { class: "soft", role: "status" }, "Loading");
  const load = async () => {
    const query = `limit=${service ? 600 : 300}${service ? `&service=${encodeURIComponent(service)}` : ""}`;
    try {
      const { entries } = await get(`/v1/ledger?${query}`);
      const told = entries.filter((entry) => !NOISE.has(entry.kind)).slice(0, LIMIT);
      list.replaceChildren(...told.map((entry) => row(entry, Boolean(service))));
      note.textContent = told.length ? `The ${told.length} newest entries; samples are left out. Each can be proven: the check runs in this browser.` : "Nothing is recorded yet.";
    } catch (error) { note.textContent = error.message; }
  };
  load();
  const again = h("button", { type: "button", on: { click: load } }, "Look again");
  return h("section", { class: "card" }, h("div", { class: "tools" }, h("h2", {}, service ? "What happened" : "All entries"), again), note, list);
}

function row(entry, alone) {
  const place = h("div", { "aria-live": "polite" });
  const button = h("button", { type: "button", class: "check", on: { click: () => prove(entry, place, button) } }, "Check proof", h("span", { class: "sr" }, ` of entry ${entry.index}`));
  return h("li", {}, h("div", { class: "entry" },
    h("span", { class: "num soft" }, `#${entry.index}`),
    h("span", { class: "num soft when" }, clock(entry.wall)),
    h("strong", { class: "kind" }, shown(entry.kind)),
    h("span", { class: "what" }, shown(summary(entry, alone))), button), place);
}

function summary(entry, alone) {
  const body = { ...entry.body, ...(entry.body.plan ? { version: entry.body.plan.new?.version } : {}) };
  if (Number.isInteger(body.step)) body.step += 1; // people count from one
  const words = SHOWN.filter((key) => body[key] !== undefined && body[key] !== null && body[key] !== "" && typeof body[key] !== "object").map((key) => `${key}: ${body[key]}`);
  return [...(alone ? [] : [entry.service]), ...words].join("  ·  ");
}

async function prove(entry, place, button) {
  button.disabled = true;
  const steps = h("ol");
  place.replaceChildren(h("div", { class: "proof" }, steps));
  const step = (good, words, ...more) => steps.append(h("li", { class: good ? "yes" : "no" }, h("strong", {}, good ? "Yes. " : "No. "), words, ...more));
  try {
    await check(entry, step);
    place.firstChild.append(h("p", { class: "verdict" }, h("span", { class: "pill good" }, "proven")));
  } catch (error) {
    step(false, shown(error.message));
    place.firstChild.append(h("p", { class: "verdict" }, h("span", { class: "pill bad" }, "not proven"), " Ask: holdfast audit verify"));
  } finally { button.disabled = false; }
}

async function check(entry, step) {
  const [text, keys] = [await getText(`/v1/ledger/proof?index=${entry.index}`), await getText("/v1/ledger/keys")];
  const proof = parseProof(text);
  const { header, body } = leafParts(proof.leaf);
  if (header.index !== entry.index || header.kind !== entry.kind || header.stream !== entry.stream) throw new Error("the proven entry is another one than is shown here");
  const inline = header.body === "inline";
  if (inline && JSON.stringify(JSON.parse(body)) !== JSON.stringify(entry.body)) throw new Error("the proven entry says something else than is shown here");
  step(true, `What is shown is what the leaf says (${proof.leaf.length} bytes${inline ? "" : "; the body by its hash"}).`);
  const head = parseCheckpoint(proof.checkpoint);
  const leaf = await leafHash(proof.leaf);
  const root = await rootByInclusion(leaf, entry.index, head.size, proof.path);
  if (hex(root) !== hex(head.root)) throw new Error(`the path leads to root ${hex(root)}, signed is ${hex(head.root)}`);
  step(true, `SHA-256 of the leaf and ${proof.path.length} hashes lead to the signed root of ${head.size} entries: `, h("code", {}, hex(root).slice(0, 16)), "…");
  pin(`keys ${head.origin}`, keys, "the ledger's keys are not those this browser saw first");
  const signed = await checkSignature(head, keys);
  step(true, signed ? "The ledger's Ed25519 key signed that root. Its ML-DSA-44 signature is checked by holdfast audit verify." : "This browser has no Ed25519; holdfast audit verify checks both signatures.");
  await continues(head, step);
}

/** The tree must continue the largest one that this browser has seen. */
async function continues(head, step) {
  const name = `holdfast head ${head.origin}`;
  const kept = JSON.parse(localStorage.getItem(name) ?? "null");
  if (!kept) step(true, "This browser sees this ledger for the first time and remembers its root.");
  else {
    const proof = parseConsistency(await getText(`/v1/ledger/consistency?old=${kept.size}`));
    const newest = parseCheckpoint(proof.checkpoint);
    await checkConsistency(kept.size, newest.size, unpack(kept.root), newest.root, proof.path);
    step(true, `It continues the ledger of ${kept.size} entries that this browser saw before; nothing was rewritten.`);
  }
  if (!kept || head.size > kept.size) localStorage.setItem(name, JSON.stringify({ size: head.size, root: btoa(String.fromCharCode(...head.root)) }));
}

function pin(name, value, says) {
  const kept = localStorage.getItem(`holdfast ${name}`);
  if (kept === null) localStorage.setItem(`holdfast ${name}`, value);
  else if (kept !== value) throw new Error(says);
}
