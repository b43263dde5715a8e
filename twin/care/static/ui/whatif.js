// What would be, if declared effects were true: asked of a copy of the twin and drawn beside the
// forecast, with the server's watermark on every picture. Nothing of it is kept; it ends with the page.
import { about, signals } from "../app/about.js";
import { moment } from "../app/clock.js";
import { number } from "../app/format.js";
import { t } from "../app/i18n.js";

const Z95 = 1.96;
/** What comes after what, in one effect. */
const ORDER = [["begins_s", "ends_s"], ["onset_s", "decay_s"]];
const STEPS = 120;

/**
 * Called when the box was opened first.
 * @param {HTMLElement} box
 * @param {Map} charts code → {section, chart} of the page
 * @param {(until: number) => void} show draw again, as far ahead as this, epoch ms
 */
export function install(box, charts, show) {
  const form = box.querySelector("form");
  const [said, scroll] = [box.querySelector("[role=status]"), box.querySelector(".scroll")];
  const away = form.querySelector(".away");
  for (const code of charts.keys()) form.querySelector("[name=signal]").append(new Option(`${t(`signal.${code}`)} (${signals.get(code).unit})`, code));
  const lost = form.querySelector("[data-kind=lost]");
  for (const link of document.querySelectorAll(".worn a")) lost.append(tick(link.textContent));
  lost.hidden = !lost.querySelector("input");

  form.addEventListener("input", () => form.querySelectorAll("[data-kind]").forEach(check));
  form.addEventListener("click", ({ target }) => {
    if (target.dataset.do === "more") another(target);
    if (target.dataset.do === "less") target.closest("fieldset").remove();
  });
  let latest = 0; // of several questions only the last is answered: an earlier one may take longer
  away.addEventListener("click", () => {
    latest += 1;
    take(null);
    said.textContent = "";
    form.querySelector("input").focus();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const asked = declared(form);
    if (!asked) return (said.textContent = t("whatif.nothing"));
    said.textContent = t("trial.busy");
    const mine = ++latest;
    try {
      const found = await ask(asked);
      const plain = await ask({ ...asked, activity: [], drug: [], lost: [] });
      if (mine !== latest) return;
      take(found, plain, asked.lost.length > 0);
    } catch (error) {
      if (mine !== latest) return;
      take(null);
      said.textContent = error instanceof Refused ? t("act.failed", { why: error.message }) : t("act.cut");
    }
  });

  /** Show the answer beside what was to be expected anyway, or (null) nothing. */
  function take(found, plain, known) {
    let until = 0;
    const rows = [];
    for (const [code, { section, chart }] of charts) {
      section.querySelector(".whatif")?.remove();
      const [curve, base] = [found?.signals[code], plain?.signals[code]];
      const at = curve && base && differs(curve, base);
      chart.whatif = at === undefined || at < 0 ? null : new Layer(curve, mark(found), known);
      if (!chart.whatif) continue;
      until = curve.time.at(-1);
      const words = parts(curve, base, at, signals.get(code));
      const line = document.createElement("p");
      line.className = "whatif";
      line.textContent = `${mark(found)}${t("whatif.words", words)}`;
      section.querySelector("header").after(line);
      rows.push([t(`signal.${code}`), words.time, words.then, words.plain, known ? `± ${words.known} / ± ${words.known_plain}` : "—"]);
    }
    scroll.hidden = !rows.length;
    away.hidden = !rows.length;
    scroll.querySelector("tbody").replaceChildren(...rows.map(line));
    if (found) {
      scroll.querySelector("caption").textContent = mark(found);
      said.textContent = rows.length ? `${mark(found)}. ${t("whatif.shown", { n: rows.length })}` : t("whatif.same");
    }
    show(until);
  }
}

class Refused extends Error {}

async function ask(body) {
  const answer = await fetch(`/api/v1/patients/${encodeURIComponent(about.patient)}/scenario`, {
    method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" },
  });
  const said = await answer.json();
  if (!answer.ok) throw new Refused(said.expected || said.title);
  return said;
}

/** The watermark in the page's language. */
const mark = (found) => found.watermark[about.language];

/** The form as the API takes it; null: nothing is declared. */
function declared(form) {
  const horizon_s = Number(form.elements.horizon_s.value);
  const effects = (kind) => [...form.querySelectorAll(`[data-kind=${kind}]`)].map(effect).filter(Boolean);
  const lost = [...form.querySelectorAll("[name=lost]:checked")].map(({ value }) => value);
  const asked = { horizon_s, step_s: horizon_s / STEPS, activity: effects("activity"), drug: effects("drug"), lost };
  return asked.activity.length + asked.drug.length + lost.length ? asked : null;
}

