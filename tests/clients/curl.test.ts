// curl, on the control socket and on TCP.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Host, idle, token } from "./host";

const run = promisify(execFile);

test("curl looks at tasks and operates them", async () => {
  await using host = await Host.start([{ name: "feed", config: idle }]);
  const large = join(host.directory, "large");
  writeFileSync(large, Buffer.alloc(4 << 20));
  const curl = async (...words: string[]) =>
    (await run("curl", ["-sS", "--max-time", "20", "-w", "\n%{http_code} %{http_version}", ...words])).stdout;
  for (const way of [
    ["--unix-socket", host.socket, "http://localhost"],
    ["-H", `Authorization: Bearer ${token}`, host.url],
  ]) {
    const base = way.pop()!;
    assert.match(await curl(...way, `${base}/v1/tasks`), /"name":"feed"[^]*\n200 1.1$/);
    assert.match(await curl(...way, "-X", "POST", `${base}/v1/tasks/feed/restart?wait=30s`), /"done":true[^]*\n200 1.1$/);
    assert.match(await curl(...way, "-d", "{}", `${base}/v1/tasks/feed/restart?wait=30s`), /"done":true[^]*\n200 1.1$/);
    assert.match(await curl(...way, "--http1.0", `${base}/v1/host`), /"pid"[^]*\n200 1/);
    assert.match(await curl(...way, "--http2", `${base}/v1/host`), /"pid"[^]*\n200 1.1$/);
    assert.match(await curl(...way, "-I", `${base}/metrics`), /^HTTP\/1.1 200 OK\r\n[^]*\n200 1.1$/);
    assert.match(await curl(...way, "--compressed", "-r", "0-9", `${base}/v1/host`), /"pid"[^]*\n200 1.1$/);
    // More than a request may have: curl asks first whether it may send that.
    assert.match(await curl(...way, "--data-binary", `@${large}`, `${base}/v1/tasks/feed/stop`), /65536[^]*\n413 1.1$/);
    assert.match(await curl(...way, "--path-as-is", `${base}/v1/tasks/../host`), /%2E[^]*\n404 1.1$/);
    assert.match(await curl(...way, `${base}/v1/host`, `${base}/v1/tasks`, `${base}/livez`), /"live":true/);
  }
});
