// What is expected in the next half hour: a dashed cone from now on, and the same in words. It is
// the twin's forecast (`forecasts` of a patient's stream); it alarms nobody.
import { signals } from "../app/about.js";
import { moment } from "../app/clock.js";
import { number, put } from "../app/format.js";
import { t } from "../app/i18n.js";

/** How far ahead pages look, ms. */
export const AHEAD_MS = 30 * 60000;
const layer = { cone, extent, words, row };
/** A chance below this is not worth words. */
const WORTH = 0.05;

/** The forecast that holds at `at` (epoch ms), by horizon; null: none, or of a vital not heard. */
export function current(list, status, at) {
  if (!list?.length || (status !== "fresh" && status !== "late")) return null;
  const points = list.filter(({ horizon_s }) => horizon_s * 1000 <= AHEAD_MS).map((p) => ({ ...p, at: Date.parse(p.time) }));
  return points.length && points.at(-1).at > at ? points : null;
}

/**
 * Give each chart what is expected of its vital; how far to look ahead, ms: nowhere without any.
 * supposed: until when a scenario goes (ui/whatif.js), epoch ms.
 */
export function foreseen(vitals, forecasts, live, at, span, supposed) {
  let any = false;
  for (const { code, section, chart, ahead } of vitals) {
    chart.ahead = layer;
    chart.forecast = live ? current(forecasts.get(code), section.dataset.status, at) : null;
    put(ahead, chart.forecast ? words(chart.forecast, signals.get(code)) : "");
    any ||= chart.forecast !== null;
  }
  const what = live ? Math.min(supposed - at, span) : 0;
  return Math.max(0, what, any ? Math.min(AHEAD_MS, span / 2) : 0);
}

/** [lowest, highest] that the cone needs until `to`. */
export function extent(points, to) {
  const seen = points.filter(({ at }, i) => i === 0 || at <= to || points[i - 1].at < to);
  return [Math.min(...seen.map((p) => p.lo95)), Math.max(...seen.map((p) => p.hi95))];
}

/** Right of now: bands, dashed edges and mean, and a line that says now. */
export function cone(u, { series, forecast, to }, colours) {
  const { ctx, bbox } = u;
  const start = series.before(to);
  const x = (at) => u.valToPos(at, "x", true);
  const y = (value) => u.valToPos(value, "y", true);
  const now = x(to);
  ctx.save();
  ctx.beginPath();
  ctx.rect(now, bbox.top, bbox.left + bbox.width - now, bbox.height);
  ctx.clip();
  ctx.strokeStyle = colours.forecast;
  ctx.fillStyle = colours.forecast;
  if (forecast) {
    const first = start < 0 ? [] : [{ at: series.time[start], mean: series.mean[start], lo50: series.lo50[start], hi50: series.hi50[start], lo95: series.lo95[start], hi95: series.hi95[start] }];
    const points = [...first, ...forecast.filter(({ at }) => !first.length || at > first[0].at)];
    const path = (name, back) => {
      ctx.beginPath();
      points.forEach((p) => ctx.lineTo(x(p.at), y(p[name])));
      if (back) points.toReversed().forEach((p) => ctx.lineTo(x(p.at), y(p[back])));
    };
    for (const [low, high, alpha] of [["lo95", "hi95", 0.1], ["lo50", "hi50", 0.18]]) {
      path(low, high);
      ctx.globalAlpha = alpha;
      ctx.fill();
    }
    ctx.globalAlpha = 1;
    for (const [name, width] of [["lo95", 1.25], ["hi95", 1.25], ["mean", 2]]) {
      ctx.lineWidth = width * devicePixelRatio;
      ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
      path(name);
      ctx.stroke();
    }
  }
  ctx.setLineDash([]);
  ctx.strokeStyle = colours.axis;
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(now + 0.5, bbox.top);
  ctx.lineTo(now + 0.5, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

/** "In 30 min: 78 (62–94); 35 % below 90": the likelier side of the limits, if it is likely at all. */
export function words(points, signal) {
  const last = points.at(-1);
  const say = (value) => number(value, signal.decimals);
  const said = t("forecast.words", { minutes: Math.round(last.horizon_s / 60), value: say(last.mean), low: say(last.lo95), high: say(last.hi95) });
  const [below, above] = [last.p_below ?? 0, last.p_above ?? 0];
  if (Math.max(below, above) < WORTH) return said;
  const percent = Math.min(99, Math.round(100 * Math.max(below, above)));
  const limit = say(below > above ? last.limit_low : last.limit_high);
  return `${said}; ${t(below > above ? "forecast.below" : "forecast.above", { percent, limit })}`;
}

/** A row of the table. */
export function row(points, signal) {
  const last = points.at(-1);
  const say = (value) => number(value, signal.decimals);
  return [t("forecast.row", { time: moment(last.at) }), say(last.mean), `${say(last.lo50)}–${say(last.hi50)}`, `${say(last.lo95)}–${say(last.hi95)}`];
}
