// What an event says, in a line.

import { firstLine } from "./text.js";

const string = (value) => (typeof value === "string" ? value : "");
const words = (...parts) =>
  parts
    .map((part) => (typeof part === "number" ? String(part) : string(part)))
    .filter(Boolean)
    .join(" ");
const branch = (ref) => string(ref).replace(/^refs\/(?:heads|tags)\//, "");
const numbered = (thing) => (typeof thing?.number === "number" ? `#${thing.number}` : "");

const SUMMARIES = {
  PushEvent: (payload) => words(branch(payload.ref), firstLine(payload.commits?.[0]?.message)),
  CreateEvent: (payload) => words(payload.ref_type, branch(payload.ref)),
  DeleteEvent: (payload) => words(payload.ref_type, branch(payload.ref)),
  WatchEvent: () => "starred",
  ForkEvent: (payload) => words("to", payload.forkee?.full_name),
  PublicEvent: () => "is public now",
  MemberEvent: (payload) => words(payload.action, payload.member?.login),
  ReleaseEvent: (payload) => words(payload.action, payload.release?.tag_name, firstLine(payload.release?.name)),
  GollumEvent: (payload) => words(payload.pages?.[0]?.action, payload.pages?.[0]?.title),
  PullRequestEvent: (payload) =>
    words(payload.action, numbered(payload.pull_request) || numbered(payload), firstLine(payload.pull_request?.title)),
  PullRequestReviewEvent: (payload) =>
    words(numbered(payload.pull_request), payload.review?.state, firstLine(payload.review?.body)),
  PullRequestReviewCommentEvent: (payload) => words(numbered(payload.pull_request), firstLine(payload.comment?.body)),
  IssuesEvent: (payload) => words(payload.action, numbered(payload.issue), firstLine(payload.issue?.title)),
  IssueCommentEvent: (payload) => words(numbered(payload.issue), firstLine(payload.comment?.body)),
  CommitCommentEvent: (payload) => firstLine(payload.comment?.body),
  DiscussionEvent: (payload) =>
    words(payload.action, numbered(payload.discussion), firstLine(payload.discussion?.title)),
};

/** A line about what happened; the event may be anything. */
export function summary(event) {
  const payload = event?.payload;
  if (payload === null || typeof payload !== "object") return "";
  const say = Object.hasOwn(SUMMARIES, event.type) ? SUMMARIES[event.type] : (any) => words(any.action);
  return say(payload);
}

/** `PullRequestEvent` as `PullRequest`: the word that all types end with says nothing. */
export const shortType = (type) =>
  typeof type === "string" && /^[A-Z]\w+Event$/.test(type) ? type.slice(0, -5) : type;
