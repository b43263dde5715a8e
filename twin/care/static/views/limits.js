// Limits of the ward or of one patient: a row is chosen, changed, and set by name.
import { about } from "../app/about.js";
import { named, post } from "../app/act.js";
import { fresh } from "../app/fresh.js";

export function open() {
  const form = document.getElementById("limits");
  const path = about.patient ? `/api/v1/patients/${encodeURIComponent(about.patient)}/limits` : "/api/v1/limits";
  const renew = fresh("fresh");
  form.hidden = false;
  document.getElementById("fresh").addEventListener("click", (event) => {
    const row = event.target.closest(".change")?.closest("tr");
    if (!row) return;
    const { signal, priority, low, high, delay } = row.dataset;
    for (const [name, value] of Object.entries({ signal, priority, low, high, delay_s: delay })) form.elements[name].value = value;
    form.elements.low.focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send({});
  });
  document.getElementById("remove").addEventListener("click", () => send({ remove: true }));

  async function send(more) {
    if (!(await named())) return;
    const body = { ...more };
    for (const input of form.querySelectorAll("input, select")) {
      if (input.value === "") continue;
      body[input.name] = input.type === "number" ? Number(input.value) : input.value;
    }
    if (await post(path, body, "PUT")) renew("al");
  }

  return { told: renew, drawn() {}, keys: { Escape: () => location.assign(about.patient ? `/p/${encodeURIComponent(about.patient)}` : "/") } };
}
