// What it costs to cross the border: prints one line of JSON, times in nanoseconds.
//
// A datagram of 1,200 bytes comes from a path that has proven nothing, so that the core counts and drops it: what is left is
// the crossing. `alone`: it is handed in, and everything is taken out. `batch`: sixteen in one call, for each of them. `empty`:
// a call that does nothing.

import { randomBytes } from "node:crypto";
import { BATCH_BUFFER, HEADER, MAX_ENTRIES, Peer } from "frazil";

const ROUNDS = 20;
const CALLS = 20_000;
const LENGTH = 1200;

const peer = new Peer({}, [], undefined, randomBytes(32), 0);
const ip = "192.0.2.1";
const socket = { protocol: "udp", ip, port: 4000, interface: "ethernet", index: 2, cost: 0 };
peer.handleNetworkChange([{ ...socket, temporary: false, deprecated: false }], 0);
const path = peer.pathId({ protocol: "udp", localIp: ip, localPort: 4000, remoteIp: "192.0.2.2", remotePort: 4000 });

const datagram = Buffer.alloc(LENGTH);
datagram[0] = 23;
const batch = Buffer.alloc(MAX_ENTRIES * (HEADER + LENGTH));
for (let at = 0; at < batch.length; at += HEADER + LENGTH) {
  batch.writeUInt32LE(path, at);
  batch.writeUInt32LE(LENGTH, at + 4);
  batch.set(datagram, at + HEADER);
}
const buffer = Buffer.alloc(BATCH_BUFFER);

function drain() {
  while (peer.pollTransmit(buffer) >= 0);
  while (peer.pollEvent() !== null);
  peer.pollTimeout();
}

function drainBatch() {
  while (peer.pollTransmits(buffer) > 0);
  while (peer.waiting() !== 0) peer.pollEvent();
  peer.pollTimeout();
}

/** The best of several rounds, in nanoseconds for one call. */
function best(/** @type {number} */ calls, /** @type {() => void} */ call) {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const begun = process.cpuUsage().user + process.cpuUsage().system;
    const then = performance.now();
    for (let count = 0; count < calls; count += 1) call();
    const elapsed = (performance.now() - then) * 1000;
    const spent = process.cpuUsage().user + process.cpuUsage().system - begun;
    least = Math.min(least, (Math.min(elapsed, spent) * 1000) / calls);
  }
  return Math.round(least);
}

const figures = {
  language: "node",
  alone: best(CALLS, () => {
    if (!peer.handleDatagram(path, datagram, 1)) throw new Error("not taken");
    drain();
  }),
  batch: Math.round(
    best(CALLS / MAX_ENTRIES, () => {
      if (peer.handleDatagrams(batch, 1) !== MAX_ENTRIES) throw new Error("not taken");
      drainBatch();
    }) / MAX_ENTRIES,
  ),
  empty: best(CALLS, () => void peer.connectionState()),
};
console.log(JSON.stringify(figures));
