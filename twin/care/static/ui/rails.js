// Where nothing is known and what happened: hatched gaps, and a flag for each line of the patient's
// journal, which stands beside the charts in words.
import { t } from "../app/i18n.js";

/** Distance of hatching and size of a flag, and how near (CSS px) the cursor reads one. */
const [STEP, FLAG, NEAR] = [9, 5, 6];
/** A gap is called one where there is room for the word. */
const ROOM = 90;
/** A sensor may be said to be off so long (ms) before the last value. */
const BEFORE = 30000;

/** Hatch the gaps in view: between estimates, and from the newest to now. */
export function gaps(u, { series, to }, colours) {
  const { time, mean, gap } = series;
  for (let i = 1; i < time.length - 1; i++) {
    if (mean[i] === null) hatch(u, time[i - 1], time[i + 1], colours);
  }
  const last = time.at(-1);
  if (last !== undefined && to - last > gap) hatch(u, last, to, colours);
}

function hatch(u, from, until, colours) {
  const { ctx, bbox } = u;
  const edge = (ms) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, u.valToPos(ms, "x", true)));
  const [left, right] = [edge(from), edge(until)];
  if (right - left < 3 * devicePixelRatio) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, bbox.top, right - left, bbox.height);
  ctx.clip();
  ctx.strokeStyle = colours.hatch;
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  for (let x = left - bbox.height; x < right; x += STEP * devicePixelRatio) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
  if (right - left > ROOM * devicePixelRatio) {
    ctx.fillStyle = colours.flag;
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    ctx.textBaseline = "bottom";
    const cause = causeOf(from, until);
    const words = ctx.measureText(cause).width < right - left ? cause : t("chart.nothing");
    ctx.fillText(words, (left + right) / 2, bbox.top + bbox.height - 4 * devicePixelRatio);
  }
  ctx.restore();
}

/** What the journal says of a sensor where a gap begins, or that there is none. */
export function causeOf(from, until) {
  const [, , line] = events(from - BEFORE, until).findLast(([, kind]) => kind === "sensor") ?? [];
  return line?.querySelector(".said").textContent ?? t("chart.nothing");
}

/** The journal's lines in [from, to], of refused samples those of this signal: [epoch ms, kind, line]. */
function events(from, to, signal) {
  return [...document.querySelectorAll("#journal li[data-at]")]
    .map((line) => [Number(line.dataset.at), line.dataset.kind, line])
    .filter(([at, , { dataset: { code } }]) => at >= from && at <= to && (!code || code === signal?.code));
}

/** ▼ of a note or an entry, ▽ of an alarm, ■ of a sensor; on the bottom rail ✕ of a refused sample. */
export function flags(u, { from, to, signal }, colours) {
  const { ctx, bbox } = u;
  const size = FLAG * devicePixelRatio;
  ctx.save();
  ctx.fillStyle = ctx.strokeStyle = colours.flag;
  ctx.lineWidth = devicePixelRatio;
  for (const [at, kind] of events(from, to, signal)) {
    const x = u.valToPos(at, "x", true);
    const refused = kind === "refused";
    const y = refused ? bbox.top + bbox.height - 3 * size : bbox.top + devicePixelRatio;
    ctx.beginPath();
    if (refused) {
      for (const side of [-size, size]) {
        ctx.moveTo(x - side, y);
        ctx.lineTo(x + side, y + 2 * size);
      }
    } else if (kind === "sensor") ctx.rect(x - size, y, 2 * size, 2 * size);
    else {
      ctx.moveTo(x - size, y);
      ctx.lineTo(x + size, y);
      ctx.lineTo(x, y + 2 * size);
      ctx.closePath();
    }
    if (refused || kind === "alarm") ctx.stroke();
    else ctx.fill();
  }
  ctx.restore();
}

/** What the flag under the cursor says, or "". */
export function flagAt(u, { from, to, signal }) {
  const { left } = u.cursor;
  if (left === undefined || left < 0) return "";
  const near = events(from, to, signal).find(([at]) => Math.abs(u.valToPos(at, "x") - left) <= NEAR);
  return near ? near[2].textContent.replace(/\s+/g, " ").trim() : "";
}
