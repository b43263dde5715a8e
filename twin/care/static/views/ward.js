// The ward: a row for each patient, patched in place.
import { about, signals } from "../app/about.js";
import { byPatient } from "../app/alarms.js";
import { now } from "../app/clock.js";
import { plural, t } from "../app/i18n.js";
import { silences } from "../app/silences.js";
import { Row } from "../ui/row.js";
import { Sparks } from "../ui/spark.js";

const list = document.getElementById("rows");
const columns = document.querySelector(".columns");
const filter = document.getElementById("filter");
const noMatch = document.getElementById("no-match");
const moved = document.getElementById("moved");
const filters = document.querySelector(".filters");
const sort = document.getElementById("sort");
/** Rows change places at most so often. */
const REORDER_MS = 5000;
const byName = new Intl.Collator(about.language, { numeric: true });

export function open(store) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  for (const element of list.children) rows.set(element.dataset.id, new Row(element.dataset.id, element));
  let codes = [...columns.querySelectorAll("[data-code]")].map((cell) => cell.dataset.code);
  let listed = "";
  let placed = -Infinity;
  const asked = new URLSearchParams(location.search);
  let wanted = document.querySelector(`[data-filter="${CSS.escape(asked.get("f") ?? "")}"]`)?.dataset.filter ?? "all";
  const sparks = new Sparks();
  sort.value = asked.get("sort") === "label" ? "label" : "risk";
  sort.parentElement.hidden = false;
  sort.addEventListener("change", () => { remember(); place(true); });
  filter.value = asked.get("q") ?? "";
  let own = new Map();
  const looking = new Map();
  filters.hidden = false;
  filters.addEventListener("click", (event) => choose(event.target.closest("[data-filter]")?.dataset.filter));
  moved.querySelector("button").addEventListener("click", () => {
    place(true);
    list.querySelector(".row:not([hidden]) a.open")?.focus();
  });
  choose(wanted);
  filter.closest(".filter").hidden = false;
  filter.addEventListener("input", () => { remember(); match(); });
  noMatch.querySelector("button").addEventListener("click", () => {
    filter.value = "";
    choose("all");
    filter.focus();
  });

  function told(name, body) {
    silences(name, body);
    if (name === "snap") looking.clear();
    for (const [id, names] of Object.entries(body.watching ?? {})) looking.set(id, names);
  }

  function drawn() {
    if (store.patients.size > 0 || rows.size > 0) arrange();
    const at = now();
    own = byPatient();
    for (const patient of store.patients.values()) rows.get(patient.id).draw(patient, at, own.get(patient.id) ?? [], looking.get(patient.id) ?? []);
    if (filter.value || wanted !== "all") match();
    place(false);
    for (const { element } of rows.values()) sparks.watch(element);
    sparks.tick();
    store.dirty.clear();
  }

  /** Rows for all patients in the order of names, cells for all signals that anybody has. */
  function arrange() {
    if (!changed()) return;
    const wanted = columnsOf(store.patients.values());
    if (wanted.length > codes.length) addColumns(wanted);
    for (const id of store.patients.keys()) if (!rows.has(id)) rows.set(id, new Row(id));
    for (const [id, row] of rows) {
      if (!store.patients.has(id)) {
        row.element.remove();
        rows.delete(id);
      } else row.arrange(codes);
    }
    placed = -Infinity;
    document.getElementById("count").textContent = plural("ward.count", rows.size);
    document.getElementById("empty").hidden = rows.size > 0;
    columns.hidden = rows.size === 0;
  }

  /** As ward_columns in twin/care/vitals.py; a column that stands stays. */
  function columnsOf(patients) {
    const present = new Set(codes);
    for (const { cells } of patients) {
      const own = [...cells.keys()];
      const ward = own.filter((code) => signals.get(code).ward);
      for (const code of ward.length ? ward : own) present.add(code);
    }
    return [...signals.keys()].filter((code) => present.has(code));
  }

  function changed() {
    if (store.dirty.size === 0) return false;
    let keys = store.patients.size;
    const names = [];
    for (const patient of store.patients.values()) {
      keys += patient.cells.size;
      names.push(patient.id, patient.label);
    }
    const seen = `${keys} ${names.join("\n")}`;
    const differs = seen !== listed;
    listed = seen;
    return differs;
  }

  function addColumns(wanted) {
    codes = wanted;
    const heads = codes.map((code) => {
      const head = document.createElement("span");
      head.className = "cell";
      head.dataset.code = code;
      const unit = document.createElement("small");
      unit.textContent = signals.get(code).unit;
      head.append(`${t(`short.${code}`)} `, unit);
      return head;
    });
    columns.querySelector(".cells").replaceChildren(...heads);
  }

  /** Patients in the order of urgency, then names. */
  function order() {
    return [...store.patients.values()].sort(
      (a, b) => (sort.value === "risk" && a.standing.urgency - b.standing.urgency)
        || (a.label === "") - (b.label === "")
        || byName.compare(a.label, b.label) || byName.compare(a.id, b.id),
    );
  }

  /** Move only rows that stand wrong; focus stays where it was. While somebody points or types in
   * the list nothing moves under his hand: a button offers it. */
  function place(now_) {
    const due = performance.now() - placed >= REORDER_MS;
    if (!now_ && !due) return;
    const sorted = order();
    const wrong = sorted.filter(({ id }, i) => list.children[i] !== rows.get(id).element);
    const busy = !now_ && wrong.every(({ id }) => rows.get(id).element.isConnected) && (list.matches(":hover") || list.contains(document.activeElement));
    moved.hidden = !busy || wrong.length === 0;
    if (wrong.length === 0) return;
    if (busy) {
      moved.firstElementChild.textContent = plural("ward.moved", wrong.length);
      return;
    }
    placed = performance.now();
    const focused = document.activeElement;
    let next = list.firstElementChild;
    for (const { id } of sorted) {
      const { element } = rows.get(id);
      if (element === next) next = next.nextElementSibling;
      else list.insertBefore(element, next);
    }
    if (list.contains(focused) && document.activeElement !== focused) focused.focus({ preventScroll: true });
  }

  function choose(name) {
    if (name === undefined) return;
    wanted = name;
    for (const button of filters.children) button.setAttribute("aria-pressed", String(button.dataset.filter === name));
    remember();
    match();
  }

  /** A link is a view: what is shown stands in the address. */
  function remember() {
    const query = new URLSearchParams(location.search);
    for (const [name, value, usual] of [["f", wanted, "all"], ["sort", sort.value, "risk"], ["q", filter.value.trim(), ""]]) {
      if (value === usual) query.delete(name);
      else query.set(name, value);
    }
    history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  }

  function chosen(id) {
    const alarms = own.get(id) ?? [];
    if (wanted === "alarms") return alarms.some((alarm) => alarm.kind !== "advisory");
    if (wanted === "mine") return alarms.some((alarm) => alarm.taken_by === about.name);
    if (wanted !== "silent") return true;
    const cells = [...store.patients.get(id)?.cells.values() ?? []];
    return cells.every(({ status }) => status === "stale" || status === "none");
  }

  function match() {
    const sought = filter.value.trim().toLocaleLowerCase(about.language);
    let shown = 0;
    for (const [id, row] of rows) {
      const named = row.link.querySelector(".who").textContent.toLocaleLowerCase(about.language).includes(sought);
      const hit = named && chosen(id);
      row.element.hidden = !hit;
      shown += hit;
    }
    noMatch.hidden = shown > 0 || rows.size === 0;
    const text = filter.value.trim() || t(`ward.${wanted}`);
    noMatch.firstElementChild.textContent = t("ward.no_match", { text });
  }

  function step(by) {
    const links = [...list.querySelectorAll(".row:not([hidden]) a.open")];
    const at = links.indexOf(document.activeElement?.closest(".row")?.querySelector("a.open"));
    const to = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
    links[to]?.focus();
    links[to]?.scrollIntoView({ block: "nearest" });
  }

  return {
    drawn,
    told,
    keys: {
      j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
      "/": () => filter.focus(), m: () => choose(wanted === "mine" ? "all" : "mine"),
    },
    alarm: () => document.activeElement?.closest(".row[data-unanswered]")?.querySelector(".alarm").dataset.alarm,
  };
}
