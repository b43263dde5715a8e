// What the stream said last, and who redraws: one map, one animation frame.

/** @typedef {{code: string, mean: number, half95: number, arrow: number, approximate: boolean,
 *   status: string, asOf: number}} Cell */

const NOBODY = { urgency: 999, news2: null, complete: false, any3: false, threes: [], own_limits: false };

export class Store {
  constructor() {
    /** @type {Map<string, {id: string, label: string, cells: Map<string, Cell>, standing: object}>} */
    this.patients = new Map();
    this.state = "live";
    /** Patients that changed since the last drawing. */
    this.dirty = new Set();
    this.keys = new Map();
    this.statuses = [];
    /** The newest score, of one patient's stream. */
    this.score = null;
  }

  /** Take an event; alarms are in alarms.js. */
  take(name, body) {
    if (name === "hello") {
      this.statuses = body.statuses;
      return;
    }
    if (name === "snap") {
      this.keys.clear();
      this.patients.clear();
    }
    this.state = body.state;
    if (name === "al" || name === "alarms") return;
    for (const [id, label] of Object.entries(body.labels ?? {})) this.patient(id).label = label;
    for (const [id, standing] of Object.entries(body.standings ?? {})) this.patient(id).standing = standing;
    if (body.score) this.score = body.score;
    for (const [key, id, code] of body.keys ?? []) this.keys.set(key, [id, code]);
    for (const [key, mean, half95, arrow, approximate, status, asOf] of body.cells ?? []) {
      const [id, code] = this.keys.get(key);
      this.patient(id).cells.set(code, {
        code, mean, half95, arrow, approximate: approximate === 1,
        status: this.statuses[status], asOf: body.time + asOf,
      });
    }
  }

  patient(id) {
    let patient = this.patients.get(id);
    if (patient === undefined) {
      patient = { id, label: "", cells: new Map(), standing: NOBODY };
      this.patients.set(id, patient);
    }
    this.dirty.add(id);
    return patient;
  }
}

let scheduled = false;
const drawings = new Set();

/** Have `draw` called once in the next animation frame, however often it is asked for. */
export function schedule(draw) {
  drawings.add(draw);
  if (scheduled) return;
  scheduled = true;
  const run = () => {
    scheduled = false;
    const due = [...drawings];
    drawings.clear();
    for (const one of due) one();
  };
  if (document.hidden) setTimeout(run, 0);
  else requestAnimationFrame(run);
}
