// A signal as it looks afterwards, over the charts' own estimates: loaded when somebody asks for it.
import { about } from "../app/about.js";
import { number, put } from "../app/format.js";
import { t } from "../app/i18n.js";

/** Of several questions only the last is answered: an earlier one may take longer. */
let asked = 0;

/** Ask for it in [from, to) for these vitals (shown: or take it away); said: where it says of which there is none. */
export async function smoothed(vitals, shown, said, from, to, signal) {
  const mine = ++asked;
  const answers = await Promise.all([...vitals].map(async ({ code, chart }) => {
    chart.smoothed = null;
    if (!shown) return "";
    const place = `/api/v1/patients/${encodeURIComponent(about.patient)}/signals/${code}/smoothed`;
    const answer = await fetch(`${place}?from=${Math.round(from)}&to=${Math.round(to)}`, { signal }).catch(() => null);
    if (!answer?.ok) return t(`signal.${code}`);
    const history = await answer.json();
    if (mine === asked) chart.smoothed = { ...history, draw, words };
    return "";
  }));
  if (mine !== asked) return;
  const without = answers.filter(Boolean); // in the page's order, whichever answer came first
  const told = without.length ? t("smooth.without", { signals: without.join(", ") }) : t("smooth.shown");
  put(said, shown ? told : "");
}

/** Mean and 95 % band as lines, each broken where there is a gap. */
function draw(u, { smoothed: of, series, from, to }, colours) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = colours.axis;
  for (const [name, width, dash] of [["lo95", 1, [1, 3]], ["hi95", 1, [1, 3]], ["mean", 1.5, [7, 3]]]) {
    ctx.lineWidth = width * devicePixelRatio;
    ctx.setLineDash(dash.map((each) => each * devicePixelRatio));
    ctx.beginPath();
    let last = -Infinity;
    of.time.forEach((at, i) => {
      if (at < from || at > to) return;
      const point = [u.valToPos(at, "x", true), u.valToPos(of[name][i], "y", true)];
      if (at - last > series.gap) ctx.moveTo(...point);
      else ctx.lineTo(...point);
      last = at;
    });
    ctx.stroke();
  }
  ctx.restore();
}

/** For the figure's sentence. */
function words({ smoothed: of, signal }) {
  const say = (value) => number(value, signal.decimals);
  if (!of.mean.length) return "";
  const [low, high] = [Math.min(...of.mean), Math.max(...of.mean)].map(say);
  return t("smooth.words", { low, high, unit: signal.unit });
}
