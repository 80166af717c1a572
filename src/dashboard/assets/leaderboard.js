// The hour's top developers, and the hours before.

import { account, bar, byId, el, setText } from "./dom.js";
import { count, hour } from "./format.js";
import { ask, poll } from "./poll.js";

const PLACES = 12;

/** The hour chosen, or null for the newest. */
let chosen = null;
/** The hour shown. */
let shown = null;
/** All hours that have counts, oldest first. */
let hours = [];
let again = () => {};

/** The hours by steps of `by` from the one shown. */
function neighbour(by) {
  if (hours.length === 0) return null;
  const place = hours.indexOf(shown);
  if (place >= 0) return hours[place + by] ?? null;
  // The hour shown has no counts: the nearest that has.
  return (by < 0 ? hours.filter((one) => one < shown).at(-1) : hours.find((one) => one > shown)) ?? null;
}

function drawButtons() {
  // Not `disabled`: that would take the keyboard away from who steps to the end.
  const allow = (id, allowed) => byId(id).setAttribute("aria-disabled", String(!allowed));
  allow("hour-before", neighbour(-1) !== null);
  allow("hour-after", neighbour(1) !== null);
  allow("hour-newest", chosen !== null);
}

/** Takes the hours that there are. */
export function setHours(names) {
  hours = Array.isArray(names) ? names : [];
  drawButtons();
}

function draw(body) {
  shown = body.hour;
  setText(byId("hour"), hour(body.hour));
  setText(byId("hour-total"), typeof body.total === "number" ? `· ${count(body.total)} events` : "");
  const developers = body.developers ?? [];
  const most = Math.max(1, ...developers.map((developer) => developer.score));
  byId("leaders").dataset.hour = body.hour ?? "";
  byId("leaderboard").replaceChildren(
    ...developers.map(({ login, score }, place) =>
      el(
        "li",
        "leader",
        el("span", "place", String(place + 1)),
        el("span", "who", account(login)),
        el("span", "score", count(score)),
        bar(score / most),
      ),
    ),
  );
  byId("leaders-empty").hidden = developers.length > 0;
  drawButtons();
}

/** What is shown stays; that it is not what was asked for is said. */
function failed(failure) {
  if (failure.status !== null) setText(byId("hour-total"), "· not to be had now");
}

function choose(name) {
  chosen = name === hours.at(-1) ? null : name;
  again();
}

/** Steps by one hour, back or on. */
function step(by) {
  const next = neighbour(by);
  if (next === null) return;
  // What comes next counts from here, even before the answer is there.
  shown = next;
  choose(next);
}

/** Once. */
export function start() {
  again = poll(5, () => ask("/api/leaderboard", { hour: chosen, limit: PLACES }), draw, failed);
  byId("hour-before").addEventListener("click", () => step(-1));
  byId("hour-after").addEventListener("click", () => step(1));
  byId("hour-newest").addEventListener("click", () => choose(null));
  byId("leaders").addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    step(event.key === "ArrowLeft" ? -1 : 1);
  });
}
