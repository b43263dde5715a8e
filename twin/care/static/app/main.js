// Opens the stream and the page's own view.
import { about } from "./about.js";
import * as act from "./act.js";
import * as alarms from "./alarms.js";
import { sync } from "./clock.js";
import * as frame from "./frame.js";
import { install } from "./keys.js";
import { Stream } from "./sse.js";
import * as sound from "./sound.js";
import { Store, schedule } from "./store.js";

const page = document.body.dataset.page;
const store = new Store();
const goWard = () => location.assign("/");
const goAlarms = () => location.assign("/alarms");
const table = async () => (await import("../views/table.js")).open();

const opened = {
  ward: async () => (await import("../views/ward.js")).open(store),
  patient: async () => (await import("../views/patient.js")).open(store),
  wall: async () => (await import("../views/wall.js")).open(store),
  alarms: table,
  alarm: table,
  burden: table,
  limits: async () => (await import("../views/limits.js")).open(),
  devices: table,
  device: table,
  quarantine: table,
  absent: async () => ({ keys: { Escape: goWard }, drawn() {}, told() {} }),
};
const paths = {
  ward: "/api/v1/stream",
  wall: "/api/v1/stream",
  patient: `/api/v1/stream?patient=${encodeURIComponent(about.patient)}`,
};

const view = await opened[page]();
const alarmOf = () => view.alarm?.() ?? alarms.first();
const onAlarm = (kind) => () => alarmOf() && act.act(kind, alarmOf());
install({ "g w": goWard, "g a": goAlarms, a: onAlarm("acknowledge"), p: onAlarm("pause"), ...view.keys });
act.install();
sound.install();
const drawAlarms = () => lost || alarms.drawn();
const showLink = () => frame.show(link);
let link;
let lost = false;

function told(name, body) {
  sync(body.time);
  if (name === "hello" && body.build !== about.build) frame.offerReload();
  // The notice that nobody is called stands in the page: it must be true.
  if (name === "hb" && Boolean(body.alarms_on) !== about.alarms_on && !document.querySelector("dialog[open]")) location.reload();
  if (name === "hb") document.getElementById("uncovered").hidden = !body.unwatched;
  store.take(name, body);
  alarms.take(name, body);
  if (name !== "hello") frame.heard(body.time, body.state);
  view.told(name, body);
  schedule(view.drawn);
  schedule(drawAlarms);
}

new Stream(paths[page] ?? "/api/v1/stream?quiet=true", told, (felt) => {
  link = felt;
  lost = felt.state === "lost";
  if (felt.state === "live") schedule(showLink); // in one frame with the values, after them
  else showLink();
});
frame.tick();
setInterval(() => {
  frame.tick();
  schedule(view.drawn);
  schedule(drawAlarms);
}, 1000);
