// Opens the stream and the page's own view.
import { about } from "./about.js";
import { sync } from "./clock.js";
import * as frame from "./frame.js";
import { install } from "./keys.js";
import { Stream } from "./sse.js";
import { Store, schedule } from "./store.js";

const page = document.body.dataset.page;
const store = new Store();
const goWard = () => location.assign("/");

const opened = {
  ward: async () => (await import("../views/ward.js")).open(store),
  patient: async () => (await import("../views/patient.js")).open(store),
  devices: async () => (await import("../views/table.js")).open(),
  quarantine: async () => (await import("../views/table.js")).open(),
  absent: async () => ({ keys: { Escape: goWard }, drawn() {}, told() {} }),
};
const paths = {
  ward: "/api/v1/stream",
  patient: `/api/v1/stream?patient=${encodeURIComponent(about.patient)}`,
};

const view = await opened[page]();
install({ "g w": goWard, ...view.keys });

function told(name, body) {
  sync(body.time);
  if (name === "hello" && body.build !== about.build) frame.offerReload();
  store.take(name, body);
  if (name !== "hello") frame.heard(body.time, body.state);
  view.told(name, body);
  schedule(view.drawn);
}

new Stream(paths[page] ?? "/api/v1/stream?quiet=true", told, frame.show);
frame.tick();
setInterval(() => {
  frame.tick();
  schedule(view.drawn);
}, 1000);
