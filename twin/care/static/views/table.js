// Lists and stories that the server writes.
import { fresh } from "../app/fresh.js";

export function open() {
  const own = document.querySelector("#fresh > [data-alarm]")?.dataset.alarm;
  const alarm = () => document.activeElement?.closest("[data-alarm]")?.dataset.alarm ?? own;
  return { told: fresh("fresh"), drawn() {}, alarm, keys: { Escape: () => location.assign("/") } };
}
