// What a chart draws beside uPlot's own bands and line, a function for each layer, back to front.
// Each takes the uPlot, the chart (series, signal, from, to, raw, limits) and the colours by token.
import { SYMBOLS } from "../app/alarms.js";
import { number } from "../app/format.js";
import { flags, gaps } from "./rails.js";

/** Between bands and line. */
export function under(u, chart, colours) {
  gaps(u, chart, colours);
  for (const { priority, low, high } of chart.limits) {
    limit(u, chart, colours, low, `${SYMBOLS[priority]} < `);
    limit(u, chart, colours, high, `${SYMBOLS[priority]} > `);
  }
  if (chart.end > chart.to) chart.ahead?.cone(u, chart, colours);
  if (chart.raw) dots(u, chart, colours);
  chart.smoothed?.draw(u, chart, colours);
  chart.whatif?.draw(u);
  flags(u, chart, colours);
}

/** A dashed line with its label, where it is in view: a chart is not made flat to show it. */
function limit(u, { signal }, colours, value, label) {
  if (value === null || value < u.scales.y.min || value > u.scales.y.max) return;
  const { ctx, bbox } = u;
  const y = u.valToPos(value, "y", true);
  ctx.save();
  ctx.strokeStyle = colours.limit;
  ctx.fillStyle = colours.limit;
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.fillText(label + number(value, signal.decimals), bbox.left + 4, y - 3 * devicePixelRatio);
  ctx.restore();
}

function dots(u, { series, from, to }, colours) {
  const { ctx, bbox } = u;
  const { time, value } = series.observations;
  const size = (to - from > 4 * 3600000 ? 1 : 1.4) * devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.beginPath();
  for (let i = 0; i < time.length; i++) {
    if (time[i] < from || time[i] > to || value[i] === null) continue;
    const [x, y] = [u.valToPos(time[i], "x", true), u.valToPos(value[i], "y", true)];
    ctx.moveTo(x + size, y);
    ctx.arc(x, y, size, 0, 7);
  }
  ctx.globalAlpha = 0.7;
  ctx.fillStyle = colours.raw;
  ctx.fill();
  ctx.restore();
}
