// Events a second by type over the last ten minutes: a stacked area, and the same as a table.
// It is drawn here, not by a library: the page has no build step and loads no code of others.

import { byId, el, foreign, number, row, setText, svg } from "./dom.js";
import { clock, count, rate, serverNow, short } from "./format.js";
import { shortType } from "./summary.js";
import { visible } from "./text.js";

const SPAN_S = 600;
const SPAN_MIN_S = 120;
const STEP_S = 10;
/** Programs tell every two seconds. */
const TOLD_WITHIN_S = 3;
const COLOURS = 8;
const OTHER = "other types";
const MARGIN = { top: 8, right: 4, bottom: 20, left: 34 };

/** The types that everybody knows keep their colours. */
const USUAL = [
  "PushEvent",
  "CreateEvent",
  "PullRequestEvent",
  "WatchEvent",
  "IssueCommentEvent",
  "DeleteEvent",
  "IssuesEvent",
  "PullRequestReviewEvent",
];
const colours = new Map(USUAL.map((type, place) => [type, place]));

/** The class of a type's colour. */
export const colour = (type) => (colours.has(type) ? `type-${colours.get(type)}` : "type-other");

/** Adds the samples of a step together: `{at, seconds, types: Map, loaded}`, oldest first; `at` is the step's begin in s. */
export function steps(history, step_s) {
  const found = new Map();
  for (const sample of history) {
    const at_s = Date.parse(sample.at) / 1000;
    if (!Number.isFinite(at_s) || !(sample.seconds > 0)) continue;
    const start = Math.floor(at_s / step_s) * step_s;
    const step = found.get(start) ?? { at: start, seconds: 0, loaded: 0, duplicates: 0, types: new Map() };
    step.seconds += sample.seconds;
    step.loaded += sample.loaded ?? 0;
    step.duplicates += sample.duplicates ?? 0;
    for (const [type, events] of Object.entries(sample.types ?? {}))
      step.types.set(type, (step.types.get(type) ?? 0) + events);
    found.set(start, step);
  }
  return [...found.values()].sort((a, b) => a.at - b.at);
}

/** All types in these steps with their totals, most frequent first. */
function totals(found) {
  const sums = new Map();
  for (const step of found) for (const [type, events] of step.types) sums.set(type, (sums.get(type) ?? 0) + events);
  return [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

/** Types outside the usual ones take the colours that no type here uses. */
function giveColours(types) {
  const here = new Set(types);
  for (const type of types) {
    if (colours.has(type) || type === "other") continue;
    const free = USUAL.find((usual) => colours.has(usual) && !here.has(usual));
    if (free === undefined) return;
    colours.set(type, colours.get(free));
    colours.delete(free);
  }
}

/** A round number not below `value`, with a round half. */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.6, 2, 3, 4, 6, 8, 10].map((times) => times * power).find((round) => round >= value * 0.999);
}

let latest = { history: [], layers: [], found: [] };
let known_types = [];
const listeners = new Set();

/** Calls `listener` with all types seen, most frequent first, whenever a new one is seen. */
export function onTypes(listener) {
  listeners.add(listener);
}

/** Shows this history. */
export function show(history) {
  const found = steps(history, STEP_S);
  const sums = totals(found);
  // What the programs themselves count as `other` never has a colour.
  const types = sums.map(([type]) => type);
  giveColours(types);
  const own = types.filter((type) => colours.has(type)).slice(0, COLOURS);
  const layers = own.map((type) => ({ type, of: (step) => step.types.get(type) ?? 0 }));
  if (types.length > own.length) {
    const rest = types.filter((type) => !own.includes(type));
    layers.push({ type: OTHER, of: (step) => rest.reduce((sum, type) => sum + (step.types.get(type) ?? 0), 0) });
  }
  latest = { history, layers, found };
  drawChart();
  drawLegend(layers, new Map(sums));
  if (byId("rates").querySelector("details").open) drawTable();
  if (types.some((type) => !known_types.includes(type))) {
    known_types = [...types, ...known_types.filter((type) => !types.includes(type))];
    for (const listener of listeners) listener(known_types);
  }
}

function drawLegend(layers, sums) {
  const legend = byId("legend");
  const key = layers.map(({ type }) => `${type}/${colour(type)}`).join();
  if (legend.dataset.shown === key) return;
  legend.dataset.shown = key;
  legend.replaceChildren(
    ...layers.map(({ type }) => {
      const item = el("li", "", el("span", `swatch ${colour(type)}`), foreign(shortType(type)));
      if (sums.has(type)) item.title = visible(type);
      return item;
    }),
  );
}

/** Runs of steps without a hole between them. */
function runs(found) {
  const all = [];
  for (const step of found) {
    const run = all.at(-1);
    if (run && step.at - run.at(-1).at <= STEP_S) run.push(step);
    else all.push([step]);
  }
  return all;
}

/** Where the right edge is: the last step that is over, and that every program has told of. */
const end_s = () => Math.floor((serverNow() / 1000 - TOLD_WITHIN_S) / STEP_S) * STEP_S;

