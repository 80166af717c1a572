// The page of the sources: a part of thousands, sorted and searched by the server.

import { byId, el, setText } from "./dom.js";
import { count, percentFine, rate, setServerNow } from "./format.js";
import { figure, plural, staleNote } from "./panels.js";
import { ask, poll } from "./poll.js";
import { cells } from "./source-row.js";
import * as status from "./status.js";
import { visible } from "./text.js";
import { showWell } from "./well.js";

const ROWS = 100;
const TYPING_MS = 250;
const STATES = ["polled", "never-polled", "refused", "missing", "failing", "moved", "stale", "other"];
/** Sorted by these, the largest come first. */
const LARGEST_FIRST = ["gaps", "gap_seconds", "events_per_hour", "events", "newest_event_at", "last_poll_at", "weight"];

/** What is asked for. It stands in the page's address too, so that a link or a reload shows the same. */
const view = { search: "", state: "", sort: "worst", order: "asc", offset: 0 };
/** The rows shown, by source. */
const rows = new Map();
let again = () => {};

function readAddress() {
  const given = new URLSearchParams(location.search);
  for (const name of ["search", "state", "sort", "order"]) view[name] = given.get(name) || view[name];
  view.offset = Math.max(0, Number.parseInt(given.get("offset") ?? "0", 10) || 0);
}

function writeAddress() {
  const usual = { search: "", state: "", sort: "worst", order: "asc", offset: 0 };
  const changed = Object.entries(view).filter(([name, value]) => value !== usual[name]);
  const query = new URLSearchParams(changed);
  history.replaceState(null, "", query.size > 0 ? `?${query}` : location.pathname);
}

/** Shows another part of the list. */
function go(changes) {
  Object.assign(view, changes);
  writeAddress();
  drawControls();
  again();
}

function drawControls() {
  const search = byId("filter-search");
  if (search.value !== view.search) search.value = view.search;
  byId("filter-state").value = view.state;
  byId("clear").hidden = !view.search && !view.state;
  byId("worst").setAttribute("aria-pressed", String(view.sort === "worst"));
  for (const button of document.querySelectorAll(".sort")) {
    const sorted = button.dataset.sort === view.sort;
    const order = view.order === "desc" ? "descending" : "ascending";
    button.closest("th").setAttribute("aria-sort", sorted ? order : "none");
  }
}

function sortBy(sort) {
  const usual = LARGEST_FIRST.includes(sort) ? "desc" : "asc";
  const other = view.order === "asc" ? "desc" : "asc";
  go({ sort, order: sort === view.sort ? other : usual, offset: 0 });
}

function showFigures({ total, summary = {} }) {
  const { well, blind, coverage = {}, events_per_hour, budget_covers_all } = summary;
  figure("sources", count(total), total > 0 ? `${count(well)} well` : "none told", total > well ? "warn" : "");
  figure("blind", count(blind), "no complete poll for 2 h", blind > 0 ? "warn" : "");
  const overall = coverage.by_events ?? coverage.mean;
  const worst = typeof coverage.worst === "number" ? `the worst source ${percentFine(coverage.worst)}` : "";
  figure("coverage", percentFine(overall), worst, typeof overall === "number" && overall < 0.9 ? "warn" : "");
  const budget = { true: "the budget suffices for all", false: "the budget is too small for all" }[budget_covers_all];
  const note = budget ?? (events_per_hour == null ? "rates are not known" : "of all sources");
  figure("rate", rate(events_per_hour), note, budget_covers_all === false ? "warn" : "");
}

/** Changes the table to `sources`. Rows that stay are the same elements, so that nobody loses the place. */
function showRows(sources) {
  const body = byId("sources-rows");
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  const names = new Set(sources.map((source) => source.source));
  for (const [name, tr] of rows) {
    if (names.has(name)) continue;
    tr.remove();
    rows.delete(name);
  }
  sources.forEach((source, place) => {
    const tr = rows.get(source.source) ?? el("tr");
    rows.set(source.source, tr);
    cells(tr, source);
    if (body.children[place] !== tr) body.insertBefore(tr, body.children[place] ?? null);
  });
  // An element that is moved loses the keyboard.
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

function showPlace({ total, matching, offset, shown }) {
  const filtered = Boolean(view.search || view.state);
  const found = filtered ? `${count(matching)} of ${plural(total, "source")}` : plural(total, "source");
  setText(byId("sources-note"), found);
  setText(byId("place"), shown > 0 ? `${count(offset + 1)}–${count(offset + shown)} of ${count(matching)}` : "");
  byId("before").setAttribute("aria-disabled", String(offset === 0));
  byId("after").setAttribute("aria-disabled", String(offset + shown >= matching));
  byId("sources-empty").hidden = shown > 0;
  setText(byId("sources-empty"), total > 0 ? "No source is like that." : "No fetcher has told of its sources.");
  byId("sources-scroll").hidden = shown === 0;
}

function show(body) {
  if (body.shown === 0 && body.matching > 0 && view.offset > 0) {
    // The list has become shorter than the place.
    go({ offset: Math.floor((body.matching - 1) / ROWS) * ROWS });
    return;
  }
  showFigures(body);
  showRows(body.sources ?? []);
  showPlace(body);
  const age_note = byId("sources-age");
  age_note.dataset.level = "";
  setText(age_note, staleNote(body.as_of, 30));
}

function failed(failure) {
  const note = byId("sources-age");
  note.dataset.level = "bad";
  setText(note, visible(failure.message));
}

function start() {
  for (const state of STATES) byId("filter-state").append(new Option(state, state));
  readAddress();
  drawControls();
  let typing = null;
  byId("filter-search").addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => go({ search: event.target.value.trim(), offset: 0 }), TYPING_MS);
  });
  byId("filter-state").addEventListener("change", (event) => go({ state: event.target.value, offset: 0 }));
  byId("filters").addEventListener("submit", (event) => {
    event.preventDefault();
    go({ search: byId("filter-search").value.trim(), offset: 0 });
  });
  byId("clear").addEventListener("click", () => {
    go({ search: "", state: "", offset: 0 });
    byId("filter-search").focus();
  });
  byId("worst").addEventListener("click", () => go({ sort: "worst", order: "asc", offset: 0 }));
  for (const button of document.querySelectorAll(".sort"))
    button.addEventListener("click", () => sortBy(button.dataset.sort));
  for (const [id, by] of [
    ["before", -ROWS],
    ["after", ROWS],
  ])
    byId(id).addEventListener("click", (event) => {
      if (event.target.getAttribute("aria-disabled") === "true") return;
      go({ offset: Math.max(0, view.offset + by) });
      byId("sources-title").scrollIntoView({ block: "nearest" });
    });
  again = poll(5, () => ask("/api/sources", { ...view, limit: ROWS }), show, failed);
}

start();
poll(
  5,
  () => ask("/api/overview"),
  (body) => {
    setServerNow(body.now);
    setText(byId("namespace"), visible(body.namespace ?? ""));
    setText(byId("version"), body.version ? `· ${visible(body.version)}` : "");
    status.heard(body);
    showWell(body.sources);
  },
  status.unheard,
);
setInterval(() => {
  if (!document.hidden) status.tick();
}, 1000);
