// The page's own sound: off until somebody tests it, since browsers allow none before. A second
// signal only: the first is the bedside and the phone.
import { t } from "./i18n.js";

const chip = document.getElementById("sound");
const said = document.getElementById("said");
/** Seconds between two bursts, and what a burst is: [Hz, s after its beginning]. */
const BURSTS = {
  high: [8, [[880, 0], [880, 0.25], [880, 0.5], [660, 0.9], [660, 1.15]]],
  medium: [20, [[660, 0], [660, 0.3], [660, 0.6]]],
  lost: [10, [[440, 0], [330, 0.4]]],
};

let context = null;
let last = -Infinity;
let before = null;

export function install() {
  chip.hidden = false;
  chip.setAttribute("aria-pressed", "false");
  chip.addEventListener("click", () => {
    const on = context === null;
    if (on) {
      context = new AudioContext();
      burst(BURSTS.medium[1]);
      said.textContent = t("sound.test");
    } else {
      context.close();
      context = null;
    }
    chip.textContent = t(on ? "sound.on" : "sound.off");
    chip.setAttribute("aria-pressed", String(on));
  });
}

/** What must be heard now: a priority, "lost", or undefined. Called again and again. */
export function sounding(kind) {
  if (kind !== before) last = -Infinity;
  before = kind;
  const [every, notes] = BURSTS[kind] ?? [];
  if (notes === undefined || context === null || performance.now() - last < every * 1000) return;
  last = performance.now();
  burst(notes);
}

function burst(notes) {
  context.resume();
  for (const [hertz, after] of notes) {
    const [tone, loud] = [context.createOscillator(), context.createGain()];
    const at = context.currentTime + after;
    tone.frequency.value = hertz;
    loud.gain.setValueAtTime(0, at);
    loud.gain.linearRampToValueAtTime(0.4, at + 0.02);
    loud.gain.linearRampToValueAtTime(0, at + 0.18);
    tone.connect(loud).connect(context.destination);
    tone.start(at);
    tone.stop(at + 0.2);
  }
}
