// What limits would have raised: in words, against the ward's budget, with a bar for each hour.
import { moment } from "../app/clock.js";
import { number } from "../app/format.js";
import { t } from "../app/i18n.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, BASE] = [960, 150, 126];
const HOUR_MS = 3600000;

/** Of several questions only the last is answered: an earlier one may take longer. */
let latest = 0;

/** Ask the server, and show its answer in the section. limits: proposed; none: those in force. */
export async function tryLimits(section, path, limits) {
  const [said, plot] = [section.querySelector("#trial-said"), section.querySelector("#trial-plot")];
  const days = Number(section.querySelector("[data-days][aria-pressed=true]").dataset.days);
  said.textContent = t("trial.busy");
  plot.replaceChildren();
  const mine = ++latest;
  section.scrollIntoView({ block: "nearest" });
  try {
    const answer = await fetch(`${path}/backtest`, {
      method: "POST", body: JSON.stringify({ limits, days }), headers: { "content-type": "application/json" },
    });
    const body = await answer.json();
    if (mine !== latest) return;
    if (!answer.ok) said.textContent = t("act.failed", { why: body.expected || body.detail || body.title });
    else show(said, plot, body, limits.length > 0);
  } catch {
    if (mine === latest) said.textContent = t("act.cut");
  }
}

function show(said, plot, body, proposed) {
  if (body.patient_days === 0) {
    said.textContent = t("trial.none");
    return;
  }
  const { proposed: then, in_force: now } = body;
  const parts = {
    from: moment(Date.parse(body.begin)), to: moment(Date.parse(body.end)), covered: body.covered, patients: body.patients,
    n: then.raised, high: then.high, now: now.raised, now_high: now.high,
  };
  const verdict = document.createElement("b");
  verdict.className = "verdict";
  verdict.dataset.within = then.within_budget;
  verdict.textContent = t(then.within_budget ? "trial.within" : "trial.beyond");
  const rate = t("trial.rate", {
    days: number(body.patient_days, 1), each: number(then.each_day, 2), high: number(then.each_day_high, 2),
    budget: number(body.budget_each_day, 1), budget_high: number(body.budget_each_day_high, 1),
  });
  const who = then.patients.slice(0, 5).map(([name, n]) => `${name} (${n})`).join(", ");
  const most = body.patients > 1 && who ? ` ${t("trial.patients", { who })}` : "";
  said.replaceChildren(t(proposed ? "trial.sentence" : "trial.same", parts), " ", verdict, ` ${rate}${most}`);
  if (then.raised || now.raised) plot.replaceChildren(bars(body, proposed));
}

/** A bar of each hour: proposed filled, in force as an outline behind it. */
function bars({ begin, proposed, in_force: now }, both) {
  const most = Math.max(1, ...proposed.hours, ...now.hours);
  const width = WIDTH / proposed.hours.length;
  const figure = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t("trial.hour", { most }) });
  const rect = (n, i, kind) => {
    const height = (BASE - 4) * n / most;
    return make("rect", { x: i * width, y: BASE - height, width: Math.max(1, width - 1), height, class: kind });
  };
  proposed.hours.forEach((n, i) => {
    const group = make("g");
    if (both && now.hours[i]) group.append(rect(now.hours[i], i, "now"));
    if (n) group.append(rect(n, i, "then"));
    const title = make("title");
    title.textContent = t("trial.at", { time: moment(Date.parse(begin) + i * HOUR_MS), n, now: now.hours[i] });
    group.append(title);
    figure.append(group);
  });
  figure.append(make("path", { d: `M0 ${BASE}H${WIDTH}`, class: "base" }));
  const label = make("text", { x: 0, y: HEIGHT - 4 });
  label.textContent = `${t("trial.hour", { most })}${both ? ` · ■ ${t("trial.proposed")} □ ${t("trial.in_force")}` : ""}`;
  figure.append(label);
  return figure;
}

function make(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
