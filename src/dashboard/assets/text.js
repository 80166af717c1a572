// Text from GitHub is hostile: here it becomes pieces that can be shown as they are.

const GRAPHEMES_MAX = 200;
// Enough for any 200 graphemes that a person wrote; the segmenter never sees more.
const UNITS_MAX = 4000;
// Longer ones are piles of combining marks.
const POINTS_IN_GRAPHEME_MAX = 12;

// What is invisible, turns the direction of text, or breaks lines: control and format characters, line
// separators, blank letters, lone surrogates. Variation selectors stay: they only choose how emoji look.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/u;
const EMOJI = /\p{Extended_Pictographic}/u;
const ZERO_WIDTH_JOINER = "\u200d";

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** How a hidden character is shown: ␛ for ESC, \u{202e} for what has no picture. */
export function marker(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return `\\u{${code.toString(16)}}`;
}

/** The name of a character as Unicode writes it: U+202E. */
export function codeName(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Splits text into pieces `{text, hidden}`: plain ones, and single hidden characters. At most 200 graphemes. */
export function pieces(value) {
  const all = typeof value === "string" ? value : String(value ?? "");
  const found = [];
  let plain = "";
  const flush = () => {
    if (plain) found.push({ text: plain, hidden: false });
    plain = "";
  };
  let count = 0;
  let shown = 0;
  for (const { segment } of segmenter.segment(all.slice(0, UNITS_MAX))) {
    if (count === GRAPHEMES_MAX) break;
    count += 1;
    shown += segment.length;
    const joins = EMOJI.test(segment);
    const points = [...segment];
    for (const character of points.slice(0, POINTS_IN_GRAPHEME_MAX)) {
      if (HIDDEN.test(character) && !(joins && character === ZERO_WIDTH_JOINER)) {
        flush();
        found.push({ text: character, hidden: true });
      } else {
        plain += character;
      }
    }
    if (points.length > POINTS_IN_GRAPHEME_MAX) plain += "…";
  }
  if (shown < all.length) plain += "…";
  flush();
  return found;
}

/** The same as one string, for places that take nothing else. */
export function visible(value) {
  return pieces(value)
    .map((piece) => (piece.hidden ? marker(piece.text) : piece.text))
    .join("");
}

/** The first line that says something. */
export function firstLine(value) {
  if (typeof value !== "string") return "";
  const lines = value.slice(0, UNITS_MAX).split(/\r?\n/);
  const said = lines.findIndex((line) => line.trim() !== "");
  if (said < 0) return "";
  const more = lines.slice(said + 1).some((line) => line.trim() !== "");
  return lines[said].trim() + (more ? " …" : "");
}

const LOGIN = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:_[A-Za-z0-9]{1,20})?$/;
const BOT = /^([A-Za-z0-9][A-Za-z0-9-]{0,99})\[bot\]$/;
const REPOSITORY_NAME = /^[A-Za-z0-9._-]{1,100}$/;

/** Where an account lives at GitHub, or null when that is no account's name. */
export function accountUrl(login) {
  if (typeof login !== "string") return null;
  if (LOGIN.test(login)) return `https://github.com/${login}`;
  const bot = BOT.exec(login);
  return bot ? `https://github.com/apps/${bot[1]}` : null;
}

/** Where a repository lives at GitHub, or null when that is no repository's name. */
export function repositoryUrl(name) {
  if (typeof name !== "string") return null;
  const parts = name.split("/");
  if (parts.length !== 2 || !LOGIN.test(parts[0]) || !REPOSITORY_NAME.test(parts[1])) return null;
  return /^\.+$/.test(parts[1]) ? null : `https://github.com/${parts[0]}/${parts[1]}`;
}
