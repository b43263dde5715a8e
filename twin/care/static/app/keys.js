// Single-key shortcuts: listed under "?", and can be turned off (WCAG 2.1.4).
const dialog = document.getElementById("keys");
const enabled = document.getElementById("keys-enabled");
const STORED = "twin-keys";
let before = "";

/** @param {Record<string, (event: KeyboardEvent) => void>} keys what each key does on this page */
export function install(keys) {
  enabled.checked = localStorage.getItem(STORED) !== "off";
  enabled.addEventListener("change", () => localStorage.setItem(STORED, enabled.checked ? "on" : "off"));
  const opener = document.getElementById("keys-open");
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
  addEventListener("keydown", (event) => press(event, keys));
}

function press(event, keys) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (!enabled.checked) return;
  const all = { "?": () => dialog.showModal(), ...keys };
  const pair = all[`${before} ${event.key}`];
  before = event.key === "g" ? "g" : "";
  const act = pair ?? (event.key === "g" ? undefined : all[event.key]);
  if (act === undefined) return;
  act(event);
  if (!event.defaultPrevented && event.key !== "Enter") event.preventDefault();
}
