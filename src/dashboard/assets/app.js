// The dashboard's page: asks, and lets the parts draw.

import * as chart from "./chart.js";
import { byId, setText } from "./dom.js";
import { setServerNow } from "./format.js";
import * as leaderboard from "./leaderboard.js";
import * as live from "./live.js";
import * as panels from "./panels.js";
import { ask, poll } from "./poll.js";
import * as status from "./status.js";
import { showWell } from "./well.js";
import { visible } from "./text.js";

let namespace = "";

function showOverview(body) {
  setServerNow(body.now);
  namespace = typeof body.namespace === "string" ? body.namespace : "";
  setText(byId("namespace"), visible(namespace));
  setText(byId("version"), body.version ? `· ${visible(body.version)}` : "");
  status.heard(body);
  panels.showFigures(body);
  showWell(body.sources);
  chart.show(body.history ?? []);
  leaderboard.setHours(body.hours);
}

chart.start();
live.start();
leaderboard.start();
poll(2, () => ask("/api/overview"), showOverview, status.unheard);
poll(
  3,
  () => ask("/api/queues"),
  (body) => panels.showQueues(body, namespace),
);
poll(3, () => ask("/api/workers"), panels.showPrograms);
poll(10, () => ask("/api/dead-letters"), panels.showDead);
poll(10, () => ask("/api/gaps"), panels.showGaps);
setInterval(() => {
  if (!document.hidden) status.tick();
}, 1000);
