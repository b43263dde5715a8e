// Twelve hours of each row's worst vital, asked for the rows in view every few minutes.
import { signals } from "../app/about.js";
import { number } from "../app/format.js";
import { t } from "../app/i18n.js";

const SVG = "http://www.w3.org/2000/svg";
const EVERY_MS = 300000;
const MOST = 60;
const [WIDTH, HEIGHT, PAD] = [96, 28, 3];

/** Draws into the rows of the ward while they are in view. */
export class Sparks {
  constructor() {
    this.seen = new Map();
    this.asked = new Map();
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.seen.set(target.dataset.id, target);
        else this.seen.delete(target.dataset.id);
      }
    }, { rootMargin: "300px" });
    this.rows = new WeakSet();
  }

  watch(element) {
    if (this.rows.has(element)) return;
    this.rows.add(element);
    this.observer.observe(element);
  }

  /** Ask for those in view that are due; called each second or so. */
  async tick() {
    const at = performance.now();
    const due = [...this.seen.keys()].filter((id) => at - (this.asked.get(id) ?? -Infinity) >= EVERY_MS).slice(0, MOST);
    if (!due.length || document.hidden) return;
    for (const id of due) this.asked.set(id, at);
    const query = new URLSearchParams(due.map((id) => ["patient", id]));
    const answer = await fetch(`/api/v1/sparks?${query}`).catch(() => null);
    if (!answer?.ok) return;
    for (const [id, spark] of Object.entries((await answer.json()).sparks)) {
      const element = this.seen.get(id)?.querySelector(".spark");
      if (element) draw(element, spark);
    }
  }
}

/** A line with its gaps left open; a lone point is a dash as long as its hour would be, to be seen. */
function draw(element, { signal, line }) {
  const known = line.filter((value) => value !== null);
  const { least, unit, decimals } = signals.get(signal);
  const name = t(`short.${signal}`);
  if (!known.length) {
    element.replaceChildren();
    element.setAttribute("aria-hidden", "true");
    return;
  }
  const [bottom, top] = [Math.min(...known), Math.max(...known)];
  const middle = (top + bottom) / 2;
  const height = Math.max(top - bottom, least);
  const x = (i) => (i + 0.5) * WIDTH / line.length;
  const y = (value) => HEIGHT / 2 - (value - middle) / height * (HEIGHT - 2 * PAD);
  let path = "";
  line.forEach((value, i) => {
    if (value === null) return;
    const begins = i === 0 || line[i - 1] === null;
    path += `${begins ? "M" : "L"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    if (begins && (line[i + 1] ?? null) === null) path += `m-3 0h6`;
  });
  const drawn = document.createElementNS(SVG, "path");
  drawn.setAttribute("d", path);
  const title = document.createElementNS(SVG, "title");
  const say = (value) => number(value, decimals);
  title.textContent = t("ward.spark_said", { name, low: say(bottom), high: say(top), unit });
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", title.textContent);
  element.removeAttribute("aria-hidden");
  element.replaceChildren(title, drawn);
}
