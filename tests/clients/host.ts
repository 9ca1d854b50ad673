// A running host with a control socket, and the API on TCP with a token. TASKHOST and TASKHOST_PLUGINS say where the
// program and the plugins are.
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export const token = "a-secret-of-more-than-sixteen-bytes";

export type Task = { name: string; config?: object; [field: string]: unknown };

export async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false) {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(50)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`waited in vain for ${what}`);
}

export class Host {
  readonly directory = mkdtempSync(join(tmpdir(), "taskhost-clients-"));
  readonly socket = join(this.directory, "host.sock");
  port = 0;
  log = "";
  private process?: ChildProcess;
  private ended?: Promise<number | null>;

  static async start(tasks: Task[], fields: object = {}) {
    const host = new Host();
    const manifest = join(host.directory, "manifest.json");
    writeFileSync(
      manifest,
      JSON.stringify({
        name: "clients",
        plugin_dirs: [process.env.TASKHOST_PLUGINS],
        ...fields,
        tasks: tasks.map((task) => ({ plugin: "probe", type: "detachable", restarts: 3, ...task })),
      }),
    );
    await host.run(manifest, 0);
    return host;
  }

  // The same host anew, at the same port.
  async again() {
    await this.stop();
    await this.run(join(this.directory, "manifest.json"), this.port);
  }

  private async run(manifest: string, port: number) {
    const secret = join(this.directory, "token");
    if (!existsSync(secret)) writeFileSync(secret, token);
    chmodSync(secret, 0o600);
    this.log = "";
    const child = spawn(
      process.env.TASKHOST!,
      ["run", "--control", this.socket, "--listen", `127.0.0.1:${port}`, "--listen-token-file", secret, manifest],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    this.process = child;
    this.ended = new Promise((resolve) => child.on("exit", resolve));
    child.stderr!.on("data", (bytes) => (this.log += bytes));
    const found = await until("the API", () => {
      if (child.exitCode !== null) throw new Error(this.log);
      return /the API is at http:\/\/127\.0\.0\.1:(\d+)/.exec(this.log);
    });
    this.port = Number(found[1]);
  }

  get pid() {
    return this.process!.pid!;
  }
  get url() {
    return `http://127.0.0.1:${this.port}`;
  }
  async stop() {
    this.process?.kill("SIGTERM");
    return await this.ended;
  }
  async [Symbol.asyncDispose]() {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const idle = { end: "ok", run_for: "1h" };
