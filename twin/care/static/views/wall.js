// The ward on a wall: a page of beds at a time, nothing to press. Names are masked; beds that wait for
// somebody stand first on every page; pages stand still while a high alarm waits.
import { byPatient, how, SYMBOLS, waiting, what } from "../app/alarms.js";
import { clock, now } from "../app/clock.js";
import { put, words } from "../app/format.js";
import { t } from "../app/i18n.js";
import { silences } from "../app/silences.js";
import { drawChip } from "../ui/row.js";

/** Beds that fit with digits to be read at 4 m; of them so many may be pinned. */
const BEDS = 13;
const PINNED = 6;
/** A longer name takes two smaller lines. */
const LONG = 10;
const PAGE_MS = 15000;
const SHIFT_MS = 600000;
const RELOAD_AT = "04:00";

const table = document.getElementById("wall");
const body = table.tBodies[0];
const codes = [...table.querySelectorAll("th[data-code]")].map((head) => head.dataset.code);
const masked = table.dataset.mask === "yes";

export function open(store) {
  let page = 0;
  let turned = performance.now();
  let loaded = clock(now()).slice(0, 5);
  keepAwake();
  document.addEventListener("visibilitychange", keepAwake);

  function drawn() {
    const patients = [...store.patients.values()].sort((a, b) => a.standing.urgency - b.standing.urgency
      || a.label.localeCompare(b.label, undefined, { numeric: true }) || a.id.localeCompare(b.id));
    const own = byPatient();
    const pinned = patients.filter(({ id }) => own.get(id)?.[0].unanswered).slice(0, PINNED);
    const others = patients.filter((patient) => !pinned.includes(patient));
    const room = BEDS - pinned.length;
    const pages = Math.max(1, Math.ceil(others.length / room));
    const held = waiting().some(({ priority }) => priority === "high");
    if (held) [page, turned] = [0, performance.now()];
    else if (performance.now() - turned >= PAGE_MS) [page, turned] = [page + 1, performance.now()];
    page %= pages;
    const shown = [...pinned, ...others.slice(page * room, (page + 1) * room)];
    table.hidden = shown.length === 0;
    document.getElementById("wall-empty").hidden = shown.length > 0;
    while (body.rows.length > shown.length) body.lastElementChild.remove();
    while (body.rows.length < shown.length) body.append(newRow());
    shown.forEach((patient, i) => draw(body.rows[i], patient, own.get(patient.id) ?? []));
    put(document.getElementById("wall-page"), pages === 1 ? "" : t(held ? "wall.held" : "wall.page", { n: page + 1, of: pages }));
    const turn = Math.floor(performance.now() / SHIFT_MS) % 2;
    table.classList.toggle("shifted", turn === 1);
    reloadAtNight();
  }

  /** A page that runs for weeks takes the newest build once a day, but only where all is well. */
  function reloadAtNight() {
    const time = clock(now()).slice(0, 5);
    const well = store.state === "live" && document.getElementById("pill").dataset.link === "live";
    if (time === RELOAD_AT && loaded !== RELOAD_AT && well && waiting().length === 0) {
      loaded = RELOAD_AT;
      location.reload();
    }
    if (time !== RELOAD_AT) loaded = time;
  }

  return { drawn, told: silences, keys: {} };
}

function draw(row, patient, own) {
  const first = own[0];
  row.dataset.id = patient.id;
  for (const [name, value] of [["priority", first?.priority], ["unanswered", first?.unanswered ? "" : undefined]]) {
    if (value === undefined) delete row.dataset[name];
    else row.dataset[name] = value;
  }
  const label = patient.label || patient.id;
  put(row.cells[0], masked ? mask(label) : label);
  row.cells[0].classList.toggle("long", row.cells[0].textContent.length > LONG);
  drawChip(row.querySelector(".chip"), patient.standing);
  codes.forEach((code, i) => {
    const said = words(patient.cells.get(code), now());
    const cell = row.cells[2 + i];
    cell.dataset.status = said.status;
    const number = said.value.replace(/^≈\s*/, "");
    cell.firstElementChild.toggleAttribute("data-about", number !== said.value);
    put(cell.firstElementChild, number);
    put(cell.lastElementChild, said.arrow === "→" ? "" : said.arrow);
  });
  const [symbol, whole, small] = row.cells[2 + codes.length].children;
  symbol.hidden = first === undefined;
  if (first) symbol.dataset.priority = first.priority;
  put(symbol, first ? SYMBOLS[first.priority] : "");
  put(whole, first ? what(first) : "");
  put(small, first ? how(first) : "");
}

/** Beds stay, names become their first letters: "Marie Zola, bed 12" → "M… Z… bed 12". */
export function mask(label) {
  const place = /^(bed|lit|room|chambre|box|ch\.?)$/i;
  return label.split(/[\s,]+/).map((word) => (/\d/.test(word) || place.test(word) ? word : `${word[0]}…`)).join(" ");
}

function newRow() {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  const chip = document.createElement("td");
  chip.innerHTML = '<span class="chip"><span aria-hidden="true"></span><span class="sr"></span></span>';
  const cells = codes.map(() => {
    const cell = document.createElement("td");
    cell.className = "digits";
    cell.append(document.createElement("span"), document.createElement("small"));
    return cell;
  });
  const alarm = document.createElement("td");
  alarm.className = "called";
  for (const [tag, name] of [["span", "symbol"], ["b", ""], ["small", ""]]) alarm.append(Object.assign(document.createElement(tag), { className: name }));
  row.append(head, chip, ...cells, alarm);
  return row;
}

/** The screen stays on while the page is to be seen. */
function keepAwake() {
  if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => {});
}
