// What people do to alarms. Who acts has a name; it is asked for at the first act. Buttons say
// what they do with data-act, inside a [data-alarm].
import { about } from "./about.js";
import { t } from "./i18n.js";

const toast = document.getElementById("toast");
const name = document.getElementById("name");
const TOAST_MS = 6000;

let cut = false;
let hiding = 0;

/** Acts of which a dialog asks more; it is loaded then: most who look never act. */
const ASKED = ["pause", "close", "note"];

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
    if (button.ariaDisabled === String(lost)) continue;
    button.ariaDisabled = String(lost);
    if (lost) button.title = t("act.cut");
    else button.removeAttribute("title");
  }
}

/** Do it, asking first for what it needs. */
export async function act(kind, alarm) {
  if (cut) return tell(t("act.cut"));
  const body = (await named()) && (ASKED.includes(kind) ? await (await needed(import("../ui/dialog.js")))?.askOf(kind) : {});
  return body && post(`/api/v1/alarms/${encodeURIComponent(alarm)}/${kind}`, body);
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
      dispatchEvent(new Event("acted"));
      return true;
    }
    const problem = await answer.json();
    tell(answer.status === 504 ? t("act.unanswered") : t("act.failed", { why: problem.detail || problem.title }));
  } catch {
    tell(t("act.cut"));
  }
  return false;
}

/** What is imported; undefined, and said, where it cannot be. */
export const needed = (loading) => loading.catch(() => tell(t("act.unloaded")));

function tell(words) {
  toast.textContent = words;
  toast.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { toast.hidden = true; }, TOAST_MS);
}

const askName = async () => (await needed(import("../ui/name.js")))?.askName(tell, showName);

function showName() {
  name.textContent = about.name || t("who.none");
  if (about.name) name.ariaLabel = t("who.change", { name: about.name });
}
