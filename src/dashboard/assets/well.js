// How many sources are well, beside the link to their page.

import { byId, setText } from "./dom.js";
import { count } from "./format.js";

/** From the overview. */
export function showWell(sources) {
  const told = sources?.total > 0;
  setText(byId("sources-well"), told ? ` (${count(sources.well)} of ${count(sources.total)} well)` : "");
}
