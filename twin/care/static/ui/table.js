// A chart as a table, for who opens it: loaded only then.
import { moment } from "../app/clock.js";
import { t } from "../app/i18n.js";

const ROWS = 13;

/** Fill the table of a chart that is spoken (spoken.js). */
export function fill(spoken) {
  const { series, signal, forecast, from, to, ahead } = spoken.chart;
  const rows = [];
  const add = (cells) => {
    const row = document.createElement("tr");
    for (const text of cells) row.insertCell().textContent = text;
    rows.push(row);
  };
  if (forecast) add(ahead.row(forecast, signal));
  for (let k = ROWS - 1; k >= 0; k--) {
    const at = from + (k * (to - from)) / (ROWS - 1);
    const i = series.before(at);
    const band = (edge) => `${spoken.say(series[`lo${edge}`][i])}–${spoken.say(series[`hi${edge}`][i])}`;
    add(i < 0 || series.mean[i] === null
      ? [moment(at), t("chart.nothing"), "", ""]
      : [moment(series.time[i]), spoken.say(series.mean[i]) + again(series, i), band(50), band(95)]);
  }
  spoken.table.replaceChildren(...rows);
}

/** Said of an estimate that is not what stood there at the time: belated measurements changed it. */
function again({ revised, time }, i) {
  return revised.some(([first, last]) => first <= time[i] && time[i] <= last) ? ` (${t("chart.revised")})` : "";
}
