// The conductor's API by the session's cookie, and one live stream that comes back by itself.

export const me = { name: "", role: "", csrf: "", expires: 0 };
const ROLES = ["viewer", "deployer", "approver", "admin"];

export function mayDo(role) {
  return ROLES.indexOf(me.role) >= ROLES.indexOf(role);
}

export class Refused extends Error {
  constructor(status, code, detail, hint) {
    super(hint ? `${detail} (${hint})` : detail);
    Object.assign(this, { status, code });
  }
}

async function ask(method, path, body) {
  const headers = { "x-holdfast-csrf": me.csrf };
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), redirect: "error" });
  if (answer.ok) return answer;
  let error = { code: "unreadable", detail: `HTTP ${answer.status}`, hint: "" };
  try { error = (await answer.json()).error; } catch { /* the status says it */ }
  throw new Refused(answer.status, error.code, error.detail, error.hint);
}

export const get = async (path) => (await ask("GET", path)).json();
export const getText = async (path) => (await ask("GET", path)).text();
export const post = async (path, body) => (await ask("POST", path, body)).json();

/** A code in the address is used once and leaves the address at once. Null: nobody is signed in. */
export async function signIn() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) {
    history.replaceState(null, "", "/#/");
    await post("/console/session", { code });
  }
  return whoAmI();
}

export async function whoAmI() {
  Object.assign(me, await get("/console/session"));
}

export async function signOut() {
  await ask("DELETE", "/console/session");
}

// ---- live ---------------------------------------------------------------------------------------

const SILENCE_MS = 4000;
const BACK_OFF_MS = [250, 500, 1000, 2000, 4000, 8000];

/** One stream for the page. `hear` gets (kind, data), `tell` gets "up", "down" or "out". */
export class Live {
  constructor(hear, tell) {
    Object.assign(this, { hear, tell, service: null, failures: 0, source: null, heard: 0, timer: 0 });
    setInterval(() => this.source && performance.now() - this.heard > SILENCE_MS && this.lost(), 1000);
  }

  follow(service) {
    this.service = service;
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    this.source?.close();
    const query = this.service ? `?service=${encodeURIComponent(this.service)}` : "";
    const source = (this.source = new EventSource(`/v1/live${query}`));
    this.heard = performance.now();
    for (const kind of ["board", "sheet", "points", "tick"]) {
      source.addEventListener(kind, (event) => {
        if (source !== this.source) return;
        this.heard = performance.now();
        this.failures = 0;
        this.tell("up", 0);
        if (kind !== "tick") this.hear(kind, JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => source === this.source && this.lost());
  }

  async lost() {
    this.source?.close();
    this.source = null;
    const pause = BACK_OFF_MS[Math.min(this.failures++, BACK_OFF_MS.length - 1)] * (0.8 + 0.4 * Math.random());
    this.tell("down", pause);
    this.timer = setTimeout(async () => {
      try {
        await whoAmI();
        this.open();
      } catch (error) {
        if (error.status === 401) this.tell("out", 0);
        else this.lost();
      }
    }, pause);
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }
}
