// The one wrapper around uPlot: estimate line over raw dots over the 50 and 95 % bands, and nothing
// at all where nothing is known. A gap is a row of nulls: uPlot draws straight through NaN.
import uPlot from "../vendor/uPlot.esm.js";
import { about } from "../app/about.js";
import { SYMBOLS } from "../app/alarms.js";
import { clock, moment } from "../app/clock.js";
import { number } from "../app/format.js";
import { plural, t } from "../app/i18n.js";

const DAY_MS = 86400000;
const COLUMNS = ["mean", "lo50", "hi50", "lo95", "hi95"];
const day = new Intl.DateTimeFormat("en-CA", { timeZone: about.zone, month: "2-digit", day: "2-digit" });
const TABLE_ROWS = 13;
/** Steps of the vertical axis: none that rounds to a wrong label. */
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

export class VitalChart {
  /**
   * @param {HTMLElement} section of the vital, as the template makes it
   * @param signal of about.signals
   * @param {(from: number, to: number) => void} zoomed somebody dragged over this period
   */
  constructor(section, signal, zoomed) {
    Object.assign(this, { section, signal, zoomed, from: 0, to: 1, raw: true, at: null, limits: [] });
    const part = (name) => section.querySelector(name);
    [this.figure, this.plot, this.note, this.retry, this.spoken, this.table, this.details] = [
      ".figure", ".plot", ".note", ".retry", ".spoken", "tbody", "details"].map(part);
    this.name = section.querySelector("h2").textContent;
    this.read = document.createElement("p");
    this.read.className = "read";
    this.read.setAttribute("aria-hidden", "true");
    this.figure.append(this.read);
    this.clear();
    this.figure.addEventListener("keydown", (event) => this.press(event));
    this.details.addEventListener("toggle", () => this.tabulate());
    this.build();
    new ResizeObserver(() => this.fit()).observe(this.figure);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  clear() {
    this.loaded = false;
    this.gap = this.signal.gap_s * 1000;
    this.time = [];
    for (const name of COLUMNS) this[name] = [];
    this.observations = { time: [], value: [] };
    this.tail = [];
    this.appended = 0;
  }

  /** A history has been asked for: keep what arrives meanwhile. */
  loading() {
    this.tail = [];
  }

  /** Show a history, as /api/v1/patients/…/signals/… gives it. */
  set(body) {
    const { estimates, observations } = body;
    this.loaded = true;
    this.gap = body.gap_s * 1000;
    this.time = estimates.time;
    for (const name of COLUMNS) this[name] = estimates[name];
    this.observations = { time: observations.time, value: observations.value };
    const { tail } = this;
    this.tail = [];
    this.appended = 0;
    for (const [rows, raw] of tail) this.append(rows, raw);
    this.say(null);
  }

  /** The history could not be had: words say so, with a button to try again. */
  fail(again) {
    if (this.loaded) return;
    this.say(t("chart.failed"));
    this.retry.hidden = false;
    this.retry.onclick = again;
  }

  /** Rows of the stream: [time, mean, lo50, hi50, lo95, hi95], and raw [time, value, device]. */
  append(rows, raw) {
    this.tail.push([rows, raw]);
    for (const row of rows) this.take(row);
    const { time, value } = this.observations;
    for (const [at, number_] of raw) {
      time.push(at);
      value.push(number_);
    }
    this.appended += rows.length;
  }

  take(row) {
    const last = this.time.at(-1) ?? -Infinity;
    if (row[0] > last) {
      if (row[0] - last > this.gap && last !== -Infinity) this.push([last + 1]);
      this.push(row);
      return;
    }
    const i = nearest(row[0], this.time);
    if (this.time[i] === row[0]) COLUMNS.forEach((name, c) => { this[name][i] = row[c + 1]; });
  }

  push(row) {
    this.time.push(row[0]);
    COLUMNS.forEach((name, c) => this[name].push(row[c + 1] ?? null));
  }

  /** Show [from, to) in epoch ms; raw: with the dots. */
  draw(from, to, raw) {
    Object.assign(this, { from, to, raw });
    this.range = this.vertical();
    this.uplot.batch(() => {
      this.uplot.setData([this.time, this.hi95, this.lo95, this.hi50, this.lo50, this.mean], false);
      this.uplot.setScale("x", { min: from, max: to });
    });
    if (this.at !== null) this.point(this.at);
    if (this.loaded) this.describe();
  }

  /** What is not drawn is said: loading, empty, failed. */
  say(text) {
    this.retry.hidden = true;
    const empty = this.loaded && !this.visible().length ? t("chart.empty") : "";
    this.note.textContent = text ?? empty;
  }

  /** [low, high] that holds bands and dots in view, never flatter than the signal's noise. */
  vertical() {
    let [low, high] = [Infinity, -Infinity];
    const widen = (at, bottom, top) => {
      if (at < this.from || at > this.to || bottom === null) return;
      low = Math.min(low, bottom);
      high = Math.max(high, top);
    };
    for (let i = 0; i < this.time.length; i++) widen(this.time[i], this.lo95[i], this.hi95[i]);
    const { time, value } = this.observations;
    if (this.raw) for (let i = 0; i < time.length; i++) widen(time[i], value[i], value[i]);
    if (low > high) [low, high] = [this.signal.lower, this.signal.upper];
    const { least } = this.signal;
    if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
    const pad = (high - low) * 0.06;
    return [Math.max(this.signal.lower, low - pad), Math.min(this.signal.upper, high + pad)];
  }

  build() {
    this.uplot?.destroy();
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue(`--${name}`).trim();
    this.dot = colour("raw");
    this.limitColour = colour("limit");
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    const axis = { stroke: colour("axis"), font: "12px system-ui, sans-serif", grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid"), width: 1 } };
    this.uplot = new uPlot({
      width: Math.max(200, this.plot.clientWidth),
      height: this.plot.clientHeight || 190,
      ms: 1,
      tzDate: (ms) => uPlot.tzDate(new Date(ms), about.zone),
      padding: [8, 8, 0, 0],
      scales: { x: { time: true, auto: false }, y: { range: () => this.range ?? [0, 1] } },
      series: [
        {}, { ...edge }, { ...edge }, { ...edge }, { ...edge },
        { stroke: colour("estimate"), width: 2, points: { show: () => false, filter: (u) => this.alone(u), size: 6, fill: colour("estimate") } },
      ],
      bands: [{ series: [1, 2], fill: colour("band95") }, { series: [3, 4], fill: colour("band50") }],
      axes: [
        { ...axis, size: 30, space: 70, values: (_u, splits, _a, _s, step) => splits.map((ms) => tick(ms, step)) },
        { ...axis, size: 48, space: 28, incrs: STEPS, values: (_u, splits) => splits.map((value) => number(value, decimals(splits))) },
      ],
      cursor: { y: false, sync: { key: "twin" }, drag: { x: true, y: false, setScale: false, dist: 8 }, points: { size: 8 } },
      legend: { show: false },
      hooks: {
        drawSeries: [(u, i) => i === 4 && this.under(u)],
        setCursor: [(u) => this.follow(u.cursor.idx)],
        setSelect: [(u) => this.select(u)],
      },
    }, [[], [], [], [], [], []], this.plot);
    this.draw(this.from, this.to, this.raw);
  }

  fit() {
    const [width, height] = [this.plot.clientWidth, this.plot.clientHeight];
    if (width > 0 && (width !== this.uplot.width || height !== this.uplot.height)) this.uplot.setSize({ width, height });
  }

  /** Limits and raw dots, between bands and line. */
  under(u) {
    for (const { priority, low, high } of this.limits) {
      this.limit(u, low, `${SYMBOLS[priority]} < `);
      this.limit(u, high, `${SYMBOLS[priority]} > `);
    }
    if (this.raw) this.dots(u);
  }

  /** A dashed line with its label, where it is in view: a chart is not made flat to show it. */
  limit(u, value, label) {
    if (value === null || value < u.scales.y.min || value > u.scales.y.max) return;
    const { ctx, bbox } = u;
    const y = u.valToPos(value, "y", true);
    ctx.save();
    ctx.strokeStyle = this.limitColour;
    ctx.fillStyle = this.limitColour;
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillText(label + number(value, this.signal.decimals), bbox.left + 4, y - 3 * devicePixelRatio);
    ctx.restore();
  }

  dots(u) {
    const { ctx, bbox } = u;
    const { time, value } = this.observations;
    const size = (this.to - this.from > 4 * 3600000 ? 1 : 1.4) * devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.beginPath();
    for (let i = 0; i < time.length; i++) {
      if (time[i] < this.from || time[i] > this.to || value[i] === null) continue;
      const [x, y] = [u.valToPos(time[i], "x", true), u.valToPos(value[i], "y", true)];
      ctx.moveTo(x + size, y);
      ctx.arc(x, y, size, 0, 7);
    }
    ctx.globalAlpha = 0.7;
    ctx.fillStyle = this.dot;
    ctx.fill();
    ctx.restore();
  }

  /** Estimates with a gap on both sides: a line would not show them. */
  alone() {
    const lone = [];
    for (let i = 0; i < this.mean.length; i++) {
      const near = (this.mean[i - 1] ?? null) !== null || (this.mean[i + 1] ?? null) !== null;
      if (this.mean[i] !== null && !near) lone.push(i);
    }
    return lone.length ? lone : null;
  }

  select(u) {
    const { left, width } = u.select;
    if (width < 8) return;
    const [from, to] = [left, left + width].map((x) => u.posToVal(x, "x"));
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.zoomed(from, to);
  }

  follow(i) {
    this.read.textContent = i === null || i === undefined ? "" : this.words(i);
  }

  words(i) {
    const say = (value) => number(value, this.signal.decimals);
    const time = moment(this.time[i]);
    if (this.mean[i] === null || this.mean[i] === undefined) return t("chart.spoken_gap", { time });
    return t("chart.spoken", {
      time, value: say(this.mean[i]), unit: this.signal.unit,
      low: say(this.lo95[i]), high: say(this.hi95[i]),
    });
  }

  /** ←/→ one estimate, with Shift ten, Home and End. */
  press(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || !this.time.length) return;
    event.preventDefault();
    event.stopPropagation();
    const seen = this.visible();
    if (!seen.length) return;
    const at = this.at === null ? seen.length - 1 : seen.findIndex((i) => this.time[i] >= this.at);
    const to = (at < 0 ? seen.length - 1 : at) + (this.at === null ? 0 : step * (event.shiftKey ? 10 : 1));
    const i = seen[Math.min(seen.length - 1, Math.max(0, to))];
    this.at = this.time[i];
    this.point(this.at);
    this.spoken.textContent = this.words(i);
  }

  point(ms) {
    this.uplot.setCursor({ left: this.uplot.valToPos(ms, "x"), top: 20 });
  }

  /** Indexes of the rows in view that hold an estimate. */
  visible() {
    const seen = [];
    for (let i = 0; i < this.time.length; i++) {
      if (this.time[i] >= this.from && this.time[i] <= this.to && this.mean[i] !== null) seen.push(i);
    }
    return seen;
  }

  /** The figure in a sentence, and the table, at most every 5 s. */
  describe() {
    const due = performance.now();
    if (due - (this.described ?? -Infinity) < 5000 && this.said === `${this.to - this.from} ${this.time.length > 0}`) return;
    this.described = due;
    this.said = `${this.to - this.from} ${this.time.length > 0}`;
    const seen = this.visible();
    const parts = { name: this.name, unit: this.signal.unit, from: moment(this.from), to: moment(this.to) };
    if (!seen.length) {
      this.figure.setAttribute("aria-label", t("chart.sentence_empty", parts));
      this.tabulate();
      return;
    }
    const means = seen.map((i) => this.mean[i]);
    const gaps = seen.filter((i, k) => k > 0 && i - seen[k - 1] > 1).length;
    const say = (value) => number(value, this.signal.decimals);
    this.figure.setAttribute("aria-label", `${t("chart.sentence", {
      ...parts, low: say(Math.min(...means)), high: say(Math.max(...means)), last: say(means.at(-1)),
      at: moment(this.time[seen.at(-1)]), gaps: plural("chart.gaps", gaps),
    })} ${t("chart.hint")}`);
    this.tabulate();
  }

  tabulate() {
    if (!this.details.open) return;
    const say = (value) => number(value, this.signal.decimals);
    const step = (this.to - this.from) / (TABLE_ROWS - 1);
    const rows = [];
    for (let k = TABLE_ROWS - 1; k >= 0; k--) {
      const at = this.from + k * step;
      const i = this.before(at);
      const row = document.createElement("tr");
      const cells = i < 0 || this.mean[i] === null
        ? [moment(at), t("chart.nothing"), "", ""]
        : [moment(this.time[i]), say(this.mean[i]), `${say(this.lo50[i])}–${say(this.hi50[i])}`, `${say(this.lo95[i])}–${say(this.hi95[i])}`];
      for (const text of cells) row.insertCell().textContent = text;
      rows.push(row);
    }
    this.table.replaceChildren(...rows);
  }

  /** Index of the newest estimate not after `at`, −1 where a gap is there. */
  before(at) {
    if (!this.time.length || this.time[0] > at) return -1;
    let i = nearest(at, this.time);
    if (this.time[i] > at) i -= 1;
    return at - this.time[i] > this.gap ? -1 : i;
  }
}

/** Index of the nearest time (binary search). */
function nearest(at, time) {
  let [low, high] = [0, time.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (time[middle] < at) low = middle;
    else high = middle;
  }
  return at - time[low] <= time[high] - at ? low : high;
}

function tick(ms, step) {
  const text = clock(ms);
  if (step >= DAY_MS || text === "00:00:00") return day.format(ms);
  return step < 60000 ? text : text.slice(0, 5);
}

function decimals(splits) {
  const step = splits.length > 1 ? splits[1] - splits[0] : 1;
  return step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
}
