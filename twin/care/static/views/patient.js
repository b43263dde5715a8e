// One patient: a chart for each vital, one time for all of them, live or in the past.
import { about, signals } from "../app/about.js";
import { needed } from "../app/act.js";
import { now } from "../app/clock.js";
import { age, edges, put, words } from "../app/format.js";
import { fresh } from "../app/fresh.js";
import { t } from "../app/i18n.js";
import { schedule } from "../app/store.js";
import { VitalChart } from "../ui/chart.js";

const MINUTE = 60000;
const HOUR = 60 * MINUTE;
const RANGES = { "15m": 15 * MINUTE, "1h": HOUR, "4h": 4 * HOUR, "12h": 12 * HOUR, "24h": 24 * HOUR, "72h": 72 * HOUR, "7d": 168 * HOUR };
const SHORTEST = 10000;
/** So many live points on a history: ask for it anew, in buckets. */
const MOST_APPENDED = 900;
/** The store is a few seconds behind the stream. */
const STORE_LAG_MS = 4000;

const element = (id) => document.getElementById(id);

export function open(store) {
  const charts = new Map();
  const forecasts = new Map(); // code → the newest, by horizon
  let cone = null; // ui/cone.js, once something is forecast
  const asked = new URLSearchParams(location.search);
  let span = RANGES[asked.get("r")] ?? HOUR;
  let to = null; // null: live
  let raw = null; // null: by the length of the period
  let request = new AbortController();
  let supposed = 0; // until when, by a scenario

  const [from0, to0] = [Number(asked.get("from")), Number(asked.get("to"))];
  if (from0 > 0 && to0 - from0 >= SHORTEST) [span, to] = [to0 - from0, to0];

  for (const section of element("vitals").children) adopt(section);
  for (const box of document.querySelectorAll("details.entry")) {
    box.hidden = false;
    box.addEventListener("toggle", async () => (await import(`../ui/${box.id}.js`)).install(box, charts, async (until) => {
      cone ??= await import("../ui/cone.js");
      supposed = until;
      schedule(drawn);
    }), { once: true });
  }
  element("raw").addEventListener("change", (event) => { raw = event.target.checked; schedule(drawn); });
  element("smooth").addEventListener("change", afterwards);
  for (const button of document.querySelectorAll("[data-range]")) {
    button.addEventListener("click", () => go(RANGES[button.dataset.range], to));
  }
  element("earlier").addEventListener("click", () => go(span, (to ?? now()) - span / 2));
  element("later").addEventListener("click", () => go(span, to === null ? null : to + span / 2));
  element("return").addEventListener("click", () => go(span, null));
  document.querySelector(".times").hidden = false;
  go(span, to);

  function adopt(section) {
    const { code } = section.dataset;
    const chart = new VitalChart(section, signals.get(code), (from, until) => go(Math.max(SHORTEST, until - from), until));
    const part = (name) => section.querySelector(`header .${name}`);
    charts.set(code, {
      code, section, chart,
      value: part("value"), arrow: part("arrow"), band: part("band"), age: part("age"), word: part("word"), ahead: part("ahead"),
    });
  }

  /** Show `length` ms up to `end`; null, or an end not yet reached: live. */
  function go(length, end) {
    span = Math.min(length, RANGES["7d"]);
    to = end === null || end >= now() ? null : end;
    const live = to === null;
    document.body.classList.toggle("history", !live);
    element("mode").firstElementChild.textContent = t(live ? "patient.live" : "patient.history");
    element("return").hidden = live;
    element("later").disabled = live;
    for (const button of document.querySelectorAll("[data-range]")) button.ariaPressed = String(RANGES[button.dataset.range] === span);
    const query = new URLSearchParams(location.search);
    for (const name of ["r", "from", "to"]) query.delete(name);
    const named = Object.keys(RANGES).find((name) => RANGES[name] === span);
    if (live && named) query.set("r", named);
    else if (!live) {
      query.set("from", Math.round(to - span));
      query.set("to", Math.round(to));
    }
    history.replaceState(null, "", `?${query}`);
    for (const { chart } of charts.values()) chart.at = null;
    request.abort();
    request = new AbortController();
    load(charts.values());
    if (element("smooth").checked) afterwards();
    schedule(drawn);
  }

  /** What is shown, as it looks afterwards; it does not move on with the live page. */
  async function afterwards() {
    const { smoothed } = await import("../ui/smoothed.js");
    await smoothed(charts.values(), element("smooth").checked, element("smooth-said"), ...period(), request.signal);
    schedule(drawn);
  }

  function load(some) {
    const end = Math.round(to ?? now() + 1000);
    for (const { code, chart } of some) fetchHistory(code, chart, end, request.signal);
  }

  async function fetchHistory(code, chart, end, signal) {
    const points = Math.min(1440, Math.max(100, Math.round(chart.plot.clientWidth)));
    const query = `from=${Math.round(end - span)}&to=${end}&points=${points}`;
    chart.series.loading();
    try {
      const answer = await fetch(`/api/v1/patients/${encodeURIComponent(about.patient)}/signals/${code}?${query}`, { signal });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      chart.set(await answer.json());
      const [from, until] = period();
      chart.draw(from, until, dots(), until + foreseen(now()));
      chart.say(null);
    } catch (error) {
      if (error.name !== "AbortError") chart.fail(() => load([charts.get(code)]));
    }
  }

  function period() {
    const end = to ?? now();
    return [end - span, end];
  }

  function dots() {
    const shown = raw ?? span <= 4 * HOUR;
    element("raw").checked = shown;
    return shown;
  }

  const judged = fresh("judged", "journal");
  const note = element("note");
  note.hidden = false;
  for (const kind of ["focusin", "keydown", "click"]) note.addEventListener(kind, async (event) => (await needed(import("../ui/note.js")))?.heard(event, note, () => judged("al")));
  loadLimits();

  /** Limits in force, for the charts; asked again with each new picture. */
  async function loadLimits() {
    const answer = await fetch(`/api/v1/patients/${encodeURIComponent(about.patient)}/limits`).catch(() => null);
    if (!answer?.ok) return;
    const { enabled, limits } = await answer.json();
    for (const { code, chart } of charts.values()) chart.limits = enabled ? limits.filter(({ signal }) => signal === code) : [];
    schedule(drawn);
  }

  function told(name, body) {
    judged(name);
    const others = body.viewers?.filter((who) => who !== (about.name ?? ""));
    if (others) put(element("viewers"), others.length ? t("patient.viewers", { who: others.map((who) => who || t("who.none")).join(", ") }) : "");
    for (const [code, list] of Object.entries(body.forecasts ?? {})) forecasts.set(code, list);
    if (forecasts.size && cone === null) import("../ui/cone.js").then((module) => { cone = module; });
    if (name === "snap") {
      loadLimits();
      if (to === null) load(charts.values());
      setTimeout(() => to === null && load(charts.values()), STORE_LAG_MS);
    }
    if (name !== "d" || to !== null) return;
    if (body.reload) load(charts.values());
    const codes = new Set([...Object.keys(body.estimates ?? {}), ...Object.keys(body.observations ?? {})]);
    for (const code of codes) {
      const chart = charts.get(code)?.chart;
      if (chart === undefined) continue;
      chart.series.append(body.estimates?.[code] ?? [], body.observations?.[code] ?? []);
      if (chart.series.appended > MOST_APPENDED) load([charts.get(code)]);
    }
  }

  function drawn() {
    const patient = store.patients.get(about.patient);
    const at = now();
    if (patient !== undefined) {
      put(element("label"), patient.label || patient.id);
      const more = [...patient.cells.keys()].filter((code) => !charts.has(code));
      if (more.length) import("../ui/added.js").then(({ added }) => load(added(more, charts, adopt)));
      for (const vital of charts.values()) head(vital, patient.cells.get(vital.code), at);
    }
    const [from, end] = period();
    const shown = dots();
    if (to === null || store.dirty.size === 0) {
      const ahead = foreseen(at);
      for (const { chart } of charts.values()) chart.draw(from, end, shown, end + ahead);
    }
    store.dirty.clear();
  }

  /** How far to look ahead, ms; the charts get what is expected of their vitals. */
  const foreseen = (at) => (cone ? cone.foreseen(charts.values(), forecasts, to === null, at, span, supposed) : 0);

  function head({ section, value, arrow, band, age: old, word }, cell, at) {
    if (cell === undefined) return;
    const said = words(cell, at);
    section.dataset.status = said.status;
    put(value, said.value);
    if (arrow.textContent !== said.arrow) {
      arrow.textContent = said.arrow;
      arrow.hidden = said.arrow === "";
      arrow.ariaLabel = said.trend;
    }
    const [low, high] = edges(cell);
    put(band, said.arrow === "" ? "" : t("band.95", { low, high }));
    put(old, t("age.ago", { age: age((at - cell.asOf) / 1000) }));
    put(word, t(`status.${said.status}`));
  }

  function write() {
    const words = note.elements.value;
    words.scrollIntoView({ block: "center" });
    words.focus();
  }

  function table() {
    const section = document.activeElement?.closest(".vital");
    const details = section?.querySelector("details");
    if (details) details.open = !details.open;
  }

  const alarm = () => (document.activeElement?.closest("[data-alarm]") ?? document.querySelector("#judged [data-alarm]"))?.dataset.alarm;
  const keys = { l: () => go(span, null), t: table, n: write, Escape: () => location.assign("/") };
  Object.keys(RANGES).forEach((name, i) => { keys[i + 1] = () => go(RANGES[name], to); });
  return { drawn, told, keys, alarm };
}
