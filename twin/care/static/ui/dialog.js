// The one dialog: what an act needs to know, or who acts.
import { about } from "../app/about.js";
import { t } from "../app/i18n.js";

const LABELS = { reason: "act.reason", minutes: "act.minutes", note: "act.words", outcome: "act.outcome", text: "act.words" };

/** What is asked before an act: [field, choices and their words]. */
const ASKS = {
  pause: () => [
    ["reason", about.reasons.map((reason) => [reason, t(`reason.${reason}`)])],
    ["minutes", about.minutes.map((n) => [n, t("act.n_minutes", { n })])],
    ["note", null],
  ],
  close: () => [["outcome", about.outcomes.map((outcome) => [outcome, t(`outcome.${outcome}`)])], ["note", null]],
  note: () => [["text", null]],
};

/** What somebody says to an act, or null. */
export const askOf = (kind) => ask(t(`act.${kind}`).replace("…", ""), ASKS[kind]());

/** A dialog's answers by field, or null if it was closed. asked: [field, choices or null]. */
export function ask(heading, asked, action = heading, hint = "") {
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
