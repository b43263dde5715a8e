// A note on the patient: words for the journal, by name.
import { about } from "../app/about.js";
import { named, post } from "../app/act.js";

let busy = false;

/** A key or a click in the form, also one from before this module was there. written: called when a note was taken. */
export async function heard(event, form, written) {
  const button = form.querySelector("button");
  const pressed = event.type === "click" && button.contains(event.target);
  const keyed = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (busy || !(pressed || keyed) || !form.reportValidity()) return;
  busy = true;
  try {
    const words = form.elements.value;
    const path = `/api/v1/patients/${encodeURIComponent(about.patient)}/entries`;
    if ((await named()) && (await post(path, { kind: "note", value: words.value }))) {
      words.value = "";
      words.blur();
      written();
    }
  } finally {
    busy = false;
  }
}
