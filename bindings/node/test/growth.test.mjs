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

const PAGE = 4096;
const MEGABYTE = 1 << 20;
const resident = () => Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]) * PAGE;
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

/** Does it some times to warm up, then many times, and gives by how much memory has grown. */
async function growth(/** @type {number} */ times, /** @type {(index: number) => unknown} */ work) {
  for (let index = 0; index < times / 4; index += 1) await work(index);
  await settle();
  const before = resident();
  for (let index = 0; index < times; index += 1) {
    await work(index);
    if (index % 100 === 99) await settle();
  }
  await settle();
  return resident() - before;
}

test("a thousand peers that are closed leave nothing", async () => {
  const before = handles();
  const grown = await growth(1000, (index) => onePeer(index).close());
  assert.ok(grown < 16 * MEGABYTE, `${grown} bytes`);
  assert.equal(handles(), before);
});

test("a thousand peers that are forgotten leave nothing either", async () => {
  const grown = await growth(1000, (index) => void onePeer(index));
  assert.ok(grown < 16 * MEGABYTE, `${grown} bytes`);
});

test("what closed peers hold is freed at once", () => {
  collect();
  const before = resident();
  // All objects are kept, so that only `close` can have freed what is behind them.
  const peers = Array.from({ length: 1000 }, (_, index) => {
    const peer = onePeer(index);
    peer.close();
    return peer;
  });
  const grown = resident() - before;
  assert.ok(grown < 16 * MEGABYTE, `${grown} bytes with ${peers.length} closed peers`);
});

test("two hundred connections leave no memory and no sockets", async () => {
  const settled = handles();
  const grown = await growth(200, async () => {
    const connection = new Connection({ loopback: true });
    connection.createDataChannel("data");
    connection.setLocalDescription(connection.createOffer());
    await new Promise((resolve) => {
      connection.on("icegatheringstatechange", (state) => state === "complete" && resolve(undefined));
    });
    await connection.close();
  });
  assert.ok(grown < 16 * MEGABYTE, `${grown} bytes`);
  assert.equal(handles(), settled);
});

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
      timeout: 20_000,
    });
  });
}
