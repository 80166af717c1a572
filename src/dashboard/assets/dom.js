// The only way from data to the page: elements that are made here, text that is set as text.

import { accountUrl, codeName, marker, pieces, repositoryUrl } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element with a class and children; strings become text. */
export function el(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** An SVG element with attributes. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Changes an element's text only when it differs: nothing is laid out or announced in vain. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Somebody else's text, isolated from ours, what is hidden in it made visible. */
export function foreign(value, className = "") {
  const isolated = el("bdi", className);
  for (const piece of pieces(value)) {
    if (piece.hidden) {
      const mark = el("span", "hidden-character", marker(piece.text));
      mark.title = codeName(piece.text);
      isolated.append(mark);
    } else {
      isolated.append(piece.text);
    }
  }
  return isolated;
}

function linked(value, url, className) {
  if (!url) return foreign(value, className);
  const link = el("a", className, foreign(value));
  link.href = url;
  link.rel = "noopener noreferrer";
  link.target = "_blank";
  return link;
}

/** An account's name, a link when it can be one. */
export const account = (login, className = "") => linked(login, accountUrl(login), className);

/** A repository's name, a link when it can be one. */
export const repository = (name, className = "") => linked(name, repositoryUrl(name), className);

/** A thin bar: `part` of the whole, from 0 to 1. For the eye only: the number stands beside it. */
export function bar(part, className = "") {
  const width = Math.min(100, Math.max(part > 0 ? 1 : 0, part * 100));
  return svg(
    "svg",
    { class: `bar ${className}`, viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "bar-track", width: 100, height: 4 }),
    svg("rect", { class: "bar-fill", width: width.toFixed(2), height: 4 }),
  );
}

/** A table's row: each cell an element or text; the first is the row's header. */
export function row(cells, className = "") {
  const tr = el("tr", className);
  cells.forEach((cell, place) => {
    const td = el(place === 0 ? "th" : "td");
    if (place === 0) td.scope = "row";
    const { content, kind } = cell !== null && typeof cell === "object" && "content" in cell ? cell : { content: cell };
    if (kind) td.className = kind;
    td.append(content);
    tr.append(td);
  });
  return tr;
}

export const number = (content) => ({ content, kind: "number" });
