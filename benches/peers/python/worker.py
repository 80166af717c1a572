"""A Python worker with the loader's effects: consumes the load queue, runs lua/load_event.lua for each event, acks.

Written for speed with what aio-pika and redis-py offer: uvloop, orjson and hiredis, prefetch, events flattened here, the script
by its SHA, a pipeline for each batch with several in flight, one ack for many messages. Batches are sent from threads, because
redis-py packs commands in C only without asyncio, which takes a third of the CPU time. Messages come from the channel below
aio-pika's, which takes two thirds. It has none of the loader's failure handling: any error ends it.
"""

import asyncio
import os
import signal
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import aio_pika
import orjson
import redis
import uvloop

NAMESPACE = os.environ["ETL_NAMESPACE"]
PER_SECOND = os.environ["LOADER_EVENT_LOG"] == "per-second"
BATCH = 100
THREADS = 2
STREAM_MAXLEN = "1000"
RETENTION_MS = str(7 * 24 * 3600 * 1000)
SCORING = {"PushEvent", "PullRequestEvent"}


def call(sha, now, body):
    """KEYS and ARGV of a call, in the order of the script's header."""
    event = orjson.loads(body)
    event_id, kind, created_at = event["id"], event["type"], event["created_at"]
    hour = f"{created_at[:10]}-{created_at[11:13]}"
    login = event["actor"]["login"] if kind in SCORING else ""
    args = [
        sha, 6 if PER_SECOND else 7,
        f"{NAMESPACE}:event-log:{created_at if PER_SECOND else event_id}",
        f"{NAMESPACE}:event-stream",
        f"{NAMESPACE}:dev-score:{hour}",
        f"{NAMESPACE}:event-count:{hour}",
        f"{NAMESPACE}:first-inserted-at",
        f"{NAMESPACE}:hours",
    ]  # fmt: skip
    if not PER_SECOND:
        args.append(f"{NAMESPACE}:event-log:{event_id}@{created_at}")
    member = event_id if PER_SECOND else created_at
    args += (member, kind, now, STREAM_MAXLEN, RETENTION_MS, login, "1" if login else "0")
    for name, value in event.items():
        args.append(name)
        args.append(value if type(value) is str else orjson.dumps(value))
    return args


class Worker:
    def __init__(self, channel, client, sha):
        self.channel, self.client, self.sha = channel, client, sha
        self.threads = ThreadPoolExecutor(THREADS)
        self.waiting = []  # messages without a batch yet
        self.flush_is_due = False
        self.batches = deque()  # futures with the last message of their batch, in order
        self.arrived = asyncio.Event()

    async def receive(self, message):
        self.waiting.append(message)
        if len(self.waiting) >= BATCH:
            self.start_batch()
        else:
            self.flush_soon()

    def flush_soon(self):
        """A partial batch leaves only while no other is in flight, and after all messages that have arrived together."""
        if not self.flush_is_due and not self.batches:
            self.flush_is_due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self):
        self.flush_is_due = False
        self.start_batch()

    def start_batch(self):
        if self.waiting:
            messages, self.waiting = self.waiting, []
            bodies = [message.body for message in messages]
            loading = asyncio.get_running_loop().run_in_executor(self.threads, self.load, bodies)
            self.batches.append((loading, messages[-1]))
            self.arrived.set()

    def load(self, bodies):
        """Runs the script for a batch, in a thread."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        pipeline = self.client.pipeline(transaction=False)
        for body in bodies:
            pipeline.evalsha(*call(self.sha, now, body))
        replies = pipeline.execute()
        if any(reply not in (0, 1) for reply in replies):
            raise RuntimeError(f"the script answered {replies}")

    async def ack(self):
        """Acks batches in order, those that are done together with one ack."""
        while True:
            await self.arrived.wait()
            self.arrived.clear()
            while self.batches:
                await self.batches[0][0]
                while self.batches and self.batches[0][0].done():
                    loading, last = self.batches.popleft()
                    loading.result()
                await self.channel.basic_ack(last.delivery_tag, multiple=True)
            self.flush_soon()


async def main():
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    sha = client.script_load(Path(os.environ["SCRIPT"]).read_text())
    connection = await aio_pika.connect(os.environ["AMQP_URL"])
    channel = await (await connection.channel()).get_underlay_channel()
    await channel.basic_qos(prefetch_count=int(os.environ["PREFETCH"]))
    worker = Worker(channel, client, sha)
    acking = asyncio.create_task(worker.ack())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    consuming = await channel.basic_consume(os.environ["QUEUE"], worker.receive)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([acking, stopping], return_when=asyncio.FIRST_COMPLETED)
    if acking.done():
        acking.result()
    await channel.basic_cancel(consuming.consumer_tag)
    worker.flush()
    while worker.batches:
        await asyncio.sleep(0.005)
    await connection.close()
    client.close()


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
