// What a person may order, asked again before it is done, and never without the role for it.

import { h, shown } from "./dom.js";
import { mayDo, post } from "./net.js";

const dialog = document.getElementById("dialog");
const toast = document.getElementById("toast");
let fade = 0;

export const ACTIONS = [
  { verb: "promote", key: "m", role: "approver", label: "Promote", when: running, says: "The rest of this step's wait is skipped. Instances that are not ready are never promoted." },
  { verb: "approve", key: "v", role: "approver", label: "Approve", when: (s) => s.holds.some((hold) => hold.code === "needs-approval"), says: "Your approval of the present step is recorded in the ledger under your name." },
  { verb: "pause", key: "p", role: "deployer", label: "Pause", when: (s) => running(s) && !s.state.rollout.paused, reason: true, says: "The rollout stays where it is. A release that fails is still taken back." },
  { verb: "resume", key: "p", role: "deployer", label: "Resume", when: (s) => running(s) && s.state.rollout.paused, says: "The rollout goes on. Evidence from before the pause is not counted." },
  { verb: "abort", key: "x", role: "deployer", label: "Abort", when: running, reason: true, danger: true, says: "The rollout is taken back: all traffic returns to the old release." },
  { verb: "rollback", key: "b", role: "deployer", label: "Roll back", when: (s) => !running(s) && s.state.previous, danger: true, says: "The service goes back to its previous release, and the one that serves now is refused by the next deploy." },
];

function running(status) {
  return Boolean(status.state.rollout) && status.state.rollout.phase !== "reverting";
}

/** Buttons that stay in their places; what cannot be done now is disabled and says why. */
export function toolbar(service, statusOf) {
  const buttons = ACTIONS.map((action) => {
    const button = h("button", { type: "button", class: action.danger ? "danger" : "", "data-verb": action.verb, "aria-keyshortcuts": action.key, on: { click: () => confirm(service, action, statusOf()) } }, action.label);
    button.action = action;
    return button;
  });
  return h("div", { class: "actions", role: "group", "aria-label": "Orders" }, buttons);
}

export function updateToolbar(bar, status) {
  for (const button of bar.children) {
    const { action } = button;
    const [may, can] = [mayDo(action.role), Boolean(action.when(status))];
    button.disabled = !may || !can;
    button.title = !may ? `needs the role ${action.role}` : can ? `${action.label} (${action.key})` : "not now";
    const twin = { pause: "resume", resume: "pause" }[action.verb];
    button.hidden = Boolean(twin) && (action.verb === "resume") !== Boolean(status.state.rollout?.paused);
  }
}

export function press(bar, key) {
  const button = [...bar.children].find((each) => each.action.key === key && !each.disabled && !each.hidden);
  if (button) button.click();
  return Boolean(button);
}

function confirm(service, action, status) {
  const reason = action.reason ? h("input", { id: "reason", maxlength: "500", autocomplete: "off" }) : null;
  const go = h("button", { type: "submit", class: action.danger ? "danger main" : "main" }, action.label);
  const target = status.state.rollout?.new.version ?? status.state.previous?.version ?? "";
  const form = h("form", { method: "dialog" },
    h("h2", { id: "dialog-title" }, `${action.label} `, shown(service), "?"),
    h("p", {}, action.says),
    target ? h("p", { class: "soft" }, action.verb === "rollback" ? "Back to " : "Release ", shown(target)) : null,
    reason ? [h("label", { for: "reason" }, "Why (kept in the ledger)"), reason] : null,
    h("div", { class: "actions" }, h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"), go));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go.disabled = true;
    order(service, action, reason?.value ?? "");
  });
  dialog.replaceChildren(form);
  dialog.showModal();
  (reason ?? go).focus();
}

async function order(service, action, reason) {
  try {
    const body = action.reason ? { reason } : {};
    const answer = await post(`/v1/services/${encodeURIComponent(service)}/${action.verb}`, body);
    say(`${action.label}: ${answer.detail}`);
  } catch (error) {
    say(`${action.label} refused: ${error.message}`, true);
  } finally {
    dialog.close();
  }
}

export function say(words, bad = false) {
  clearTimeout(fade);
  toast.replaceChildren(shown(words));
  toast.className = `toast on${bad ? " bad" : ""}`;
  fade = setTimeout(() => { toast.className = "toast"; }, bad ? 9000 : 5000);
}

export function showKeys() {
  const rows = [["?", "this list"], ["g then s, l, d", "services, ledger, drills"], ["j, k", "next, previous service"], ["Enter", "open it"], ["1 to 4", "rollout, logs, history, promises"], ...ACTIONS.filter((each) => each.verb !== "resume").map((each) => [each.key, each.verb === "pause" ? "pause or resume" : each.label.toLowerCase()]), ["Esc", "close a dialog"]];
  dialog.replaceChildren(h("h2", { id: "dialog-title" }, "Keyboard"),
    h("table", {}, h("tbody", {}, rows.map(([key, says]) => h("tr", {}, h("td", {}, h("kbd", {}, key)), h("td", {}, says))))),
    h("div", { class: "actions" }, h("button", { type: "button", class: "main", on: { click: () => dialog.close() } }, "Close")));
  dialog.showModal();
}
