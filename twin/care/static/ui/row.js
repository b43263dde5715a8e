// One patient's row: finds its text nodes once, then writes only what differs.
import { signals } from "../app/about.js";
import { fill, mark } from "../app/alarms.js";
import { put, words } from "../app/format.js";
import { plural, t } from "../app/i18n.js";

const rowTemplate = document.getElementById("row")?.content.firstElementChild;
const cellTemplate = document.getElementById("cell")?.content.firstElementChild;

export class Row {
  /** A new element, or the server's. */
  constructor(id, element = rowTemplate.cloneNode(true)) {
    this.id = id;
    this.element = element;
    element.dataset.id = id;
    this.link = element.querySelector("a");
    this.link.setAttribute("href", `/p/${encodeURIComponent(id)}`);
    const part = (name) => element.querySelector(`.${name}`);
    [this.label, this.small, this.waiting, this.watching, this.cells, this.chip, this.alarm] = [
      "label", "id", "waiting", "watching", "cells", "chip", "alarm"].map(part);
    this.perp = part("perp");
    this.spark = part("spark");
    this.name = this.label.textContent;
    this.parts = new Map();
    for (const cell of this.cells.children) this.parts.set(cell.dataset.code, partsOf(cell));
  }

  /** Have exactly these cells, in this order. */
  arrange(codes) {
    const cells = codes.map((code) => {
      if (!this.parts.has(code)) this.parts.set(code, partsOf(newCell(code)));
      return this.parts.get(code).cell;
    });
    if (cells.length !== this.cells.children.length) this.cells.replaceChildren(...cells);
  }

  /** own: the patient's alarms, the most urgent first; looking: names of who has the patient open. */
  draw(patient, now, own, looking) {
    const first = own[0];
    mark(this.element, { priority: first?.priority, unanswered: first?.unanswered ? "" : undefined });
    fill(this.alarm, own);
    drawChip(this.chip, patient.standing);
    if (this.perp.hidden === patient.standing.own_limits) this.perp.hidden = !patient.standing.own_limits;
    if (this.name !== patient.label || this.label.textContent === "") {
      this.name = patient.label;
      this.label.textContent = patient.label || patient.id;
      this.small.textContent = patient.label ? patient.id : "";
    }
    const waiting = patient.cells.size === 0;
    if (this.waiting.hidden === waiting) this.waiting.hidden = !waiting;
    const who = looking.map((name) => name || t("who.none")).join(", ");
    if (this.watching.title !== who) {
      this.watching.title = who;
      this.watching.hidden = !who;
      put(this.watching, who && plural("ward.watching", looking.length));
    }
    for (const [code, parts] of this.parts) {
      const said = words(patient.cells.get(code), now);
      mark(parts.cell, { status: said.status, three: patient.standing.threes.includes(code) ? "" : undefined });
      put(parts.value, said.value);
      if (parts.trend !== said.trend) {
        parts.trend = said.trend;
        parts.arrow.textContent = said.arrow;
        parts.arrow.hidden = said.arrow === "";
        parts.arrow.setAttribute("aria-label", said.trend);
      }
      put(parts.sub, said.sub);
    }
  }
}

/** As chip in twin/care/alarm_words.py. */
export function drawChip(chip, { news2, complete, any3 }) {
  const [shown, spoken] = chip.children;
  let level = "none";
  if (news2 === 0) level = "0";
  else if (news2 !== null) level = news2 >= 7 ? "high" : news2 >= 5 ? "medium" : any3 ? "single" : "low";
  mark(chip, { level, missing: complete ? undefined : "" });
  put(shown, news2 === null ? "—" : complete ? `${news2}` : `${news2}+`);
  put(spoken, news2 === null ? t("news2.none") : t(complete ? "news2.complete" : "news2.at_least", { n: news2 }));
}

function newCell(code) {
  const cell = cellTemplate.cloneNode(true);
  cell.dataset.code = code;
  cell.querySelector(".name").textContent = `${t(`short.${code}`)} ${signals.get(code).unit}`;
  return cell;
}

function partsOf(cell) {
  const [value, arrow, sub] = ["value", "arrow", "sub"].map((name) => cell.querySelector(`.${name}`));
  return { cell, value, arrow, sub, trend: arrow.getAttribute("aria-label") };
}
