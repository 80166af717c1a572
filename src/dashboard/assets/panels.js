// Figures, queues, programs, dead letters and gaps.

import { byId, el, foreign, number, row, setText } from "./dom.js";
import { age, clock, count, duration, percent, rate, secondsSince } from "./format.js";

const ROWS_MAX = 50;

export function figure(name, value, note, level = "") {
  const box = byId(`figure-${name}`);
  setText(box.querySelector("b"), value);
  setText(box.querySelector(".note"), note);
  box.dataset.level = level;
}

export const plural = (amount, one, many = `${one}s`) => `${count(amount)} ${amount === 1 ? one : many}`;

/** The row of figures, from the overview. */
export function showFigures(body) {
  const { loaded = {}, lag = {}, quota, gaps = {}, coverage, dead_letters } = body;
  figure("loaded", rate(loaded.per_second), `${count(loaded.total)} in total`);
  figure("duplicates", rate(loaded.duplicates_per_second), `${count(loaded.duplicates_total)} in total`);
  figure(
    "lag",
    duration(lag?.p50),
    lag?.p95 === null || lag?.p95 === undefined ? "created to loaded" : `95 % within ${duration(lag.p95)}`,
  );
  const missed = gaps?.count > 0 ? `${plural(gaps.count, "gap")}, ${duration(gaps.seconds)} missed` : "no gap recorded";
  figure("coverage", percent(coverage), missed, typeof coverage === "number" && coverage < 0.9 ? "warn" : "");
  figure("dead", count(dead_letters), `${count(loaded.retried_total)} retried`, dead_letters > 0 ? "warn" : "");
  const spent = quota && quota.limit > 0 && quota.remaining < quota.limit * 0.1;
  const reset = quota ? secondsSince(quota.resets_at) : null;
  const until = reset === null ? "left" : reset < 0 ? `renewed in ${duration(-reset)}` : "about to be renewed";
  setText(byId("figure-quota").querySelector(".unit"), quota ? `of ${count(quota.limit)}` : "");
  figure("quota", count(quota?.remaining), quota ? until : "not known", spent ? "warn" : "");
}

/** Shows `rows` in `body`, or its panel's word for none. */
function fill(id, empty_id, rows) {
  byId(id).replaceChildren(...rows);
  byId(empty_id).hidden = rows.length > 0;
}

/** What stands in a panel's head about the age of what it shows; nothing while it is fresh. */
export function staleNote(as_of, fresh_s = 20) {
  const seconds = secondsSince(as_of);
  return seconds !== null && seconds > fresh_s ? `as of ${clock(as_of)}, ${age(seconds)} old` : "";
}

/** Programs tell of themselves every two seconds. */
const SILENT_S = 10;
/** Dead letters and gaps are looked at seldom while their number stays the same. */
const LOOKED_AT_S = 180;

const KINDS = ["load", "retry", "dead", "gaps", "unrouted", "archive"];

/** The retry queues of a load queue differ by their delay only: one row for all of them. */
function together(queues) {
  const retries = new Map();
  return queues.flatMap((queue) => {
    if (queue.kind !== "retry") return [queue];
    const name = String(queue.name).replace(/\.\d+s$/, "");
    const sum = retries.get(name);
    if (sum) {
      sum.ready += queue.ready;
      return [];
    }
    const first = { ...queue, name, consumers: 0 };
    retries.set(name, first);
    return [first];
  });
}

/** The queues and what waits in the load queues. */
export function showQueues(body, namespace) {
  const queues = [...(body.queues ?? [])].sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  const own = (name) => (namespace && name?.startsWith(`${namespace}.`) ? name.slice(namespace.length + 1) : name);
  const rows = together(queues).map((queue) => {
    const alarming = (queue.kind === "dead" || queue.kind === "unrouted") && queue.ready > 0;
    const idle = queue.kind === "load" && queue.consumers === 0;
    const ready = el("span", alarming ? "level-warn" : "", count(queue.ready));
    const consumers = el(
      "span",
      idle ? "level-warn" : "muted",
      idle ? "nobody" : queue.kind === "load" || queue.consumers > 0 ? count(queue.consumers) : "",
    );
    return row([foreign(own(queue.name), "mono"), number(ready), number(consumers)]);
  });
  fill("queues-rows", "queues-empty", rows);
  setText(byId("queues-age"), staleNote(body.as_of));
  const load = queues.filter((queue) => queue.kind === "load");
  const sum = (of, name) => of.reduce((total, queue) => total + (queue[name] ?? 0), 0);
  const consumers = sum(load, "consumers");
  const later = sum(
    queues.filter((queue) => queue.kind === "retry"),
    "ready",
  );
  const note = [
    plural(consumers, "loader takes", "loaders take") + " them",
    later > 0 ? `${count(later)} to be retried` : "",
  ]
    .filter(Boolean)
    .join(", ");
  figure(
    "waiting",
    load.length > 0 ? count(sum(load, "ready")) : "–",
    load.length > 0 ? note : "",
    load.length > 0 && consumers === 0 ? "warn" : "",
  );
}

