// Alarms as the stream told them, their words (as twin/care/alarm_words.py has them; a test compares
// the two), and what of them stands on every page: strip, counts, what is said aloud.
import { about, signals } from "./about.js";
import { clock, now } from "./clock.js";
import { age, number, put } from "./format.js";
import { plural, t } from "./i18n.js";
import { sounding } from "./sound.js";

export const SYMBOLS = { high: "***", medium: "**", low: "*", none: "i" };
const PRIORITIES = ["high", "medium", "low", "none"];
const OPEN = new Set(["active", "acknowledged", "latched"]);
/** Announcements at most so often. */
const SAY_MS = 5000;

const strip = document.getElementById("strip");
const counts = document.getElementById("counts");
const alert = document.getElementById("alert");

/** id → alarm, those that are not over. */
export const alarms = new Map();
let told = false;
let said = -Infinity;
let announced = "";

/** Take a `snap`, `alarms` or `al`. */
export function take(name, body) {
  if (name === "snap" || name === "alarms") {
    alarms.clear();
    told = true;
  }
  for (const alarm of body.alarms ?? []) {
    if (OPEN.has(alarm.state)) alarms.set(alarm.id, { ...alarm, sinceMs: Date.parse(alarm.since) });
    else alarms.delete(alarm.id);
  }
}

/** Nobody's first, then by priority, then the oldest. */
export function byUrgency(a, b) {
  return (b.unanswered - a.unanswered)
    || PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority) || a.sinceMs - b.sinceMs;
}

/** patient → its alarms, the most urgent first. */
export function byPatient() {
  const found = new Map();
  for (const alarm of [...alarms.values()].sort(byUrgency)) {
    if (!found.has(alarm.patient)) found.set(alarm.patient, []);
    found.get(alarm.patient).push(alarm);
  }
  return found;
}

export const waiting = () => [...alarms.values()].filter((a) => a.unanswered).sort(byUrgency);

/** The id of the alarm that keys act on. Until the stream has told any, the one that the page came with. */
export const first = () => waiting()[0]?.id ?? (told ? undefined : strip.dataset.first);

export function what(alarm) {
  if (alarm.kind === "technical") {
    const key = `cause.${alarm.cause}`;
    const text = key in about.words ? t(key) : alarm.cause;
    return alarm.count > 1 ? `${text} (${alarm.count})` : text;
  }
  const signal = signals.get(alarm.signal);
  const name = signal ? t(`short.${alarm.signal}`) : t("news2.name");
  const say = (value) => number(value, signal?.decimals ?? 0);
  const sign = alarm.side === "low" ? "<" : signal ? ">" : "≥";
  return `${name} ${say(alarm.worst)} ${sign} ${say(alarm.limit)}`;
}

export function how(alarm) {
  if (alarm.state === "latched") return t("alarm.latched");
  const parts = [];
  if (alarm.paused_until) parts.push(t("alarm.paused", { time: clock(Date.parse(alarm.paused_until)).slice(0, 5) }));
  else if (alarm.taken_by) parts.push(t("alarm.taken", { name: alarm.taken_by }));
  else parts.push(t(alarm.kind === "advisory" ? "alarm.advisory" : "alarm.not_taken"));
  if (alarm.unverified) parts.push(t("alarm.unverified"));
  if (alarm.escalation && alarm.unanswered) parts.push(t(`escalation.${alarm.escalation}`));
  parts.push(age((now() - alarm.sinceMs) / 1000));
  return parts.join(" · ");
}

/** Fill an `.alarm` element (pages/row.html) with the first of a patient's alarms, or hide it. */
export function fill(element, own) {
  const alarm = own[0];
  if (element.hidden !== (alarm === undefined)) element.hidden = alarm === undefined;
  if (alarm === undefined) return;
  const part = (name) => element.querySelector(`.${name}`);
  mark(element, { alarm: alarm.id, priority: alarm.priority, shown: alarm.shown, unanswered: alarm.unanswered ? "" : undefined });
  const link = part("told");
  const href = `/alarms/${encodeURIComponent(alarm.id)}`;
  if (link.getAttribute("href") !== href) link.setAttribute("href", href);
  put(part("symbol"), SYMBOLS[alarm.priority]);
  put(part("what"), what(alarm));
  put(part("more"), own.length > 1 ? t("alarm.more", { n: own.length - 1 }) : "");
  put(part("how"), how(alarm));
  const button = part("take");
  if (button.hidden === alarm.unanswered) button.hidden = !alarm.unanswered;
}

/** data-* of an element; undefined takes one away. Written only where it differs. */
export function mark(element, values) {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) delete element.dataset[name];
    else if (element.dataset[name] !== value) element.dataset[name] = value;
  }
}

/** Strip, counts, sound, and what a screen reader says. labels: patient → label. */
export function drawn() {
  const waits = waiting();
  for (const item of counts.children) {
    const { priority } = item.dataset;
    const n = waits.filter((a) => a.priority === priority).length;
    if (item.dataset.n === String(n)) continue;
    item.dataset.n = n;
    item.querySelector("b").textContent = n;
    item.querySelector(".sr").textContent = t("counts.one", { priority: t(`priority.${priority}`), n });
  }
  sounding(waits[0]?.priority);
  drawStrip(waits);
  announce(waits);
}

function drawStrip(waits) {
  const first = waits[0];
  strip.hidden = first === undefined;
  if (first === undefined) return;
  if (strip.dataset.alarm !== first.id) {
    const link = document.createElement("a");
    link.href = `/alarms/${encodeURIComponent(first.id)}`;
    for (const [tag, name] of [["span", "symbol"], ["b", "whom"], ["span", "what"], ["span", "how"]]) {
      const element = document.createElement(tag);
      element.className = name;
      link.append(element, " ");
    }
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "take", textContent: t("act.acknowledge"), title: t("act.acknowledge_hint") });
    button.dataset.act = "acknowledge";
    const more = document.createElement("span");
    more.className = "more";
    strip.replaceChildren(link, button, " ", more);
  }
  mark(strip, { alarm: first.id, priority: first.priority, unanswered: "" });
  const part = (name) => strip.querySelector(`.${name}`);
  put(part("symbol"), SYMBOLS[first.priority]);
  put(part("whom"), first.label || first.patient);
  put(part("what"), what(first));
  put(part("how"), how(first));
  put(part("more"), waits.length > 1 ? plural("strip.more", waits.length - 1) : "");
}

/** Each new high alarm once, at most one in 5 s. */
function announce(waits) {
  const first = waits.find((a) => a.priority === "high");
  if (first === undefined) announced = "";
  if (first === undefined || first.id === announced || performance.now() - said < SAY_MS) return;
  said = performance.now();
  announced = first.id;
  alert.textContent = t("strip.said", { priority: t("priority.high"), who: first.label || first.patient, what: what(first) });
}
