// The words of one vital's cell: as twin/care/cells.py writes them (a test compares the two).
import { about, signals } from "./about.js";
import { t } from "./i18n.js";

const ARROWS = { "-2": "↓", "-1": "↘", 0: "→", 1: "↗", 2: "↑" };
const SHOW_AGE_S = 10;
const comma = about.language === "fr";

export function number(value, decimals) {
  if (value === null || Number.isNaN(value)) return "—";
  let text = value.toFixed(decimals);
  if (text.startsWith("-0") && Number(text) === 0) text = text.slice(1);
  return comma ? text.replace(".", ",") : text;
}

export function age(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 120) return t("age.s", { n: s });
  if (s < 7200) return t("age.min", { n: Math.floor(s / 60) });
  if (s < 172800) return t("age.h", { n: Math.floor(s / 3600) });
  return t("age.d", { n: Math.floor(s / 86400) });
}

/** [low, high] as words, cut to what the signal can be at all. */
export function edges(cell) {
  const signal = signals.get(cell.code);
  return [
    number(Math.max(signal.lower, cell.mean - cell.half95), signal.decimals),
    number(Math.min(signal.upper, cell.mean + cell.half95), signal.decimals),
  ];
}

/** {status, value, arrow, trend, sub} of a cell at `now` (epoch ms); without a cell a dash. */
export function words(cell, now) {
  if (cell === undefined) return { status: "none", value: "—", arrow: "", trend: "", sub: "" };
  const signal = signals.get(cell.code);
  const { status } = cell;
  const seconds = (now - cell.asOf) / 1000;
  if (status === "stale" || status === "none") {
    const value = status === "none" ? "—" : number(cell.mean, signal.decimals);
    const sub = `${t(`status.${status}`)} · ${age(seconds)}`;
    return { status, value, arrow: "", trend: "", sub };
  }
  let sub = edges(cell).join("–");
  if (seconds > SHOW_AGE_S || status === "late" || signal.spot) sub += ` · ${age(seconds)}`;
  if (status === "diverged") sub += ` · ${t("status.diverged")}`;
  return {
    status,
    value: (cell.approximate ? "≈\u202f" : "") + number(cell.mean, signal.decimals),
    arrow: ARROWS[cell.arrow],
    trend: t(`trend.${cell.arrow}`),
    sub,
  };
}

/** Write text only where it differs. */
export function put(element, text) {
  if (element.firstChild === null) {
    if (text !== "") element.textContent = text;
  } else if (element.firstChild.nodeValue !== text) element.firstChild.nodeValue = text;
}
