// A note on the patient: words for the journal, by name.
import { about } from "../app/about.js";
import { named, post } from "../app/act.js";

/** Called when somebody is in the form first; its button works from then on. written: called when a note was taken. */
export function install(form, written) {
  const words = form.elements.value;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const path = `/api/v1/patients/${encodeURIComponent(about.patient)}/entries`;
    if (!(await named()) || !(await post(path, { kind: "note", value: words.value }))) return;
    words.value = "";
    words.blur();
    written();
  });
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.querySelector("button").disabled = false;
}
