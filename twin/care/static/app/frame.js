// The frame of every page: connection pill, banner, clock, and what is said aloud.
import { about } from "./about.js";
import { clock, now } from "./clock.js";
import { put } from "./format.js";
import { disable } from "./act.js";
import { t } from "./i18n.js";
import { sounding } from "./sound.js";

const pill = document.getElementById("pill");
const sign = pill.querySelector(".sign");
const text = pill.querySelector(".text");
const banner = document.getElementById("banner");
const said = document.getElementById("said");
const time = document.getElementById("clock");
/** Silence of the link, in s, that is heard where sound is on. */
const TONE_S = 15;
const SIGNS = { connecting: "◌", live: "●", late: "◐", lost: "✕" };

let link = "connecting";
let lastHeard = about.time;
let state = "live";

/** The newest event, by the server's clock (epoch ms): values on the page are of then. */
export function heard(ms, upstream) {
  if (state === "live" || upstream === "live") lastHeard = ms;
  state = upstream;
}

/** How the link is, see sse.js. */
export function show({ state: felt, silent }) {
  if (felt !== link) {
    if (felt === "lost") put(said, t("link.said_lost"));
    else if (felt === "live" && link === "lost") put(said, t("link.said_live"));
    link = felt;
    pill.dataset.link = felt;
    put(sign, SIGNS[felt]);
  }
  put(text, t(`link.${felt}`, { n: silent, time: clock(lastHeard) }));
  const down = link === "lost" || state !== "live";
  document.body.classList.toggle("dim", down || felt === "late");
  disable(felt === "lost");
  if (felt === "lost" && silent >= TONE_S) sounding("lost");
  banner.hidden = !down && !banner.dataset.build;
  if (down) say(link === "lost" ? t("link.banner", { time: clock(lastHeard) }) : stateWords());
}

/** Another build answers than the one that made this page. */
export function offerReload() {
  if (banner.dataset.build) return;
  banner.dataset.build = "new";
  banner.textContent = t("link.reload");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = t("link.reload_now");
  button.addEventListener("click", () => location.reload());
  banner.append(button);
  banner.hidden = false;
}

export function tick() {
  put(time, clock(now()));
}

function stateWords() {
  const parts = { part: state, time: clock(lastHeard) };
  return `state.${state}` in about.words ? t(`state.${state}`, parts) : t("state.down", parts);
}

function say(words) {
  delete banner.dataset.build;
  if (banner.textContent !== words) banner.textContent = words;
}
