import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Connection } from "frazil";
import { hostSocket, newPeer } from "./world.mjs";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

const BOUND = 16 << 20;
const BATCHES = 5;
/** What is this process's own: files that are mapped come and go. */
const resident = () => Number(readFileSync("/proc/self/status", "utf8").match(/RssAnon:\s*(\d+) kB/)?.[1]) * 1024;
const handles = () => readdirSync("/proc/self/fd").length;
/** Finalizers run after the collection, between other work. */
const settle = async () => {
  for (let round = 0; round < 4; round += 1) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
};

function onePeer(/** @type {number} */ seed) {
  const peer = newPeer({ seed: new Uint8Array(32).fill(seed & 255) });
  peer.createDataChannel({ label: "data" }, 0);
  peer.handleNetworkChange([hostSocket("192.0.2.1")], 0);
  peer.setLocalDescription(peer.createOffer(), 0);
  while (peer.pollEvent() !== null);
  return peer;
}

/** Does it once to warm up, then until memory hardly grows; what leaks lets it grow every time. */
async function assertLeavesNothing(/** @type {() => unknown} */ batch) {
  await batch();
  const grown = [];
  while (grown.length < BATCHES) {
    await settle();
    const before = resident();
    await batch();
    await settle();
    const growth = resident() - before;
    if (growth < BOUND) return;
    grown.push(growth);
  }
  assert.fail(`bytes that each batch has left: ${grown}`);
}

async function times(/** @type {number} */ count, /** @type {(index: number) => unknown} */ work) {
  for (let index = 0; index < count; index += 1) {
    await work(index);
    if (index % 100 === 99) await settle();
  }
}

/** Fails if the work leaves files or sockets open. */
async function assertKeepsHandles(/** @type {() => Promise<void>} */ work) {
  await settle();
  const before = handles();
  await work();
  await settle();
  assert.ok(handles() <= before, `${before} and then ${handles()}`);
}

test("a thousand peers that are closed leave nothing", () =>
  assertKeepsHandles(() => assertLeavesNothing(() => times(1000, (index) => onePeer(index).close()))));

test("a thousand peers that are forgotten leave nothing either", () =>
  assertLeavesNothing(() => times(1000, (index) => void onePeer(index))));

test("what closed peers hold is freed at once", async () => {
  // All objects are kept, so that only `close` can have freed what is behind them.
  /** @type {import("frazil").Peer[]} */
  const kept = [];
  await assertLeavesNothing(() => {
    for (let index = 0; index < 1000; index += 1) {
      const peer = onePeer(index);
      peer.close();
      kept.push(peer);
    }
  });
  assert.ok(kept.length >= 2000);
});

test("two hundred connections leave no memory and no sockets", () =>
  assertKeepsHandles(() =>
    assertLeavesNothing(() =>
      times(200, async () => {
        const connection = new Connection({ loopback: true });
        connection.createDataChannel("data");
        connection.setLocalDescription(connection.createOffer());
        await new Promise((resolve) => {
          connection.on("icegatheringstatechange", (state) => state === "complete" && resolve(undefined));
        });
        await connection.close();
      }),
    ),
  ));

for (const [what, program] of [
  ["that never opened a connection", 'import "frazil";'],
  [
    "whose peers were forgotten",
    'import { Peer } from "frazil"; new Peer({}, [], null, new Uint8Array(32), 0).createDataChannel({ label: "a" }, 0);',
  ],
  [
    "whose connections are closed",
    'import { Connection } from "frazil"; const c = new Connection({ loopback: true }); c.createDataChannel("a"); c.setLocalDescription(c.createOffer()); await c.close();',
  ],
]) {
  test(`a process ${what} exits by itself`, async () => {
    await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program ?? ""], {
      cwd: import.meta.dirname,
      timeout: 60_000,
    });
  });
}
