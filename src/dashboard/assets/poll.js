// Asks the server again and again: seldom while nobody looks, more slowly while it does not answer.

const PATIENCE_MS = 10_000;
const HIDDEN_FACTOR = 15;
const FAILED_WAIT_MS_MAX = 10_000;

/** What went wrong with a request: `status` is null when the server did not answer at all. */
export class Failure extends Error {
  constructor(message, status = null) {
    super(message);
    this.status = status;
  }
}

/** The JSON at `path`. */
export async function ask(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  const url = query.size > 0 ? `${path}?${query}` : path;
  let answer;
  try {
    answer = await fetch(url, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    throw new Failure(error.name === "TimeoutError" ? "no answer in 10 s" : "no connection");
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok && body !== null) return body;
  throw new Failure(typeof body?.error === "string" ? body.error : `status ${answer.status}`, answer.status);
}

/**
 * Calls `get` every `seconds`, and `show` or `failed` with what comes of it. Gives a function that does so at once.
 */
export function poll(seconds, get, show, failed = () => {}) {
  let timer = null;
  let failures = 0;
  let turn = 0;
  const wait_ms = () => {
    const wait = Math.min(seconds * 1000 * 2 ** Math.min(failures, 4), Math.max(FAILED_WAIT_MS_MAX, seconds * 1000));
    return document.hidden ? wait * HIDDEN_FACTOR : wait;
  };
  const now = async () => {
    clearTimeout(timer);
    turn += 1;
    const mine = turn;
    try {
      const body = await get();
      if (mine !== turn) return;
      failures = 0;
      show(body);
    } catch (error) {
      if (mine !== turn) return;
      if (!(error instanceof Failure)) console.error(error);
      failures += 1;
      failed(error);
    }
    timer = setTimeout(now, wait_ms());
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) now();
  });
  now();
  return now;
}
