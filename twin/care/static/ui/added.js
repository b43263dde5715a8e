// Vitals that the patient had not yet when the page was made: loaded when the first comes.
import { signals } from "../app/about.js";
import { t } from "../app/i18n.js";

/** A section for each of these codes that has none, at its place; returns their vitals. */
export function added(codes, charts, adopt) {
  const list = document.getElementById("vitals");
  const order = [...signals.keys()];
  document.getElementById("waiting").hidden = true;
  return codes.filter((code) => !charts.has(code)).map((code) => {
    const section = document.getElementById("vital").content.firstElementChild.cloneNode(true);
    section.dataset.code = code;
    section.querySelector("h2").textContent = t(`signal.${code}`);
    section.querySelector(".unit").textContent = signals.get(code).unit;
    const after = [...list.children].find((other) => order.indexOf(other.dataset.code) > order.indexOf(code));
    list.insertBefore(section, after ?? null);
    adopt(section);
    return charts.get(code);
  });
}
