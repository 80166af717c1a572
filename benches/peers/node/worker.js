// A Node worker with the loader's effects: consumes the load queue, runs lua/load_event.lua for each event, acks.
//
// Written for speed with what amqplib and ioredis offer: prefetch, events flattened here, the script by its SHA, a pipeline for
// each batch with several in flight, one ack for many messages. It has none of the loader's failure handling: any error ends it.
'use strict';

const { readFileSync } = require('node:fs');
const amqp = require('amqplib');
const { Redis } = require('ioredis');

const { AMQP_URL, REDIS_URL, QUEUE, SCRIPT, ETL_NAMESPACE: NAMESPACE } = process.env;
const PREFETCH = Number(process.env.PREFETCH);
const PER_SECOND = process.env.LOADER_EVENT_LOG === 'per-second';
const BATCH = 100;
const STREAM_MAXLEN = '1000';
const RETENTION_MS = String(7 * 24 * 3600 * 1000);
const SCORING = new Set(['PushEvent', 'PullRequestEvent']);

const redis = new Redis(REDIS_URL);
let channel;
let sha;
let now;
let waiting = []; // messages without a batch yet
let flushIsDue = false;
const batches = []; // in the order of their messages: { last, isDone }

// KEYS and ARGV of a call, in the order of the script's header.
function call(body) {
  const event = JSON.parse(body);
  const { id, type, created_at: createdAt } = event;
  const hour = `${createdAt.slice(0, 10)}-${createdAt.slice(11, 13)}`;
  const login = SCORING.has(type) ? event.actor.login : '';
  const args = [
    sha, PER_SECOND ? 6 : 7,
    `${NAMESPACE}:event-log:${PER_SECOND ? createdAt : id}`,
    `${NAMESPACE}:event-stream`,
    `${NAMESPACE}:dev-score:${hour}`,
    `${NAMESPACE}:event-count:${hour}`,
    `${NAMESPACE}:first-inserted-at`,
    `${NAMESPACE}:hours`,
  ];
  if (!PER_SECOND) args.push(`${NAMESPACE}:event-log:${id}@${createdAt}`);
  args.push(PER_SECOND ? id : createdAt, type, now, STREAM_MAXLEN, RETENTION_MS, login, login ? '1' : '0');
  for (const name of Object.keys(event)) {
    const value = event[name];
    args.push(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  return args;
}

function receive(message) {
  if (message === null) throw new Error('RabbitMQ has cancelled the consumer');
  waiting.push(message);
  if (waiting.length >= BATCH) load();
  else loadSoon();
}

// A partial batch leaves only while no other is in flight, and after all messages that have arrived together.
function loadSoon() {
  if (flushIsDue || batches.length > 0) return;
  flushIsDue = true;
  setImmediate(() => { flushIsDue = false; load(); });
}

function load() {
  if (waiting.length === 0) return;
  const messages = waiting;
  waiting = [];
  const batch = { last: messages[messages.length - 1], isDone: false };
  batches.push(batch);
  now = `${new Date().toISOString().slice(0, 19)}Z`;
  const pipeline = redis.pipeline();
  for (const message of messages) pipeline.evalsha(...call(message.content.toString()));
  pipeline.exec().then((replies) => settle(batch, replies)).catch(fail);
}

// Acks all batches up to the first that is not done.
function settle(batch, replies) {
  for (const [error, reply] of replies) {
    if (error || (reply !== 1 && reply !== 0)) throw error || new Error(`the script answered ${reply}`);
  }
  batch.isDone = true;
  let last;
  while (batches.length > 0 && batches[0].isDone) last = batches.shift().last;
  if (last) channel.ack(last, true);
  loadSoon();
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

async function main() {
  sha = await redis.script('LOAD', readFileSync(SCRIPT, 'utf8'));
  const connection = await amqp.connect(AMQP_URL);
  connection.on('error', fail);
  channel = await connection.createChannel();
  await channel.prefetch(PREFETCH);
  const { consumerTag } = await channel.consume(QUEUE, receive);
  process.once('SIGTERM', async () => {
    await channel.cancel(consumerTag);
    load();
    while (batches.length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await channel.close();
    await connection.close();
    process.exit(0);
  });
}

main().catch(fail);
