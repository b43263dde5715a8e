// One vital's estimates and raw values as the charts hold them, oldest first. A gap is a row of
// nulls: uPlot draws straight through NaN.
export const COLUMNS = ["mean", "lo50", "hi50", "lo95", "hi95"];

export class Series {
  /** @param {number} gap ms of silence that are a gap */
  constructor(gap) {
    this.gap = gap;
    this.loaded = false;
    this.time = [];
    for (const name of COLUMNS) this[name] = [];
    this.observations = { time: [], value: [] };
    this.tail = [];
    this.appended = 0;
    this.revised = [];
  }

  /** A history has been asked for: keep what arrives meanwhile. */
  loading() {
    this.tail = [];
  }

  /** Hold a history, as /api/v1/patients/…/signals/… gives it. */
  set({ estimates, observations, gap_s, revised = [] }) {
    this.loaded = true;
    this.gap = gap_s * 1000;
    this.revised = revised;
    this.time = estimates.time;
    for (const name of COLUMNS) this[name] = estimates[name];
    this.observations = { time: observations.time, value: observations.value };
    const { tail } = this;
    this.tail = [];
    this.appended = 0;
    for (const [rows, raw] of tail) this.append(rows, raw);
  }

  /** Rows of the stream: [time, mean, lo50, hi50, lo95, hi95], and raw [time, value, device]. */
  append(rows, raw) {
    this.tail.push([rows, raw]);
    for (const row of rows) this.take(row);
    const { time, value } = this.observations;
    for (const [at, number] of raw) {
      time.push(at);
      value.push(number);
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

  /** [lowest, highest] of bands (and, if raw, of raw values) in [from, to]; [∞, −∞] of nothing. */
  extent(from, to, raw) {
    let [low, high] = [Infinity, -Infinity];
    const widen = (at, bottom, top) => {
      if (at < from || at > to || bottom === null) return;
      low = Math.min(low, bottom);
      high = Math.max(high, top);
    };
    for (let i = 0; i < this.time.length; i++) widen(this.time[i], this.lo95[i], this.hi95[i]);
    const { time, value } = this.observations;
    if (raw) for (let i = 0; i < time.length; i++) widen(time[i], value[i], value[i]);
    return [low, high];
  }

  /** Indexes of the rows in [from, to] that hold an estimate. */
  within(from, to) {
    const seen = [];
    for (let i = 0; i < this.time.length; i++) {
      if (this.time[i] >= from && this.time[i] <= to && this.mean[i] !== null) seen.push(i);
    }
    return seen;
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
