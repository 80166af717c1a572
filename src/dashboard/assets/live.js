// Events as they are loaded: a bounded list, drawn a few times a second however many arrive.

import { colour, onTypes } from "./chart.js";
import { account, byId, el, foreign, repository, setText } from "./dom.js";
import { clock, count } from "./format.js";
import { ask } from "./poll.js";
import { shortType, summary } from "./summary.js";
import { visible } from "./text.js";

const ROWS_MAX = 200;
const DRAW_EVERY_MS = 250;
/** Rows drawn in a second, beyond a burst that fills the list: a poll brings hundreds. More cannot be read, and is counted. */
const ROWS_PER_SECOND = 80;
const HIDDEN_FOR_MS = 15_000;
const RECONNECT_MS = 5_000;
const TYPED_FOR_MS = 500;

/** What can be asked for as a type. */
const TYPE = /^\w{1,64}$/;

const FILTERS = ["type", "repo", "actor"];

let stream = null;
/** Counts the streams opened: what belongs to an earlier one is dropped. */
let generation = 0;
let paused = false;
let connected = false;
/** Why the server does not stream, when it says so. */
let refusal = "";
/** What arrived and is not drawn yet, oldest first: `{id, event}`, or `{missed}` where some are missing. */
let waiting = [];
/** What arrived but will not be drawn, since the list was last empty. */
let passed_over = 0;
let arrived = 0;
/** How many rows may be drawn now. */
let allowed = ROWS_MAX;
let allowed_at = performance.now();
let draw_timer = null;
let reconnect_timer = null;
let hidden_timer = null;
let typed_timer = null;

const filters = () => Object.fromEntries(FILTERS.map((name) => [name, byId(`filter-${name}`).value.trim()]));
const filtered = () => Object.values(filters()).some(Boolean);

/** Redis's stream ids, `milliseconds-number`: which of two is later? */
export function later(a, b) {
  const parts = (id) => String(id).split("-").map(Number);
  const [[a_ms, a_number = 0], [b_ms, b_number = 0]] = [parts(a), parts(b)];
  return a_ms - b_ms || a_number - b_number;
}

function rowOf({ id, event }) {
  const about = event !== null && typeof event === "object" ? event : {};
  const time = el("time", "", clock(about.created_at));
  const kind = el("span", "kind", el("span", `swatch ${colour(about.type)}`), foreign(shortType(about.type)));
  kind.title = visible(about.type);
  const said = summary(about);
  const what = el("span", "what", foreign(said));
  what.title = visible(said);
  const actor = el("span", "actor", account(about.actor?.login));
  const repo = el("span", "repo", repository(about.repo?.name));
  const item = el("li", "event new", time, kind, actor, repo, what);
  item.dataset.id = id;
  return item;
}

const missedRow = () =>
  el("li", "missed", "What was loaded at this point, while this page was not connected, is not listed in full");

/** Draws `entries`, oldest first, at the top of the list. */
function put(entries) {
  const list = byId("events");
  // Who has scrolled down reads: the list must not move under the eyes.
  const before = list.scrollTop > 0 ? list.scrollHeight : null;
  const fragment = document.createDocumentFragment();
  for (const entry of entries.toReversed()) fragment.append("missed" in entry ? missedRow() : rowOf(entry));
  list.prepend(fragment);
  while (list.childElementCount > ROWS_MAX) list.lastElementChild.remove();
  if (before !== null) list.scrollTop += list.scrollHeight - before;
  byId("live-empty").hidden = list.childElementCount > 0;
}

function draw() {
  draw_timer = null;
  if (!paused && !document.hidden && waiting.length > 0) {
    const now = performance.now();
    allowed = Math.min(ROWS_MAX, allowed + ((now - allowed_at) / 1000) * ROWS_PER_SECOND);
    allowed_at = now;
    const count = Math.min(waiting.length, Math.floor(allowed));
    // The newest of them.
    put(waiting.slice(waiting.length - count));
    allowed -= count;
    passed_over += waiting.length - count;
    waiting = [];
  }
  say();
}

function drawSoon() {
  draw_timer ??= setTimeout(draw, DRAW_EVERY_MS);
}

function say() {
  const state = byId("live-state");
  if (!connected) {
    setText(state, stream ? "connecting …" : refusal ? visible(refusal) : "not connected; trying again");
  } else if (paused) {
    setText(
      state,
      waiting.length > 0
        ? `paused, ${count(waiting.length)}${waiting.length >= ROWS_MAX ? " or more" : ""} new`
        : "paused",
    );
  } else {
    const parts = [filtered() ? "only what passes the filters" : "as they are loaded"];
    if (passed_over > 0) parts.push(`${count(passed_over)} of ${count(arrived)} not listed: too many at once`);
    setText(state, parts.join("; "));
  }
  state.dataset.level = connected || stream ? "" : "bad";
}

