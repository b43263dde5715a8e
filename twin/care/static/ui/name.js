// Who is here: asked for at the first act, kept by the server.
import { about } from "../app/about.js";
import { t } from "../app/i18n.js";
import { ask } from "./dialog.js";

/** True if a name was given and taken, which is shown then; tell: says why it was not. */
export async function askName(tell, show) {
  const said = await ask(t("act.name_title"), [["name", null]], t("act.name_save"), t("act.name_hint"));
  if (said === null) return false;
  const answer = await fetch("/name", { method: "POST", body: new URLSearchParams(said) }).catch(() => null);
  if (!answer) {
    tell(t("act.cut"));
    return false;
  }
  if (!answer.ok) {
    tell(t("act.failed", { why: (await answer.json()).expected }));
    return false;
  }
  about.name = said.name.trim().replace(/\s+/g, " ");
  show();
  return true;
}
