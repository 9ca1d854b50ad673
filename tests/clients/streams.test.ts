// Followers of /v1/events and /v1/log: a stock EventSource whose connections are cut, readers that are slow or never
// read, and many at once.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EventSource } from "eventsource";
import { createClient } from "./generated/client";
import * as sdk from "./generated";
import { Host, idle, token, until } from "./host";

type Record = { seq: number; event?: string; count?: number; lost?: number; task?: string; message?: string };

// Fails and is restarted that often.
const failing = (name: string, backoff: string) => ({
  name,
  config: { end: "error" },
  restarts: "unlimited",
  backoff: { initial: backoff, factor: 1 },
});

// Passes connections on to a port, until they are cut.
class Proxy {
  private readonly sockets = new Set<Socket>();
  private readonly server = createServer((client) => {
    ++this.connections;
    const host = connect(this.target, "127.0.0.1");
    for (const [one, other] of [
      [client, host],
      [host, client],
    ] as const) {
      this.sockets.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => (this.sockets.delete(one), other.destroy()));
    }
  });
  connections = 0;
  url = "";

  constructor(private readonly target: number) {}
  async open() {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
  cut() {
    for (const socket of this.sockets) socket.destroy();
  }
  close() {
    this.server.close();
    this.cut();
  }
}

