// Limits of the ward or of one patient: a row is chosen, changed, tried on the past, set by name.
import { about } from "../app/about.js";
import { named, post } from "../app/act.js";
import { fresh } from "../app/fresh.js";

/** Loaded when first asked for: most who look only read. */
const tryLimits = async (...asked) => (await import("../ui/trial.js")).tryLimits(...asked);

export function open() {
  const form = document.getElementById("limits");
  const path = about.patient ? `/api/v1/patients/${encodeURIComponent(about.patient)}/limits` : "/api/v1/limits";
  const renew = fresh("fresh");
  const trial = document.getElementById("trial");
  const keys = { Escape: () => location.assign(about.patient ? `/p/${encodeURIComponent(about.patient)}` : "/") };
  if (form === null) return { told() {}, drawn() {}, keys }; // no alarms, hence no limits to set
  form.hidden = false;
  trial.hidden = false;
  document.getElementById("fresh").addEventListener("click", (event) => {
    const row = event.target.closest(".change")?.closest("tr");
    if (!row) return;
    const { signal, priority, low, high, delay } = row.dataset;
    for (const [name, value] of Object.entries({ signal, priority, low, high, delay_s: delay })) form.elements[name].value = value;
    form.scrollIntoView({ block: "nearest" });
    form.elements.low.focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send({});
  });
  document.getElementById("remove").addEventListener("click", () => send({ remove: true }));
  document.getElementById("try").addEventListener("click", () => {
    const { signal, priority, low, high, delay_s } = said();
    tryLimits(trial, path, [{ signal, priority, low, high, delay_s }]);
  });
  document.getElementById("try-all").addEventListener("click", () => tryLimits(trial, path, []));
  for (const button of trial.querySelectorAll("[data-days]")) {
    button.addEventListener("click", () => {
      for (const other of trial.querySelectorAll("[data-days]")) other.setAttribute("aria-pressed", String(other === button));
    });
  }

  /** What stands in the form, empty fields left out. */
  function said() {
    const body = {};
    for (const input of form.querySelectorAll("input, select")) {
      if (input.value === "") continue;
      body[input.name] = input.type === "number" ? Number(input.value) : input.value;
    }
    return body;
  }

  async function send(more) {
    if (!(await named())) return;
    if (await post(path, { ...more, ...said() }, "PUT")) renew("al");
  }

  return { told: renew, drawn() {}, keys };
}
