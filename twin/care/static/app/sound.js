// The page's own sound: off until somebody tests it, since browsers allow none before. A second
// signal only: the first is the bedside and the phone.
import { t } from "./i18n.js";

const chip = document.getElementById("sound");
const said = document.getElementById("said");
/** Seconds between two bursts. */
const EVERY = { high: 8, medium: 20, lost: 10 };

let tones = null; // ui/tones.js, while the sound is on
let last = -Infinity;
let before = null;

export function install() {
  chip.hidden = false;
  chip.ariaPressed = "false";
  chip.addEventListener("click", async () => {
    chip.disabled = true; // one click, one change
    if (tones === null) {
      tones = await import("../ui/tones.js").catch(() => null); // without a link the chip stays off
      tones?.open();
      tones?.burst("medium");
      if (tones) said.textContent = t("sound.test");
    } else {
      tones.close();
      tones = null;
    }
    chip.disabled = false;
    chip.focus();
    chip.textContent = t(tones ? "sound.on" : "sound.off");
    chip.ariaPressed = String(tones !== null);
  });
}

/** What must be heard now: a priority, "lost", or undefined. Called again and again. */
export function sounding(kind) {
  if (kind !== before) last = -Infinity;
  before = kind;
  if (!(kind in EVERY) || tones === null || performance.now() - last < EVERY[kind] * 1000) return;
  last = performance.now();
  tones.burst(kind);
}