function kibOf(host: Host) {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${host.pid}/status`, "utf8"))![1]);
}

// The records of a stream of JSON lines over the control socket. `pace`: waits between what it reads.
async function follow(host: Host, path: string, records: Record[], pace = { ms: 0 }) {
  const socket = connect(host.socket);
  socket.write(`GET ${path} HTTP/1.0\r\nHost: x\r\n\r\n`);
  let text = "";
  let headed = false;
  for await (const bytes of socket) {
    text += bytes;
    if (!headed) {
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) continue;
      assert.match(text, /^HTTP\/1\.[01] 200 /);
      text = text.slice(end + 4);
      headed = true;
    }
    const lines = text.split("\n");
    text = lines.pop()!;
    for (const line of lines) if (line !== "") records.push(JSON.parse(line));
    if (pace.ms !== 0) await sleep(pace.ms);
  } // a host that stops does not wait for slow readers: the last line may be cut
}

// Each record is the next one, or says exactly how many are missing before it.
function assertComplete(records: Record[], first: number) {
  let next = first;
  for (const record of records) {
    const missing = record.count ?? record.lost;
    if ((record.event === "events_lost" || record.lost !== undefined) && missing !== undefined) {
      assert.equal(record.seq, next + missing - 1, JSON.stringify(record));
    } else {
      assert.equal(record.seq, next, JSON.stringify(record));
    }
    next = record.seq + 1;
  }
  return next - 1;
}

// At the same time, since an EventSource waits some seconds before it connects again.
describe("an EventSource", { concurrency: true }, () => {
  for (const path of ["/v1/events?follow", "/v1/log?follow"]) {
    test(`whose connection is cut again and again loses and doubles nothing of ${path}`, () => cutAgainAndAgain(path));
  }
});

async function cutAgainAndAgain(path: string) {
  await using host = await Host.start([failing("failing", "5ms"), { name: "feed", config: idle }], {
    keep_events: 100_000,
    keep_log_lines: 100_000,
  });
  const proxy = new Proxy(host.port);
  await proxy.open();
  const records: Record[] = [];
  const ids = new Set<string>();
  const source = new EventSource(proxy.url + path);
  source.onmessage = (message) => {
    records.push(JSON.parse(message.data));
    ids.add(message.lastEventId);
  };
  try {
    for (let cuts = 0; cuts < 3; ++cuts) {
      const before = records.length;
      await until("records", () => records.length > before + (path.includes("log") ? 1 : 100));
      proxy.cut();
      await until("another connection", () => proxy.connections >= cuts + 2);
    }
    const before = records.length;
    await until("records", () => records.length > before);
    assert.equal(ids.size, records.length);
    assertComplete(records, records[0]!.seq);
    assert.ok(!records.some((record) => record.event === "events_lost" || record.lost !== undefined));

    // A host that is another one begins anew.
    const first = new Set([...ids].map((id) => id.split(":")[0]));
    assert.equal(first.size, 1);
    records.length = 0;
    await host.again();
    await until("records of the new host", () => records.some((record) => record.seq === 1) && records.length > 1);
    const anew = records.slice(records.findIndex((record) => record.seq === 1));
    assertComplete(anew, 1);
  } finally {
    source.close();
    proxy.close();
  }
}

test("readers that are too slow are told exactly how much they have missed, and others miss nothing", async () => {
  const storm = ["a", "b", "c", "d"].map((name) => failing(name, "1ms"));
  await using host = await Host.start(storm, { keep_events: 500, keep_log_lines: 500 });
  const slow: Record[] = [];
  const pace = { ms: 1_000 };
  const quick: Record[][] = Array.from({ length: 30 }, () => []);
  const over = [
    follow(host, "/v1/events?follow", slow, pace),
    ...quick.map((records, i) => follow(host, i % 3 === 0 ? "/v1/events?follow&task=a" : "/v1/events?follow", records)),
  ];
  await until("a storm", () => quick[1]!.length > 6_000);
  pace.ms = 0;
  await until("what it missed", () => slow.some((record) => record.event === "events_lost"));
  await host.stop();
  await Promise.all(over);
  const last = assertComplete(slow, slow[0]!.seq);
  const lost = slow.reduce((sum, record) => sum + (record.event === "events_lost" ? record.count! : 0), 0);
  const seen = slow.filter((record) => record.event !== "events_lost").length;
  assert.equal(seen + lost, last - slow[0]!.seq + 1 + (slow[0]!.event === "events_lost" ? slow[0]!.count! - 1 : 0));
  for (const [i, records] of quick.entries()) {
    if (i % 3 !== 0) assertComplete(records, records[0]!.seq);
    assert.ok(i % 3 !== 0 || records.every((record) => record.task === "a" || record.event === "events_lost"));
  }
});

test("followers that never read cost little memory, and hold up nobody", async () => {
  const storm = ["a", "b", "c", "d"].map((name) => failing(name, "1ms"));
  await using host = await Host.start([...storm, { name: "feed", config: idle }]);
  const before = kibOf(host);
  const never: Socket[] = [];
  for (let i = 0; i < 30; ++i) {
    const socket = connect(host.socket);
    socket.pause();
    socket.on("error", () => {});
    const path = i % 2 === 0 ? "/v1/events?follow" : "/v1/log?follow";
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n`);
    never.push(socket);
  }
  await sleep(3_000);
  const begin = Date.now();
  const answer = await fetch(`${host.url}/v1/tasks/feed/restart?wait=30s`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
  });
  assert.equal(((await answer.json()) as { done: boolean }).done, true);
  assert.ok(Date.now() - begin < 5_000);
  // What is kept, and a piece of 64 KiB for each.
  assert.ok(kibOf(host) - before < 24_000, `${before} KiB have become ${kibOf(host)}`);
  for (const socket of never) socket.destroy();
});

test("a generated client reads what is kept", async () => {
  await using host = await Host.start([{ name: "feed", config: idle }]);
  const client = createClient({ baseUrl: host.url });
  const lines = async (call: typeof sdk.getEvents, query: object) => {
    const result = await call({ client, query, parseAs: "text" } as never);
    return String((result as { data?: unknown }).data)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record);
  };
  const events = await lines(sdk.getEvents, { task: "feed" });
  assert.ok(events.some((record) => record.event === "task_started"));
  assert.equal((await lines(sdk.getEvents, { last: 1 })).length, 1);
  const log = await lines(sdk.getLog as never, { level: "info" });
  assert.ok(log.every((record) => record.message !== undefined));
});
