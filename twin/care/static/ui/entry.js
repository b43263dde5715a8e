// What people saw and measured themselves: one command for each field that was filled in.
import { about } from "../app/about.js";
import { named, post } from "../app/act.js";

/** Called when the box was opened first; its buttons work from then on. */
export function install(box) {
  const form = box.querySelector("form");
  const path = `/api/v1/patients/${encodeURIComponent(about.patient)}/entries`;
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
  for (const button of form.querySelectorAll("button")) button.disabled = false;
}
