// A note on the patient: words for the journal, by name.
import { about } from "../app/about.js";
import { named, post } from "../app/act.js";

/** The note's form; returns what brings it up. written: called when one was taken. */
export function install(written) {
  const form = document.getElementById("note");
  const words = form.elements.value;
  form.hidden = false;
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
  return () => {
    words.scrollIntoView({ block: "center" });
    words.focus();
  };
}
