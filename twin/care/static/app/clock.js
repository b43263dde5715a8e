// The pipeline's clock as the server last told it, running on between its words. The browser's own
// clock and zone are never used: they may be wrong.
import { about } from "./about.js";

let told = about.time;
let at = performance.now();

const time = new Intl.DateTimeFormat("en-GB", {
  timeZone: about.zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const day = new Intl.DateTimeFormat("en-CA", {
  timeZone: about.zone, year: "numeric", month: "2-digit", day: "2-digit",
});

/** The server said that it is `ms` (epoch) now. */
export function sync(ms) {
  told = ms;
  at = performance.now();
}

/** Epoch ms by the server's clock. */
export const now = () => told + (performance.now() - at) * about.speed;

/** HH:MM:SS on site. */
export const clock = (ms) => time.format(ms);

const HOUR_MS = 3600000;
const offset = new Intl.DateTimeFormat("en-GB", { timeZone: about.zone, timeZoneName: "longOffset" });

/** As Words.moment in twin/care/words.py: HH:MM:SS, the date where that is not today on site, the
 * zone's offset in the hour that a change of clocks repeats. */
export function moment(ms) {
  const date = day.format(ms);
  const text = date === day.format(now()) ? clock(ms) : `${date} ${clock(ms)}`;
  const twice = [ms - HOUR_MS, ms + HOUR_MS].some((other) => clock(other) === clock(ms) && day.format(other) === date);
  return twice ? `${text} ${offset.format(ms).split("GMT")[1].replace(":", "") || "+0000"}` : text;
}
