// A chart for those who do not see it: the figure in a sentence, one point read at a time, a table.
import { moment } from "../app/clock.js";
import { number } from "../app/format.js";
import { plural, t } from "../app/i18n.js";

const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

export class Spoken {
  /** @param chart whose series, from, to and at are read; @param {HTMLElement} section of the vital */
  constructor(chart, section) {
    this.chart = chart;
    const part = (name) => section.querySelector(name);
    [this.figure, this.live, this.table, this.details] = [".figure", ".spoken", "tbody", "details"].map(part);
    this.name = section.querySelector("h2").textContent;
    this.figure.addEventListener("keydown", (event) => this.press(event));
    this.details.addEventListener("toggle", () => this.tabulate());
  }

  say(value) {
    return number(value, this.chart.signal.decimals);
  }

  /** One row's estimate in words. */
  words(i) {
    const { series, signal } = this.chart;
    const time = moment(series.time[i]);
    if ((series.mean[i] ?? null) === null) return t("chart.spoken_gap", { time });
    return t("chart.spoken", {
      time, value: this.say(series.mean[i]), unit: signal.unit,
      low: this.say(series.lo95[i]), high: this.say(series.hi95[i]),
    });
  }

  /** ←/→ one estimate, with Shift ten, Home and End. */
  press(event) {
    const { chart } = this;
    const step = STEPS[event.key];
    if (step === undefined || !chart.series.time.length) return;
    event.preventDefault();
    event.stopPropagation();
    const { time } = chart.series;
    const seen = chart.visible();
    if (!seen.length) return;
    const at = chart.at === null ? seen.length - 1 : seen.findIndex((i) => time[i] >= chart.at);
    const to = (at < 0 ? seen.length - 1 : at) + (chart.at === null ? 0 : step * (event.shiftKey ? 10 : 1));
    const i = seen[Math.min(seen.length - 1, Math.max(0, to))];
    chart.point(time[i]);
    this.live.textContent = this.words(i);
  }

  /** The figure's sentence and the table, at most every 5 s. */
  describe() {
    const { series, signal, forecast, from, to } = this.chart;
    const due = performance.now();
    const of = `${to - from} ${series.time.length > 0}`;
    if (due - (this.described ?? -Infinity) < 5000 && this.of === of) return;
    this.described = due;
    this.of = of;
    const seen = this.chart.visible();
    const parts = { name: this.name, unit: signal.unit, from: moment(from), to: moment(to) };
    let sentence = t("chart.sentence_empty", parts);
    if (seen.length) {
      const means = seen.map((i) => series.mean[i]);
      const gaps = seen.filter((i, k) => k > 0 && i - seen[k - 1] > 1).length;
      sentence = `${t("chart.sentence", {
        ...parts, low: this.say(Math.min(...means)), high: this.say(Math.max(...means)), last: this.say(means.at(-1)),
        at: moment(series.time[seen.at(-1)]), gaps: plural("chart.gaps", gaps),
      })}${forecast ? ` ${this.chart.ahead.words(forecast, signal)}.` : ""}${this.chart.smoothed?.words(this.chart) ?? ""} ${t("chart.hint")}`;
    }
    this.figure.ariaLabel = sentence;
    this.tabulate();
  }

  async tabulate() {
    if (this.details.open) (await import("./table.js")).fill(this);
  }
}