/** The rates that programs tell, and how they are called here; the first two are shown even when they are 0. */
const RATES = [
  ["loaded_per_second", "loaded"],
  ["events_new_per_second", "new events"],
  ["duplicates_per_second", "duplicates"],
  ["retried_per_second", "retried"],
  ["dead_per_second", "to the dead letters"],
];

function rates(worker) {
  const told = RATES.map(([name, words], place) => [worker.rates?.[name], words, place < 2]);
  const shown = told.filter(([value, , always]) => typeof value === "number" && (always || value >= 0.05));
  const line = el("p", "rates-line");
  shown.forEach(([value, words], place) =>
    line.append(place > 0 ? ", " : "", el("b", "", `${rate(value)}/s`), ` ${words}`),
  );
  const polled = secondsSince(worker.fetcher?.last_poll_at);
  if (polled !== null) line.append(`${shown.length > 0 ? ", " : ""}last poll ${age(polled)} ago`);
  return line;
}

/** Seconds since a program told of itself the last time, when that is too long ago. */
function silence(worker) {
  const seconds = secondsSince(worker.seen_at);
  return seconds !== null && seconds > SILENT_S ? seconds : null;
}

function program(worker) {
  const problems = worker.problems ?? [];
  const silent = silence(worker);
  const gone = silent !== null;
  const well = worker.ready && !gone;
  const state = gone ? `not heard of for ${age(silent)}` : worker.ready ? "ready" : "not ready";
  const queue = worker.loader?.queue;
  const card = el(
    "li",
    `card ${well ? "" : "unready"}`,
    el(
      "div",
      "card-head",
      foreign(worker.program, "name"),
      el("span", "where", "at ", foreign(worker.host), `, process ${worker.pid}`),
      el("span", `state ${well ? "ready" : "unready"}`, state),
    ),
    rates(worker),
    el(
      "p",
      "when",
      "version ",
      foreign(worker.version),
      `, up ${duration(secondsSince(worker.started_at))}`,
      queue ? ", queue " : "",
      queue ? foreign(queue) : "",
    ),
  );
  for (const problem of problems) card.append(el("p", "error", foreign(problem)));
  if (worker.last_error) {
    const ago = secondsSince(worker.last_error_at);
    const when = ago === null ? "Last error: " : `Last error, ${age(ago)} ago: `;
    card.append(el("p", "when", when, foreign(worker.last_error)));
  }
  return card;
}

/** The programs that run. */
export function showPrograms(body) {
  const order = ["fetcher", "loader", "standalone", "replay", "dashboard"];
  const key = (worker) => `${order.indexOf(worker.program)} ${worker.host} ${worker.instance}`;
  const workers = [...(body.workers ?? [])].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  fill("programs-list", "programs-empty", workers.map(program));
  const running = workers.filter((worker) => silence(worker) === null).length;
  setText(byId("programs-note"), workers.length > 0 ? `${count(running)} running` : "");
}

/** Dead letters by reason. Drawn anew only when they changed, so that what somebody has opened stays open. */
export function showDead(body) {
  const groups = body.groups ?? [];
  const stale = staleNote(body.as_of, LOOKED_AT_S);
  const part = body.looked_at < body.total ? `, the first ${count(body.looked_at)} looked at` : "";
  setText(
    byId("dead-note"),
    [body.total > 0 ? `${count(body.total)} kept${part}` : "", stale].filter(Boolean).join("; "),
  );
  const list = byId("dead-list");
  const key = JSON.stringify(groups);
  if (list.dataset.shown === key && key !== "[]") return;
  list.dataset.shown = key;
  fill("dead-list", "dead-empty", groups.map(deadGroup));
}

function deadGroup(group) {
  const when =
    group.first_failed_at === group.last_failed_at
      ? clock(group.last_failed_at)
      : `${clock(group.first_failed_at)} to ${clock(group.last_failed_at)}`;
  const tries = group.attempts_max > 0 ? `; tried ${plural(group.attempts_max, "time")}` : "";
  const card = el(
    "li",
    "card",
    el("div", "card-head", foreign(group.reason), el("span", "count", `${count(group.count)} ×`)),
    el("p", "when", `${when}${tries}`),
  );
  const ids = (group.ids ?? []).slice(0, ROWS_MAX);
  if (ids.length > 0) {
    const details = el("details", "", el("summary", "", "Which"));
    const text = el("p", "mono");
    ids.forEach((id, place) => text.append(place > 0 ? ", " : "", foreign(id)));
    if (group.count > ids.length) text.append(" …");
    details.append(text);
    card.append(details);
  }
  return card;
}

/** The gaps, newest first. */
export function showGaps(body) {
  const gaps = [...(body.gaps ?? [])].sort((a, b) => (a.from < b.from ? 1 : -1)).slice(0, ROWS_MAX);
  const rows = gaps.map((gap) =>
    row([clock(gap.from), clock(gap.to), number(duration(gap.seconds)), foreign(gap.source)]),
  );
  fill("gaps-rows", "gaps-empty", rows);
  byId("gaps-scroll").hidden = rows.length === 0;
  const part = body.total > gaps.length ? `${count(body.total)}, the last ${count(gaps.length)} shown` : "";
  setText(byId("gaps-note"), [part, staleNote(body.as_of, LOOKED_AT_S)].filter(Boolean).join("; "));
}
