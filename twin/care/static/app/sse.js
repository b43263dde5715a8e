// EventSource that really comes back. A browser's own gives up for good on a 503, and never
// notices a connection that hangs; the server's heartbeat every 2 s lets this one notice.

const LATE_MS = 5000;
const DEAD_MS = 10000;
const BACK_OFF_S = [1, 2, 4, 8, 15];

export class Stream {
  /**
   * @param {string} path of the stream, without its cursor
   * @param {(name: string, body: object) => void} told each event
   * @param {(link: {state: "connecting"|"live"|"late"|"lost", silent: number}) => void} felt how the
   *   link is, each 500 ms and with each event: silent in s; live once the picture came, not before
   */
  constructor(path, told, felt) {
    Object.assign(this, { path, told, felt, tries: 0, cursor: "", broken: false, early: true, timer: 0 });
    this.opened = performance.now();
    this.heard = null;
    this.open();
    setInterval(() => this.watch(), 500);
    addEventListener("online", () => this.again(0));
    document.addEventListener("visibilitychange", () => this.watch());
    addEventListener("pagehide", () => this.source.close());
    addEventListener("pageshow", (event) => event.persisted && this.again(0));
  }

  open() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.source?.close();
    const cursor = this.cursor && `${this.path.includes("?") ? "&" : "?"}after=${this.cursor}`;
    const source = new EventSource(this.path + cursor);
    this.source = source;
    this.opened = performance.now();
    for (const name of ["hello", "snap", "alarms", "al", "d", "hb"]) {
      source.addEventListener(name, (event) => this.hear(name, event));
    }
    source.onerror = () => this.fail(source);
  }

  hear(name, event) {
    // `hello`, and what became of alarms meanwhile, come before the picture: values are not live yet.
    this.early = name === "hello" || (this.early && name === "al");
    if (this.early) this.opened = performance.now();
    else [this.heard, this.broken] = [performance.now(), false];
    this.tries = 0;
    if (event.lastEventId) this.cursor = event.lastEventId;
    this.told(name, JSON.parse(event.data));
    this.watch();
  }

  fail(source) {
    if (source !== this.source) return;
    this.broken = true;
    if (source.readyState === EventSource.CLOSED) this.refused();
    this.watch();
  }

  /** The server answered, but not with a stream: it is starting, or it wants a sign-in. */
  async refused() {
    this.again();
    try {
      const answer = await fetch("/api/v1/alarms");
      if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    } catch {
      // not reachable: the next attempt is under way
    }
  }

  again(seconds = BACK_OFF_S[Math.min(this.tries, BACK_OFF_S.length - 1)]) {
    if (this.timer !== 0 && seconds > 0) return;
    clearTimeout(this.timer);
    this.tries += 1;
    this.timer = setTimeout(() => this.open(), seconds * 1000 * (0.75 + Math.random() / 2));
  }

  watch() {
    const now = performance.now();
    const silent = now - (this.heard ?? this.opened);
    const waiting = this.timer !== 0;
    if (silent > DEAD_MS && now - this.opened > DEAD_MS && !waiting) this.again();
    let state = "live";
    if (silent > DEAD_MS) state = "lost";
    else if (this.heard === null) state = "connecting";
    else if (silent > LATE_MS || this.broken) state = "late";
    this.felt({ state, silent: Math.floor(silent / 1000) });
  }
}
