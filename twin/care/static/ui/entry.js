// What people saw and measured themselves: one command for each field that was filled in.
import { about } from "../app/about.js";
import { named, post } from "../app/act.js";

const path = `/api/v1/patients/${encodeURIComponent(about.patient)}/entries`;

/** The note's form; returns what brings it up. written: called when one was taken. */
export function installNote(written) {
  const form = document.getElementById("note");
  const words = form.elements.value;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
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

export function install() {
  const box = document.getElementById("entry");
  if (box === null) return;
  const form = box.querySelector("form");
  box.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = [...new FormData(form)].filter(([, value]) => value !== "");
    if (!said.length || !(await named())) return;
    for (const [kind, text] of said) {
      const value = form.elements[kind].type === "number" ? Number(text) : text;
      if (!(await post(path, { kind, value }))) return;
      form.elements[kind].value = "";
    }
  });
  document.getElementById("validate").addEventListener("click", async () => {
    if (await named()) post(path, { kind: "validated" });
  });
}
