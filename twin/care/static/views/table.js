// Lists and stories that the server writes.
import { about } from "../app/about.js";
import { fresh } from "../app/fresh.js";
import { silences } from "../app/silences.js";

export function open() {
  receipt(document.querySelector("#fresh > [data-unseen]")?.dataset.alarm);
  const own = document.querySelector("#fresh > [data-alarm]")?.dataset.alarm;
  const alarm = () => document.activeElement?.closest("[data-alarm]")?.dataset.alarm ?? own;
  const renew = fresh("fresh");
  const told = (name, body) => (silences(name, body), renew(name));
  return { told, drawn() {}, alarm, keys: { Escape: () => location.assign("/") } };
}

/** Whoever opens an alarm by name, while it waits for somebody, has seen it; once is enough. */
function receipt(alarm) {
  if (alarm === undefined || !about.name) return;
  const headers = { "content-type": "application/json" };
  fetch(`/api/v1/alarms/${encodeURIComponent(alarm)}/seen`, { method: "POST", body: "{}", headers }).catch(() => {});
}
