// What silences many devices at once, a gateway or the broker: a line each, as heartbeats say.
import { about } from "./about.js";

const box = document.getElementById("silences");

/** Told of each event. */
export function silences(name, body) {
  if (name !== "hb" || box === null) return;
  const lines = body.silences?.[about.language] ?? [];
  if (lines.join("\n") === [...box.children].map((line) => line.textContent).join("\n")) return;
  box.replaceChildren(...lines.map((line) => {
    const shown = document.createElement("p");
    shown.className = "banner";
    shown.textContent = line;
    return shown;
  }));
}
