// The one wrapper around uPlot: estimate line over raw dots over the 50 and 95 % bands, and nothing
// at all where nothing is known. layers.js draws the rest, series.js holds what is drawn.
import uPlot from "../vendor/uPlot.esm.js";
import { about } from "../app/about.js";
import { clock } from "../app/clock.js";
import { number } from "../app/format.js";
import { t } from "../app/i18n.js";
import { under } from "./layers.js";
import { flagAt } from "./rails.js";
import { Series } from "./series.js";
import { Spoken } from "./spoken.js";

const DAY_MS = 86400000;
const day = new Intl.DateTimeFormat("en-CA", { timeZone: about.zone, month: "2-digit", day: "2-digit" });
/** Steps of the vertical axis: none that rounds to a wrong label. */
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
/** Tokens of the colours that layers draw with. */
const COLOURS = ["raw", "limit", "forecast", "estimate", "band50", "band95", "axis", "grid", "hatch", "flag"];

export class VitalChart {
  /**
   * @param {HTMLElement} section of the vital, as the template makes it
   * @param signal of about.signals
   * @param {(from: number, to: number) => void} zoomed somebody dragged over this period
   */
  constructor(section, signal, zoomed) {
    Object.assign(this, { signal, zoomed, from: 0, to: 1, end: 1, raw: true, at: null, limits: [], forecast: null, ahead: null, smoothed: null });
    this.series = new Series(signal.gap_s * 1000);
    const part = (name) => section.querySelector(name);
    [this.figure, this.plot, this.note, this.retry] = [".figure", ".plot", ".note", ".retry"].map(part);
    this.read = document.createElement("p");
    this.read.className = "read";
    this.read.ariaHidden = "true";
    this.figure.append(this.read);
    this.spoken = new Spoken(this, section);
    this.build();
    new ResizeObserver(() => this.fit()).observe(this.figure);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  /** Show a history, as /api/v1/patients/…/signals/… gives it. */
  set(body) {
    this.series.set(body);
    this.say(null);
  }

  /** The history could not be had: words say so, with a button to try again. */
  fail(again) {
    if (this.series.loaded) return;
    this.say(t("chart.failed"));
    this.retry.hidden = false;
    this.retry.onclick = again;
  }

  /** Show [from, to) in epoch ms, and until `end` what is expected; raw: with the dots. */
  draw(from, to, raw, end = to) {
    Object.assign(this, { from, to, raw, end });
    this.range = this.vertical();
    const { time, hi95, lo95, hi50, lo50, mean } = this.series;
    this.uplot.batch(() => {
      this.uplot.setData([time, hi95, lo95, hi50, lo50, mean], false);
      this.uplot.setScale("x", { min: from, max: end });
    });
    if (this.at !== null) this.point(this.at);
    if (this.series.loaded) this.spoken.describe();
  }

  /** What is not drawn is said: loading, empty, failed. */
  say(text) {
    this.retry.hidden = true;
    const empty = this.series.loaded && !this.visible().length ? t("chart.empty") : "";
    this.note.textContent = text ?? empty;
  }

  /** [low, high] that holds bands and dots in view, never flatter than the signal's noise. */
  vertical() {
    const { lower, upper, least } = this.signal;
    let [low, high] = this.series.extent(this.from, this.to, this.raw);
    if (this.forecast && this.end > this.to) {
      const [bottom, top] = this.ahead.extent(this.forecast, this.end);
      [low, high] = [Math.min(low, bottom), Math.max(high, top)];
    }
    if (this.whatif) [low, high] = this.whatif.widen(low, high, this.end);
    if (low > high) [low, high] = [lower, upper];
    if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
    const pad = (high - low) * 0.06;
    return [Math.max(lower, low - pad), Math.min(upper, high + pad)];
  }

  build() {
    this.uplot?.destroy();
    const css = getComputedStyle(document.documentElement);
    const colours = Object.fromEntries(COLOURS.map((name) => [name, css.getPropertyValue(`--${name}`).trim()]));
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    const axis = { stroke: colours.axis, font: "12px system-ui, sans-serif", grid: { stroke: colours.grid, width: 1 }, ticks: { stroke: colours.grid, width: 1 } };
    this.uplot = new uPlot({
      width: Math.max(200, this.plot.clientWidth),
      height: this.plot.clientHeight || 190,
      ms: 1,
      tzDate: (ms) => uPlot.tzDate(new Date(ms), about.zone),
      padding: [8, 20, 0, 0],
      scales: { x: { time: true, auto: false }, y: { range: () => this.range ?? [0, 1] } },
      series: [
        {}, { ...edge }, { ...edge }, { ...edge }, { ...edge },
        { stroke: colours.estimate, width: 2, points: { show: () => false, filter: () => this.series.alone(), size: 6, fill: colours.estimate } },
      ],
      bands: [{ series: [1, 2], fill: colours.band95 }, { series: [3, 4], fill: colours.band50 }],
      axes: [
        { ...axis, size: 30, space: 70, values: (_u, splits, _a, _s, step) => splits.map((ms) => tick(ms, step)) },
        { ...axis, size: 48, space: 28, incrs: STEPS, values: (_u, splits) => splits.map((value) => number(value, decimals(splits))) },
      ],
      cursor: { y: false, sync: { key: "twin" }, drag: { x: true, y: false, setScale: false, dist: 8 }, points: { size: 8 } },
      legend: { show: false },
      hooks: {
        drawSeries: [(u, i) => i === 4 && under(u, this, colours)],
        setCursor: [(u) => this.follow(u.cursor.idx)],
        setSelect: [(u) => this.select(u)],
      },
    }, [[], [], [], [], [], []], this.plot);
    this.draw(this.from, this.to, this.raw, this.end);
  }

  fit() {
    const [width, height] = [this.plot.clientWidth, this.plot.clientHeight];
    if (width > 0 && (width !== this.uplot.width || height !== this.uplot.height)) this.uplot.setSize({ width, height });
  }

  select(u) {
    const { left, width } = u.select;
    if (width < 8) return;
    const [from, to] = [left, left + width].map((x) => u.posToVal(x, "x"));
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.zoomed(from, to);
  }

  follow(i) {
    const flag = flagAt(this.uplot, this);
    const value = i === null || i === undefined ? "" : this.spoken.words(i);
    this.read.textContent = flag ? `${flag} · ${value}` : value;
  }

  /** Have the cursor at a time. */
  point(ms) {
    this.at = ms;
    this.uplot.setCursor({ left: this.uplot.valToPos(ms, "x"), top: 20 });
  }

  /** Indexes of the rows in view that hold an estimate. */
  visible() {
    return this.series.within(this.from, this.to);
  }
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
