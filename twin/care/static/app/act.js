// What people do to alarms: take, pause, resume, close, note. Whoever acts has a name; it is asked
// for at the first act. Buttons say what they do with data-act, and stand inside a [data-alarm].
import { about } from "./about.js";
import { t } from "./i18n.js";

const toast = document.getElementById("toast");
const name = document.getElementById("name");
const TOAST_MS = 6000;

let cut = false;
let hiding = 0;

/** What a dialog asks before an act: [field, kind, choices and their words]. */
const ASKS = {
  pause: () => [
    ["reason", about.reasons.map((reason) => [reason, t(`reason.${reason}`)])],
    ["minutes", about.minutes.map((n) => [n, t("act.n_minutes", { n })])],
    ["note", null],
  ],
  close: () => [["outcome", about.outcomes.map((outcome) => [outcome, t(`outcome.${outcome}`)])], ["note", null]],
  note: () => [["text", null]],
};
const LABELS = { reason: "act.reason", minutes: "act.minutes", note: "act.words", outcome: "act.outcome", text: "act.words" };

export function install() {
  name.hidden = false;
  showName();
  name.addEventListener("click", () => askName());
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button !== null) act(button.dataset.act, button.closest("[data-alarm]").dataset.alarm);
  });
}

/** The link is lost: nothing can be done, and every button says why. */
export function disable(lost) {
  cut = lost;
  for (const button of document.querySelectorAll("[data-act]")) {
    if (button.getAttribute("aria-disabled") === String(lost)) continue;
    button.setAttribute("aria-disabled", String(lost));
    if (lost) button.title = t("act.cut");
    else button.removeAttribute("title");
  }
}

/** Do it, asking first for what it needs. */
export async function act(kind, alarm) {
  if (cut) return tell(t("act.cut"));
  if (!(await named())) return undefined;
  const body = kind in ASKS ? await ask(t(`act.${kind}`).replace("…", ""), ASKS[kind]()) : {};
  if (body === null) return undefined;
  return post(`/api/v1/alarms/${encodeURIComponent(alarm)}/${kind}`, body);
}

/** Does whoever is here have a name? It is asked for if not. */
export const named = async () => Boolean(about.name) || askName();

/** POST as a command; says what became of it. True if it was done. */
export async function post(path, body, method = "POST") {
  const id = crypto.randomUUID?.() ?? `${performance.now()} ${Math.random()}`;
  try {
    const answer = await fetch(path, {
      method, body: JSON.stringify(body),
      headers: { "content-type": "application/json", "idempotency-key": id },
    });
    if (answer.ok) {
      tell(t("act.done"));
      return true;
    }
    const problem = await answer.json();
    tell(answer.status === 504 ? t("act.unanswered") : t("act.failed", { why: problem.detail || problem.title }));
  } catch {
    tell(t("act.cut"));
  }
  return false;
}

export function tell(words) {
  toast.textContent = words;
  toast.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { toast.hidden = true; }, TOAST_MS);
}

async function askName() {
  const said = await ask(t("act.name_title"), [["name", null]], t("act.name_save"), t("act.name_hint"));
  if (said === null) return false;
  const answer = await fetch("/name", { method: "POST", body: new URLSearchParams(said) });
  if (!answer.ok) {
    tell(t("act.failed", { why: (await answer.json()).expected }));
    return false;
  }
  about.name = said.name.trim().replace(/\s+/g, " ");
  showName();
  return true;
}

function showName() {
  name.textContent = about.name || t("who.none");
  if (about.name) name.setAttribute("aria-label", t("who.change", { name: about.name }));
}

/** A dialog's answers by field, or null if it was closed. asked: [field, choices or null]. */
function ask(heading, asked, action = heading, hint = "") {
  const dialog = make("dialog", { id: "act" });
  dialog.setAttribute("aria-labelledby", "act-title");
  const form = make("form", { method: "dialog" });
  const fields = asked.map(([field, choices]) => {
    const input = make(choices ? "select" : "input", { name: field });
    if (choices) input.append(...choices.map(([value, text]) => new Option(text, value)));
    else Object.assign(input, { type: "text", maxLength: field === "name" ? 60 : 500, required: field !== "note", autocomplete: field === "name" ? "name" : "off" });
    if (field === "name") input.value = about.name ?? "";
    const label = make("label");
    label.append(field === "name" ? hint : t(LABELS[field]), input);
    return label;
  });
  const buttons = make("p", { className: "buttons" });
  const cancel = make("button", { type: "button", textContent: t("act.cancel") });
  cancel.addEventListener("click", () => dialog.close());
  buttons.append(make("button", { value: "do", className: "do", textContent: action }), " ", cancel);
  form.append(make("h2", { id: "act-title", textContent: heading }), ...fields, buttons);
  dialog.append(form);
  document.body.append(dialog);
  const before = document.activeElement;
  dialog.showModal();
  fields[0].querySelector("input, select").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      before?.focus();
      if (dialog.returnValue !== "do") return resolve(null);
      const said = Object.fromEntries(new FormData(form));
      if ("minutes" in said) said.minutes = Number(said.minutes);
      return resolve(said);
    });
  });
}

function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}
