// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const UNKNOWN = "–";

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** 1,234,567 */
export const count = (value) => (known(value) ? whole.format(value) : UNKNOWN);

/** 12.3 below a hundred, 1,234 above. */
export const rate = (value) => (known(value) ? (value < 99.95 ? tenth : whole).format(value) : UNKNOWN);

/** 1.2K */
export const short = (value) => (known(value) ? compact.format(value) : UNKNOWN);

/** 97 %; never 100 % of what is not all, nor 0 % of what is something. */
export function percent(part) {
  if (!known(part)) return UNKNOWN;
  if (part < 1 && part > 0.995) return ">99 %";
  if (part > 0 && part < 0.005) return "<1 %";
  return `${whole.format(part * 100)} %`;
}

/** The same with tenths: 97.3 %, rounded down. */
export function percentFine(part) {
  if (!known(part)) return UNKNOWN;
  if (part < 1 && part > 0.999) return ">99.9 %";
  if (part > 0 && part < 0.001) return "<0.1 %";
  if (part <= 0 || part >= 1) return percent(part);
  return `${(Math.floor(part * 1000) / 10).toFixed(1)} %`;
}

/** 0.4 s, 12 s, 3 min, 5 h, 2 d */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  const s = Math.max(0, seconds);
  if (s < 9.95) return `${tenth.format(s)} s`;
  if (s < 99.5) return `${whole.format(s)} s`;
  if (s < 5970) return `${whole.format(s / 60)} min`;
  if (s < 172_800) return `${whole.format(s / 3600)} h`;
  return `${whole.format(s / 86_400)} d`;
}

/** The same without fractions: an age that changes once a second. */
export const age = (seconds) =>
  known(seconds) ? duration(seconds < 10 ? Math.round(Math.max(0, seconds)) : seconds) : UNKNOWN;

const two = (number) => String(number).padStart(2, "0");

/** 12:03:11, UTC, with the day when that is not today's. */
export function clock(time, now = serverNow()) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const text = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  const day = (at) => new Date(at).toISOString().slice(0, 10);
  return day(date) === day(now) ? text : `${day(date)} ${text}`;
}

/** `2026-11-24-11` as `24 Nov 2026, 11:00–12:00`. */
export function hour(name) {
  const match = /^(\d{4}-\d\d-\d\d)-(\d\d)$/.exec(name ?? "");
  const date = match && new Date(`${match[1]}T${match[2]}:00:00Z`);
  if (!date || Number.isNaN(date.getTime())) return UNKNOWN;
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  return `${day}, ${match[2]}:00–${two((Number(match[2]) + 1) % 24)}:00`;
}

// This computer's clock may be wrong; ages are by the server's.
let behind_ms = 0;

/** Takes the time that the server says it is. */
export function setServerNow(time) {
  const at = Date.parse(time);
  if (!Number.isNaN(at)) behind_ms = at - Date.now();
}

export const serverNow = () => Date.now() + behind_ms;

/** Seconds since `time`, or null. */
export function secondsSince(time) {
  const at = Date.parse(time ?? "");
  return Number.isNaN(at) ? null : (serverNow() - at) / 1000;
}
