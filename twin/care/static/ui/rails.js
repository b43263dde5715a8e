// Where nothing is known and what happened: hatched gaps, and on the top rail a flag for each line of
// the patient's journal (which stands beside the charts, so that no flag has to be read).
import { t } from "../app/i18n.js";

/** Distance of hatching and size of a flag, and how near (CSS px) the cursor reads one. */
const [STEP, FLAG, NEAR] = [9, 5, 6];
/** A gap is called one where there is room for the word. */
const ROOM = 90;

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
    ctx.fillText(t("chart.nothing"), (left + right) / 2, bbox.top + bbox.height - 4 * devicePixelRatio);
  }
  ctx.restore();
}

/** The journal's lines in [from, to]: [epoch ms, kind, text]. */
function events(from, to) {
  return [...document.querySelectorAll("#journal li[data-at]")]
    .map((line) => [Number(line.dataset.at), line.dataset.kind, line])
    .filter(([at]) => at >= from && at <= to);
}

/** ▼ of a note or an entry, ▽ of an alarm, ■ of a sensor. */
export function flags(u, { from, to }, colours) {
  const { ctx, bbox } = u;
  const size = FLAG * devicePixelRatio;
  ctx.save();
  ctx.fillStyle = ctx.strokeStyle = colours.flag;
  ctx.lineWidth = devicePixelRatio;
  for (const [at, kind] of events(from, to)) {
    const x = u.valToPos(at, "x", true);
    const y = bbox.top + devicePixelRatio;
    ctx.beginPath();
    if (kind === "sensor") ctx.rect(x - size, y, 2 * size, 2 * size);
    else {
      ctx.moveTo(x - size, y);
      ctx.lineTo(x + size, y);
      ctx.lineTo(x, y + 2 * size);
      ctx.closePath();
    }
    if (kind === "alarm") ctx.stroke();
    else ctx.fill();
  }
  ctx.restore();
}

/** What the flag under the cursor says, or "". */
export function flagAt(u, { from, to }) {
  const { left } = u.cursor;
  if (left === undefined || left < 0) return "";
  const near = events(from, to).find(([at]) => Math.abs(u.valToPos(at, "x") - left) <= NEAR);
  return near ? near[2].textContent.replace(/\s+/g, " ").trim() : "";
}
