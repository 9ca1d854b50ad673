// Prometheus itself: its linter, and a server that scrapes a host.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { Host, idle, until } from "./host";

const odd = 'odd "quoted" \\ na/me';

async function freePort() {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("promtool finds nothing wrong with the metrics, and a Prometheus that scrapes a host has its tasks", async () => {
  await using host = await Host.start([
    { name: "feed", type: "mandatory", config: idle },
    { name: odd, config: idle },
    { name: "failing", config: { end: "error" }, restarts: "unlimited", backoff: { initial: "100ms", factor: 1 } },
  ]);
  const text = await (await fetch(`${host.url}/metrics`)).text();
  const promtool = spawn("promtool", ["check", "metrics"], { stdio: ["pipe", "pipe", "pipe"] });
  let words = "";
  for (const stream of [promtool.stdout, promtool.stderr]) stream.on("data", (bytes) => (words += bytes));
  promtool.stdin.end(text);
  const status = await new Promise((resolve) => promtool.on("close", resolve));
  assert.equal(words, "");
  assert.equal(status, 0);

  const port = await freePort();
  const config = join(host.directory, "prometheus.yml");
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: "200ms", scrape_timeout: "200ms" },
      scrape_configs: [{ job_name: "taskhost", static_configs: [{ targets: [`127.0.0.1:${host.port}`] }] }],
    }),
  );
  const prometheus = spawn(
    "prometheus",
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(host.directory, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: "ignore" },
  );
  const over = new Promise((resolve) => prometheus.on("exit", resolve));
  try {
    type Sample = { metric: Record<string, string>; value: [number, string] };
    const query = async (what: string): Promise<Sample[]> => {
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(what)}`;
      const response = await fetch(url).catch(() => undefined);
      return response?.ok ? ((await response.json()) as { data: { result: Sample[] } }).data.result : [];
    };
    await until("up", async () => (await query("up"))[0]?.value[1] === "1");
    const running = await until("states", async () => {
      const found = await query('taskhost_task_state{state="running"} == 1');
      return found.length >= 2 && found;
    });
    assert.ok(running.some((sample) => sample.metric.task === odd));
    await until("a rate", async () => Number((await query("rate(taskhost_restarts_total[5s])"))[0]?.value[1] ?? 0) > 1);
    assert.equal((await query("taskhost_info"))[0]?.metric.host, "clients");
    assert.equal((await query("process_resident_memory_bytes > 0")).length, 1);
    assert.equal((await query("min_over_time(up[1m])"))[0]?.value[1], "1");
  } finally {
    prometheus.kill("SIGTERM");
    await over;
  }
});