/** Keeps what arrives, at most as much as the list holds. */
function keep(entry) {
  waiting.push(entry);
  if (waiting.length > 2 * ROWS_MAX) {
    passed_over += waiting.length - ROWS_MAX;
    waiting = waiting.slice(-ROWS_MAX);
  }
  drawSoon();
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What was loaded before the stream opened; the stream may have brought some of it since. */
async function fetchRecent(mine, wanted) {
  const body = await ask("/api/events", { ...wanted, limit: "100" }).catch(() => null);
  if (mine !== generation || !body) return;
  const here = new Set(waiting.map((entry) => entry.id));
  for (const item of byId("events").children) here.add(item.dataset.id);
  const older = (body.events ?? []).filter((entry) => !here.has(entry.id));
  const all = [...older, ...waiting.filter((entry) => "id" in entry)].sort((a, b) => later(a.id, b.id));
  waiting = [];
  arrived += older.length;
  put(all);
  say();
}

function close() {
  generation += 1;
  clearTimeout(reconnect_timer);
  stream?.close();
  stream = null;
  connected = false;
}

/** Empties the list and listens with the filters as they are. */
function restart() {
  waiting = [];
  passed_over = 0;
  arrived = 0;
  byId("events").replaceChildren();
  open();
}

/** Listens with the filters as they are. */
function open() {
  close();
  refusal = "";
  const mine = generation;
  const wanted = filters();
  let first = true;
  byId("clear").hidden = !filtered();
  remember(wanted);
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
  stream = new EventSource(`/api/events/stream${query.size > 0 ? `?${query}` : ""}`);
  stream.addEventListener("open", () => {
    // After an interruption the stream goes on where it was.
    if (first) fetchRecent(mine, wanted);
    first = false;
    connected = true;
    say();
  });
  stream.addEventListener("github-event", (message) => {
    arrived += 1;
    keep({ id: message.lastEventId, event: parse(message.data) });
  });
  stream.addEventListener("missed", (message) => {
    const missed = parse(message.data)?.missed;
    if (typeof missed === "number") {
      passed_over += missed;
      arrived += missed;
      drawSoon();
    } else {
      keep({ missed: true });
    }
  });
  stream.addEventListener("error", () => {
    connected = false;
    // A browser gives up after an answer that is no stream.
    if (stream?.readyState === EventSource.CLOSED) refused(wanted);
    say();
  });
  say();
}

/** The server did not stream: it says why to a plain request. Filters that are wrong stay wrong. */
async function refused(wanted) {
  close();
  const mine = generation;
  const failure = await ask("/api/events", { ...wanted, limit: "1" }).then(
    () => null,
    (error) => error,
  );
  if (mine !== generation) return;
  refusal = failure?.status ? failure.message : "";
  if (failure?.status !== 400) reconnect_timer = setTimeout(open, RECONNECT_MS);
  say();
}

/** The filters in the address: a reload keeps them. */
function remember(wanted) {
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
  const url = query.size > 0 ? `?${query}` : location.pathname;
  history.replaceState(null, "", url);
}

function recall() {
  const query = new URLSearchParams(location.search);
  for (const name of FILTERS) {
    const value = query.get(name);
    if (!value) continue;
    if (name === "type") offer([value]);
    byId(`filter-${name}`).value = value;
  }
}

/** Lists these types to choose from, next to those listed. */
function offer(types) {
  const select = byId("filter-type");
  const listed = new Set([...select.options].map((option) => option.value));
  const chosen = select.value;
  for (const type of types) {
    if (listed.has(type) || !TYPE.test(type)) continue;
    const option = el("option", "", visible(type));
    option.value = type;
    select.append(option);
  }
  const sorted = [...select.options].slice(1).sort((a, b) => (a.value < b.value ? -1 : 1));
  if (sorted.some((option, place) => select.options[place + 1] !== option)) select.append(...sorted);
  select.value = chosen;
}

function togglePause() {
  paused = !paused;
  const button = byId("pause");
  button.setAttribute("aria-pressed", String(paused));
  draw();
}

function onVisibility() {
  clearTimeout(hidden_timer);
  if (document.hidden) {
    hidden_timer = setTimeout(close, HIDDEN_FOR_MS);
  } else if (!stream) {
    open();
  } else {
    drawSoon();
  }
}

/** Once. */
export function start() {
  recall();
  onTypes(offer);
  const apply = () => {
    clearTimeout(typed_timer);
    restart();
  };
  byId("filters").addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  byId("filter-type").addEventListener("change", apply);
  for (const name of ["repo", "actor"]) {
    byId(`filter-${name}`).addEventListener("input", () => {
      clearTimeout(typed_timer);
      typed_timer = setTimeout(apply, TYPED_FOR_MS);
    });
  }
  byId("clear").addEventListener("click", () => {
    for (const name of FILTERS) byId(`filter-${name}`).value = "";
    byId("filter-type").focus();
    apply();
  });
  byId("pause").addEventListener("click", togglePause);
  document.addEventListener("visibilitychange", onVisibility);
  restart();
}
