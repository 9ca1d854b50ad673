// The client that a generator makes of host/openapi.json: it makes each call, and each answer is what the description
// says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import Ajv from "ajv/dist/2020";
import formats from "ajv-formats";
import { Agent, fetch as fetchWith } from "undici";
import * as sdk from "./generated";
import { createClient } from "./generated/client";
import { Host, idle, token } from "./host";

const description = JSON.parse(readFileSync(process.env.TASKHOST_OPENAPI!, "utf8"));
const ajv = new Ajv({ strict: false, allErrors: true });
formats(ajv);
ajv.addSchema(description, "openapi");

function escaped(part: string) {
  return encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));
}

function at(place: string[]) {
  return place.reduce((node: any, key) => node?.[key], description);
}

// What the answer lacks of what is described; undefined if nothing.
function difference(path: string, method: string, response: Response, data: unknown) {
  const plain = (type: string) => type.split(";")[0];
  const given = response.headers.get("content-type")!;
  // Some answers are the same for all calls, and described once.
  const answer = ["paths", path, method, "responses", String(response.status)];
  const shared = at(answer)?.$ref?.slice("#/".length).split("/");
  const contents = at(shared ?? answer)?.content ?? {};
  const type = Object.keys(contents).find((known) => plain(known) === plain(given));
  if (!type) return `${method} ${path}: ${response.status} with ${given} is not described`;
  const place = [...(shared ?? answer), "content", type, "schema"];
  const valid = ajv.compile({ $ref: `openapi#/${place.map(escaped).join("/")}` });
  return valid(data) ? undefined : `${method} ${path}: ${ajv.errorsText(valid.errors)}`;
}

function clientOf(host: Host, way: "socket" | "TCP") {
  if (way === "TCP") return createClient({ baseUrl: host.url, auth: token });
  const dispatcher = new Agent({ connect: { socketPath: host.socket } });
  const ask = async (request: Request) =>
    fetchWith(request.url, {
      method: request.method,
      headers: Object.fromEntries(request.headers),
      dispatcher,
    }) as unknown as Response;
  return createClient({ baseUrl: "http://localhost", fetch: ask as typeof fetch });
}

const streams = ["getEvents", "getLog"]; // they are followed in streams.test.ts

for (const way of ["socket", "TCP"] as const) {
  test(`a generated client makes each call over ${way}, and gets what is described`, async () => {
    await using host = await Host.start([
      { name: "feed", type: "mandatory", config: idle },
      { name: "a/b ?", config: idle },
      { name: "late", config: idle, after: ["failing"] },
      { name: "failing", config: { end: "error" }, backoff: { initial: "1h" } },
    ]);
    const client = clientOf(host, way);
    const { data } = await sdk.getTasks({ client, throwOnError: true });
    assert.deepEqual(
      data.tasks.map((task) => task.name),
      ["feed", "a/b ?", "late", "failing"],
    );
    const restarted = await sdk.restartTask({ client, path: { name: "a/b ?" }, query: { wait: "30s" } });
    assert.equal(restarted.data?.done, true);
    assert.equal(restarted.data?.task.execution, 2);

    let calls = 0;
    for (const [path, methods] of Object.entries<Record<string, { operationId: string }>>(description.paths)) {
      for (const [method, { operationId }] of Object.entries(methods)) {
        if (operationId === "stopHost" || streams.includes(operationId)) continue;
        const call = sdk[operationId as "getTask"];
        assert.ok(call, `no function ${operationId} was generated`);
        for (const name of path.includes("{name}") ? ["feed", "a/b ?", "late", "failing", "nobody"] : [""]) {
          const result = await call({ client, path: { name } });
          assert.ok(result.response, `${operationId} ${name}: ${result.error}`);
          assert.equal(difference(path, method, result.response, result.data ?? result.error), undefined);
          assert.equal(result.response.ok, name !== "nobody" && (operationId !== "getReadiness" || result.response.ok));
          ++calls;
        }
      }
    }
    assert.ok(calls >= 25);
    const stopped = await sdk.stopHost({ client });
    assert.equal(difference("/v1/stop", "post", stopped.response, stopped.data), undefined);
    assert.equal(await host.stop(), 0);
  });
}

test("a generated client without the token may look on TCP, and is told what it lacks to change something", async () => {
  await using host = await Host.start([{ name: "feed", config: idle }]);
  const client = createClient({ baseUrl: host.url });
  assert.equal((await sdk.getHost({ client })).data?.name, "clients");
  const refused = await sdk.stopHost({ client });
  assert.equal(refused.response.status, 401);
  assert.match((refused.error as { message: string }).message, /Authorization: Bearer/);
});