function drawChart() {
  const holder = byId("chart");
  const { width, height } = holder.getBoundingClientRect();
  if (width < 40 || height < 40) return;
  const to = end_s();
  // Shortly after the start there is less to show: then that is shown larger.
  const first = latest.found[0]?.at ?? 0;
  const from = Math.max(to - SPAN_S, Math.min(first, to - SPAN_MIN_S));
  const found = latest.found.filter((step) => step.at >= from && step.at < to);
  const most = Math.max(0, ...found.map((step) => step.loaded / step.seconds));
  const top = roundUp(most);
  const x = (at) => MARGIN.left + ((at - from) / (to - from - STEP_S)) * (width - MARGIN.left - MARGIN.right);
  const y = (value) => height - MARGIN.bottom - (value / top) * (height - MARGIN.top - MARGIN.bottom);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description(found) });
  drawGrid(drawing, { width, height, x, y, top, from, to });
  for (const run of runs(found)) drawRun(drawing, run, x, y);
  const cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: height - MARGIN.bottom, visibility: "hidden" });
  drawing.append(cursor);
  holder.replaceChildren(drawing);
  scale = { x, from, to, found, cursor };
  point();
}

function drawGrid(drawing, { width, height, x, y, top, from, to }) {
  for (const part of [0, 0.5, 1]) {
    const at = Math.round(y(top * part)) + 0.5;
    const label = svg("text", { x: MARGIN.left - 6, y: at + 4, "text-anchor": "end" });
    label.textContent = top < 10 ? String(Number((top * part).toPrecision(2))) : short(top * part);
    drawing.append(svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at }), label);
  }
  const every_s = to - from < SPAN_S / 2 ? 60 : width < 420 ? 240 : 120;
  for (let at = Math.ceil(from / every_s) * every_s; at < to; at += every_s) {
    const place = x(at);
    if (place < MARGIN.left + 12 || place > width - 18) continue;
    const label = svg("text", { x: place, y: height - 5, "text-anchor": "middle" });
    label.textContent = clock(at * 1000).slice(-8, -3);
    drawing.append(label);
  }
}

function drawRun(drawing, run, x, y) {
  // One step alone is as wide as a step.
  const points = run.length > 1 ? run : [run[0], { ...run[0], at: run[0].at + STEP_S / 2 }];
  let base = points.map(() => 0);
  for (const { type, of } of latest.layers) {
    const over = points.map((step, place) => base[place] + of(step) / step.seconds);
    if (over.some((value, place) => value > base[place])) {
      const upper = points.map((step, place) => `${x(step.at).toFixed(1)},${y(over[place]).toFixed(1)}`);
      const lower = points.map((step, place) => `${x(step.at).toFixed(1)},${y(base[place]).toFixed(1)}`).reverse();
      drawing.append(svg("path", { class: `layer ${colour(type)}`, d: `M${upper.join("L")}L${lower.join("L")}Z` }));
    }
    base = over;
  }
}

function description(found) {
  if (found.length === 0) return "Events loaded per second, by type: nothing yet";
  const last = found.at(-1);
  const most = Math.max(...found.map((step) => step.loaded / step.seconds));
  return `Events loaded per second, by type: ${rate(last.loaded / last.seconds)} now, at most ${rate(most)} in the last 10 minutes`;
}

/** How the chart as drawn maps times. */
let scale = null;
let pointer_x = null;

function point() {
  if (!scale) return;
  const { found, cursor, x } = scale;
  const readout = byId("readout");
  const nearest =
    pointer_x === null
      ? found.at(-1)
      : found.reduce(
          (best, step) => (!best || Math.abs(x(step.at) - pointer_x) < Math.abs(x(best.at) - pointer_x) ? step : best),
          null,
        );
  if (!nearest) {
    cursor.setAttribute("visibility", "hidden");
    setText(readout, "nothing loaded yet");
    return;
  }
  cursor.setAttribute("visibility", pointer_x === null ? "hidden" : "visible");
  cursor.setAttribute("x1", x(nearest.at));
  cursor.setAttribute("x2", x(nearest.at));
  const parts = latest.layers
    .map(({ type, of }) => [type, of(nearest) / nearest.seconds])
    .filter(([, value]) => value > 0)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 4)
    .map(([type, value]) => `${visible(shortType(type))} ${rate(value)}`);
  setText(readout, [`${clock(nearest.at * 1000)}  ${rate(nearest.loaded / nearest.seconds)}/s`, ...parts].join(" · "));
}

function drawTable() {
  const table = byId("rates-table");
  const minutes = steps(latest.history, 60).reverse();
  const types = totals(minutes).map(([type]) => type);
  const head = (text, className = "number") => {
    const cell = el("th", className, text);
    cell.scope = "col";
    return cell;
  };
  table.tHead.replaceChildren(
    el(
      "tr",
      "",
      head("Minute (UTC)", ""),
      head("All"),
      head("Duplicates"),
      ...types.map((type) => head(foreign(shortType(type)))),
    ),
  );
  table.tBodies[0].replaceChildren(
    ...minutes.map((minute) =>
      row([
        clock(minute.at * 1000).slice(0, -3),
        number(count(minute.loaded)),
        number(count(minute.duplicates)),
        ...types.map((type) => number(count(minute.types.get(type) ?? 0))),
      ]),
    ),
  );
}

/** Once: follows the size of the window, the pointer, and the table being opened. */
export function start() {
  const holder = byId("chart");
  new ResizeObserver(() => drawChart()).observe(holder);
  holder.addEventListener("pointermove", (event) => {
    pointer_x = event.clientX - holder.getBoundingClientRect().left;
    point();
  });
  holder.addEventListener("pointerleave", () => {
    pointer_x = null;
    point();
  });
  byId("rates")
    .querySelector("details")
    .addEventListener("toggle", (event) => {
      if (event.target.open) drawTable();
    });
}
