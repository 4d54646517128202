// Proofs of the ledger, checked here and not by whoever sent them: RFC 6962 hashes by WebCrypto,
// C2SP checkpoints and tlog-proofs, and what this browser saw before.

const text = new TextEncoder();
const HEADER = "c2sp.org/tlog-proof@v1";

export const unpack = (packed) => Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
export const hex = (bytes) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
const same = (a, b) => hex(a) === hex(b);

async function hash(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}
export const leafHash = (data) => hash(Uint8Array.of(0), data);
const nodeHash = (left, right) => hash(Uint8Array.of(1), left, right);
const odd = (n) => n % 2 === 1;
const half = (n) => Math.floor(n / 2);

function need(what, says) {
  if (!what) throw new Error(says);
}

/** The root that a path leads to (RFC 9162, 2.1.3.2). */
export async function rootByInclusion(leaf, index, size, path) {
  need(index < size, `no entry ${index} in a tree of ${size}`);
  let [at, last, root] = [index, size - 1, leaf];
  for (const sibling of path) {
    need(last > 0, "the inclusion path is too long");
    if (odd(at) || at === last) {
      root = await nodeHash(sibling, root);
      while (!odd(at) && at !== 0) { at = half(at); last = half(last); }
    } else root = await nodeHash(root, sibling);
    at = half(at);
    last = half(last);
  }
  need(last === 0, "the inclusion path is too short");
  return root;
}

/** Throws unless the tree of `size` only appends to the one of `old` (RFC 9162, 2.1.4.2). */
export async function checkConsistency(old, size, oldRoot, root, path) {
  need(old <= size, `the ledger has ${size} entries and once had ${old}`);
  if (old === size) return need(same(oldRoot, root) && !path.length, `two different trees of ${size} entries`);
  if (old === 0) return need(!path.length, "the proof must be empty");
  const rest = [...path];
  if (Number.isInteger(Math.log2(old))) rest.unshift(oldRoot);
  need(rest.length, "the proof is empty");
  let [at, last] = [old - 1, size - 1];
  while (odd(at)) { at = half(at); last = half(last); }
  let before = rest[0];
  let now = rest[0];
  for (const sibling of rest.slice(1)) {
    need(last > 0, "the proof is too long");
    if (odd(at) || at === last) {
      before = await nodeHash(sibling, before);
      now = await nodeHash(sibling, now);
      while (!odd(at) && at !== 0) { at = half(at); last = half(last); }
    } else now = await nodeHash(now, sibling);
    at = half(at);
    last = half(last);
  }
  need(last === 0, "the proof is too short");
  need(same(before, oldRoot), "the ledger of before is not a part of this one");
  need(same(now, root), "the proof does not lead to the signed root");
}

/** Origin, size and root of a signed note. */
export function parseCheckpoint(note) {
  const end = note.lastIndexOf("\n\n");
  const [origin, size, root] = note.split("\n");
  need(end > 0 && origin && /^(0|[1-9][0-9]*)$/.test(size), "this is no checkpoint");
  const lines = note.slice(end + 2).trimEnd().split("\n");
  return { origin, size: Number(size), root: unpack(root), text: note.slice(0, end + 1), lines };
}

export function parseProof(proof) {
  const at = proof.indexOf("\n\n");
  const lines = proof.slice(0, at).split("\n");
  need(at > 0 && lines[0] === HEADER && lines[1].startsWith("extra ") && lines[2].startsWith("index "), "this is no proof");
  return { leaf: unpack(lines[1].slice(6)), index: Number(lines[2].slice(6)), path: lines.slice(3).map(unpack), checkpoint: proof.slice(at + 2) };
}

export function parseConsistency(proof) {
  const at = proof.indexOf("\n\n");
  const lines = proof.slice(0, at).split("\n");
  need(at > 0 && lines[0].startsWith("old "), "this is no consistency proof");
  return { old: Number(lines[0].slice(4)), path: lines.slice(1).map(unpack), checkpoint: proof.slice(at + 2) };
}

/** True when the Ed25519 key among `keys` signed; throws when it did not. Null: this browser lacks it. */
export async function checkSignature(head, keys) {
  const lines = keys.trim().split("\n");
  const [name, id, packed] = splitKey(lines.find((line) => unpack(splitKey(line)[2])[0] === 1) ?? "");
  need(name === head.origin, `the key is of ${name}, the checkpoint of ${head.origin}`);
  let key;
  try {
    key = await crypto.subtle.importKey("raw", unpack(packed).slice(1), "Ed25519", false, ["verify"]);
  } catch { return null; }
  for (const line of head.lines) {
    const [, signer, signature] = line.split(" ");
    const bytes = unpack(signature);
    if (signer === name && hex(bytes.slice(0, 4)) === id) {
      need(await crypto.subtle.verify("Ed25519", key, bytes.slice(4), text.encode(head.text)), "the Ed25519 signature is wrong");
      return true;
    }
  }
  throw new Error("the checkpoint is not signed by the ledger's key");
}

function splitKey(line) {
  const [name, id, ...rest] = line.split("+");
  return [name, id, rest.join("+")];
}

export function leafParts(leaf) {
  const whole = new TextDecoder().decode(leaf);
  const end = whole.indexOf("\n");
  need(whole.startsWith("holdfast-entry/v1 "), "this is no entry of Holdfast");
  return { header: JSON.parse(whole.slice(18, end)), body: whole.slice(end + 1) };
}
