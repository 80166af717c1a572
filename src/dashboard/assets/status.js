// The line at the top: all is well, or what is not and since when, and how old that makes what is shown.

import { byId, el, foreign, setText } from "./dom.js";
import { age, clock, secondsSince, serverNow } from "./format.js";
import { visible } from "./text.js";

const TITLE = document.title;

/** When each problem was first seen by this page. */
const since = new Map();
let overview = null;
let silent_since = null;
let silence = "";

/** Takes what the server says. */
export function heard(body) {
  overview = body;
  silent_since = null;
  draw();
}

/** Takes that the server did not say anything of use. */
export function unheard(failure) {
  silent_since ??= serverNow();
  silence = failure.status === null ? "does not answer" : `answers with an error (${visible(failure.message)})`;
  draw();
}

/** The servers that are away, each with the time of what is shown of it. */
function away() {
  if (!overview) return [];
  const servers = [
    ["Redis", overview.redis],
    ["RabbitMQ", overview.rabbitmq],
  ];
  return servers
    .filter(([, server]) => server?.state === "away")
    .map(([name, server]) => ({ name, as_of: server.as_of }));
}

function headline() {
  if (silent_since !== null) return { level: "bad", text: `The dashboard’s server ${silence}`, at: silent_since };
  if (!overview) return { level: "starting", text: "Asking the dashboard’s server …", at: null };
  const gone = away();
  const starting = ["redis", "rabbitmq"].some((name) => overview[name]?.state === "starting");
  const problems = overview.problems ?? [];
  if (gone.length > 0) {
    const names = gone.map(({ name }) => name).join(" and ");
    return { level: "bad", text: `${names} ${gone.length > 1 ? "are" : "is"} away`, at: awaySince(gone) };
  }
  if (problems.length > 0) {
    return {
      level: "bad",
      text: alone(problems) ?? `${problems.length} things are not as they should be`,
      at: first(),
    };
  }
  if (starting) return { level: "starting", text: "Connecting to Redis and RabbitMQ …", at: null };
  return overview.healthy
    ? { level: "good", text: "All is well", at: null }
    : { level: "bad", text: "Something is not as it should be", at: null };
}

/** The only problem there is, as a headline; null when it takes more words. */
function alone(problems) {
  if (problems.length !== 1) return null;
  const text = visible(problems[0]);
  return text.length > 100 ? "Something is not as it should be" : text.charAt(0).toUpperCase() + text.slice(1);
}

const first = () => (since.size > 0 ? Math.min(...since.values()) : null);

/** Since the last answer from a server that is away, if there was one. */
function awaySince(gone) {
  const answered = gone.map(({ as_of }) => Date.parse(as_of ?? "")).filter((at) => !Number.isNaN(at));
  return answered.length > 0 ? Math.min(...answered) : first();
}

/** How old what is shown is, in words; empty while it is fresh. */
function staleness() {
  if (silent_since !== null) {
    return overview ? `what is shown is ${age(secondsSince(overview.now))} old` : "";
  }
  return away()
    .map(({ name, as_of }) => {
      const seconds = secondsSince(as_of);
      return seconds === null ? `nothing read from ${name} yet` : `what is shown of ${name} is ${age(seconds)} old`;
    })
    .join(", ");
}

function drawAge(at) {
  const parts = [];
  if (at !== null) parts.push(`since ${clock(at)} (${age((serverNow() - at) / 1000)})`);
  const old = staleness();
  if (old) parts.push(old);
  if (parts.length === 0 && overview) parts.push(`as of ${clock(overview.now)}`);
  setText(byId("status-age"), parts.join("; "));
}

function drawProblems() {
  const problems = silent_since === null ? (overview?.problems ?? []) : [];
  for (const known of [...since.keys()]) if (!problems.includes(known)) since.delete(known);
  for (const problem of problems) if (!since.has(problem)) since.set(problem, serverNow());
  const list = byId("problems");
  // The headline may have said it all.
  const said = away().length === 0 && problems.length === 1 && problems[0].length <= 100;
  list.hidden = problems.length === 0 || said;
  const key = problems.join("\n");
  if (list.dataset.shown === key) return;
  list.dataset.shown = key;
  list.replaceChildren(
    ...problems.map((problem) =>
      el("li", "", foreign(problem), " ", el("span", "since", `since ${clock(since.get(problem))}`)),
    ),
  );
}

function draw() {
  drawProblems();
  const { level, text, at } = headline();
  byId("status").dataset.level = level;
  setText(byId("status-line"), text);
  document.body.classList.toggle("stale", silent_since !== null || away().length > 0);
  const rate = overview?.loaded?.per_second;
  const title =
    level === "bad" ? `▲ ${text} – ${TITLE}` : typeof rate === "number" ? `${Math.round(rate)}/s – ${TITLE}` : TITLE;
  if (document.title !== title) document.title = title;
  drawAge(at);
}

/** Ages grow by themselves. */
export function tick() {
  drawAge(headline().at);
}
