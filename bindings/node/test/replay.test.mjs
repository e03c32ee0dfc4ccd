import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Player, parse } from "./schedule.mjs";
import { newPeer, SEEDS } from "./world.mjs";

/** Where the recorded schedules of the project lie. */
const folder = process.env.FRAZIL_SCHEDULES ?? "";
const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".txt")) : [];

for (const file of files) {
  test(`${file} gives the bytes that were recorded`, () => {
    const steps = parse(readFileSync(`${folder}/${file}`, "utf8"));
    const player = new Player();
    for (const [index, { input, expected }] of steps.entries()) {
      assert.deepEqual(player.play(input), expected, `input ${index}: ${input.slice(0, 200)}`);
    }
  });
}

/** Two peers' worth of inputs without a connection: what is the same in every run of them. */
function tiny() {
  const { certificate, privateKey } = newPeer().certificate();
  const hex = (/** @type {Uint8Array} */ bytes) => Buffer.from(bytes).toString("hex");
  const inputs = [
    `seed ${hex(SEEDS[0])}`,
    `certificate ${hex(certificate)} ${hex(privateKey)}`,
    "config max_message_size=65536 active_tcp=false",
    "server stun:192.0.2.9 - -",
    "new 1000000",
    "channel 1000000 data",
    "sockets 1000001 udp,192.0.2.1,4000,ethernet,2,0,false,false",
    "end 1000002",
    "offer",
    "path udp 192.0.2.1 4000 192.0.2.2 4000",
    `datagram 2000001 0 17${"00".repeat(40)}`,
    `batch 2000002 0:1400 0:-`,
    "timeout 51000001",
    "timeout 999999937",
    "restart",
    "leave 1000000007",
  ];
  return inputs;
}

test("the same inputs give the same bytes", () => {
  const inputs = tiny();
  const record = () => {
    const player = new Player();
    return inputs.flatMap((input) => [input, ...player.play(input)]);
  };
  const first = record();
  assert.ok(first.some((line) => line.startsWith("> transmit")) && first.some((line) => /^> deadline \d/.test(line)));
  assert.deepEqual(record(), first);

  const steps = parse(["frazil schedule 1", "# a comment", ...first].join("\n"));
  assert.equal(steps.length, inputs.length);
  const player = new Player();
  for (const { input, expected } of steps) assert.deepEqual(player.play(input), expected, input);

  // Another seed is another run.
  const other = new Player();
  const changed = inputs.map((input) => input.replace(/^seed ../, "seed ff"));
  assert.notDeepEqual(
    changed.flatMap((input) => other.play(input)),
    first.filter((line) => line.startsWith("> ")),
  );
});
