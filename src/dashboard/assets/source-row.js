// A row of the sources' table.

import { el, foreign, setText } from "./dom.js";
import { age, count, duration, percentFine, rate, secondsSince, UNKNOWN } from "./format.js";
import { accountUrl, repositoryUrl } from "./text.js";

const COVERAGE_BAD = 0.5;
const COVERAGE_WARN = 0.9;

/** Where a source is at GitHub, or null. */
function url(source) {
  const [kind, ...rest] = String(source).split("/");
  const name = rest.join("/");
  if (kind === "repos" || kind === "networks") return repositoryUrl(name);
  return kind === "orgs" || kind === "users" ? accountUrl(name) : null;
}

function named(source) {
  const address = url(source.source);
  if (!address) return foreign(source.source);
  const link = el("a", "", foreign(source.source));
  link.href = address;
  link.rel = "noopener noreferrer";
  link.target = "_blank";
  return link;
}

const ago = (time) => {
  const seconds = secondsSince(time);
  return seconds === null ? UNKNOWN : `${age(seconds)} ago`;
};

const until = (time) => {
  const seconds = secondsSince(time);
  if (seconds === null) return UNKNOWN;
  return seconds < 0 ? `in ${age(-seconds)}` : "due";
};

function level(source) {
  if (source.blind) return "level-bad";
  if (source.state === "polled") return "";
  return source.state === "never-polled" ? "muted" : "level-warn";
}

function coverageLevel(part) {
  if (typeof part !== "number" || part >= COVERAGE_WARN) return "";
  return part < COVERAGE_BAD ? "level-bad" : "level-warn";
}

/** The cells behind the name: text, and a class. */
const columns = (source) => [
  [percentFine(source.coverage), coverageLevel(source.coverage)],
  [count(source.gaps), ""],
  [source.gap_seconds > 0 ? duration(source.gap_seconds) : "0", ""],
  [rate(source.events_per_hour), ""],
  [count(source.events), ""],
  [ago(source.newest_event_at), ""],
  [ago(source.last_poll_at), source.blind ? "level-bad" : ""],
  [until(source.next_poll_at), ""],
  [rate(source.weight), "muted"],
  [typeof source.token === "number" ? count(source.token) : UNKNOWN, "muted"],
];

/** Makes the cells of a row, or changes those that differ. */
export function cells(tr, source) {
  if (tr.cells.length === 0) {
    const name = el("th", "source-name", named(source));
    name.scope = "row";
    tr.append(name, el("td"), ...columns(source).map(() => el("td")));
  }
  const state = source.blind ? `${source.state}, blind` : source.state;
  const key = JSON.stringify([state, source.trouble, source.moved_to]);
  if (tr.dataset.key !== key) {
    tr.dataset.key = key;
    const name = tr.cells[0];
    while (name.children.length > 1) name.lastChild.remove();
    if (source.trouble) name.append(el("p", "error", foreign(source.trouble)));
    if (source.moved_to) name.append(el("p", "", "now ", foreign(source.moved_to)));
    tr.cells[1].replaceChildren(foreign(state, level(source)));
  }
  columns(source).forEach(([text, kind], place) => {
    const cell = tr.cells[place + 2];
    setText(cell, text);
    const name = `number ${kind}`.trim();
    if (cell.className !== name) cell.className = name;
  });
}