/** What stands in one effect, minutes as seconds; null where what it needs is empty. */
function effect(fieldset) {
  const body = {};
  for (const { name, type, value } of fieldset.querySelectorAll("[name]")) {
    if (value !== "") body[name] = type === "number" ? Number(value) * (name.endsWith("_s") ? 60 : 1) : value;
  }
  return fieldset.dataset.needs in body ? body : null;
}

/** What goes with what, and what comes after what. */
function check(fieldset) {
  const part = (name) => fieldset.querySelector(`[name=${name}]`);
  for (const input of fieldset.querySelectorAll("[data-with]")) input.required = part(input.dataset.with).value !== "";
  for (const [first, then] of ORDER) {
    const [one, other] = [part(first), part(then)];
    if (one && other) other.setCustomValidity(Number(one.value) < Number(other.value) ? "" : t("whatif.order"));
  }
}

/** One more of the same kind, empty, that can be removed. */
function another(button) {
  const fieldset = button.closest("fieldset");
  const copy = fieldset.cloneNode(true);
  const less = copy.querySelector("button");
  less.dataset.do = "less";
  less.textContent = t("whatif.less");
  fieldset.after(copy);
  copy.querySelector("input").focus();
}

function tick(device) {
  const [label, box] = [document.createElement("label"), document.createElement("input")];
  Object.assign(box, { type: "checkbox", name: "lost", value: device });
  label.className = "raw";
  label.append(box, ` ${device}`);
  return label;
}

function line(words) {
  const row = document.createElement("tr");
  words.forEach((text, i) => {
    const cell = document.createElement(i ? "td" : "th");
    if (!i) cell.scope = "row";
    cell.textContent = text;
    row.append(cell);
  });
  return row;
}

/** Where the curve is furthest from what was to be expected; −1: nowhere. */
function differs(curve, base) {
  const apart = (name) => curve[name].map((value, i) => Math.abs(value - (base[name][i] ?? value)));
  for (const name of ["mean", "known_std"]) {
    const all = apart(name);
    const most = Math.max(...all);
    if (most > 1e-9) return all.indexOf(most);
  }
  return -1;
}

function parts(curve, base, i, signal) {
  const say = (value) => number(value, signal.decimals);
  const told = (of) => `${say(of.mean[i])} (${say(of.lo95[i])}–${say(of.hi95[i])})`;
  const known = (of) => number(Z95 * of.known_std.at(-1), signal.decimals + 1);
  return { time: moment(curve.time[i]), unit: signal.unit, then: told(curve), plain: told(base), known: known(curve), known_plain: known(base) };
}

class Layer {
  /** known: with how well the twin will know the value by then, for a device that is lost. */
  constructor(curve, watermark, known) {
    Object.assign(this, { curve, watermark, known });
  }

  /** [low, high] that also holds the curve, as far as the chart shows it. */
  widen(low, high, end) {
    const { time, lo95, hi95 } = this.curve;
    const seen = time.map((at, i) => i).filter((i) => time[i] <= end);
    return [Math.min(low, ...seen.map((i) => lo95[i])), Math.max(high, ...seen.map((i) => hi95[i]))];
  }

  draw(u) {
    const { ctx, bbox } = u;
    const { time, mean, lo95, hi95, known_std } = this.curve;
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--whatif").trim();
    const points = (of) => time.map((at, i) => [u.valToPos(at, "x", true), u.valToPos(of[i], "y", true)]);
    const beyond = (sign) => mean.map((value, i) => value + sign * Z95 * known_std[i]);
    const path = (forth, back = []) => {
      ctx.beginPath();
      for (const point of [...forth, ...back.toReversed()]) ctx.lineTo(...point);
    };
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.strokeStyle = ctx.fillStyle = colour;
    const bands = [[lo95, hi95, 0.1], ...this.known ? [[beyond(-1), beyond(1), 0.2]] : []];
    for (const [low, high, alpha] of bands) {
      ctx.globalAlpha = alpha;
      path(points(low), points(high));
      ctx.fill();
    }
    ctx.globalAlpha = 1;
    for (const [of, width, dash] of [[lo95, 1, [2, 3]], [hi95, 1, [2, 3]], [mean, 2, [8, 3, 2, 3]]]) {
      ctx.lineWidth = width * devicePixelRatio;
      ctx.setLineDash(dash.map((each) => each * devicePixelRatio));
      path(points(of));
      ctx.stroke();
    }
    ctx.textAlign = "right";
    ctx.textBaseline = "bottom";
    ctx.font = `700 ${12 * devicePixelRatio}px system-ui, sans-serif`;
    this.watermark.split(" – ").toReversed().forEach((text, i) => ctx.fillText(text, bbox.left + bbox.width - 4, bbox.top + bbox.height - (2 + 14 * i) * devicePixelRatio));
    ctx.restore();
  }
}
