// Two of these find each other in a room of the signalling server, connect, and send a file's worth of bytes there and back.
//
//   node echo.mjs --signaling ws://HOST:PORT/ws --room ROOM --part offerer|answerer [--bytes 1048576] [--loopback]

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { Connection } from "frazil";
import WebSocket from "ws";

const { values: options } = parseArgs({
  options: {
    signaling: { type: "string", default: "ws://127.0.0.1:8080/ws" },
    room: { type: "string", default: "echo" },
    part: { type: "string", default: "answerer" },
    bytes: { type: "string", default: "1048576" },
    loopback: { type: "boolean", default: false },
  },
});
/** @typedef {import("frazil").Channel} Channel @typedef {import("frazil").Description} Description */

const MESSAGE = 16_384;
const LIMIT = 120_000;

/** Joins the room, and calls `handle` with whatever comes. Gives how to send. */
async function join(/** @type {(message: any) => void} */ handle) {
  const socket = new WebSocket(options.signaling);
  socket.on("message", (text) => handle(JSON.parse(String(text))));
  await once(socket, "open");
  const send = (/** @type {object} */ message) => socket.send(JSON.stringify(message));
  send({ type: "join", room: options.room, info: { part: options.part, language: "node" } });
  const leave = () => {
    send({ type: "leave" });
    socket.close();
  };
  return { send, leave };
}

/** Meets the other part, and begins to connect to it. Resolves once there is a channel, which need not be open. */
async function meet() {
  /** @type {((met: { connection: Connection, channel: Channel, begun: number }) => void)} */
  let resolve;
  const met = new Promise((whenMet) => {
    resolve = whenMet;
  });
  /** The other member. @type {string | undefined} */
  let other;
  /** @type {Connection} */
  let connection;
  let begun = 0;

  const begin = (/** @type {string} */ member) => {
    other = member;
    begun = performance.now();
    connection = new Connection({ loopback: options.loopback });
    connection.on("icecandidate", (candidate) => signaling.send({ type: "candidate", to: other, candidate }));
    connection.on("datachannel", (channel) => resolve({ connection, channel, begun }));
  };
  const describe = (/** @type {Description} */ description) => {
    connection.setLocalDescription(description);
    signaling.send({ type: "description", to: other, description });
  };
  const offerTo = (/** @type {any} */ member) => {
    if (options.part !== "offerer" || other !== undefined || member.info.part !== "answerer") return;
    begin(member.id);
    resolve({ connection, channel: connection.createDataChannel("echo", { protocol: "frazil-echo" }), begun });
    describe(connection.createOffer());
  };

  const signaling = await join((message) => {
    switch (message.type) {
      case "welcome":
        for (const member of message.members) offerTo(member);
        break;
      case "peer-joined":
        offerTo(message.member);
        break;
      case "description":
        if (options.part === "answerer" && other === undefined) begin(message.from);
        // Whoever is third in the room is not heard.
        if (message.from !== other) break;
        connection.setRemoteDescription(message.description);
        if (message.description.type === "offer") describe(connection.createAnswer());
        break;
      case "candidate":
        if (message.from === other) connection.addIceCandidate(message.candidate);
        break;
      case "error":
        throw new Error(`signalling: ${message.message}`);
    }
  });
  return { ...(await met), signaling };
}

/** Sends random bytes, and reads until all have come back. */
async function offer(/** @type {Channel} */ channel) {
  const bytes = randomBytes(Number(options.bytes));
  const received = createHash("sha256");
  const sending = (async () => {
    // Each waits until there is room for it.
    for (let at = 0; at < bytes.length; at += MESSAGE) await channel.send(bytes.subarray(at, at + MESSAGE));
  })();
  let count = 0;
  while (count < bytes.length) {
    const message = await channel.receive();
    if (message === undefined) throw new Error(`the channel was closed after ${count} bytes`);
    received.update(message);
    count += message.length;
  }
  await sending;
  const sha256 = received.digest("hex");
  if (sha256 !== createHash("sha256").update(bytes).digest("hex"))
    throw new Error("what came back is not what was sent");
  return { bytes: count, sha256 };
}

/** Sends everything back until the other side closes. */
async function answer(/** @type {Channel} */ channel) {
  const received = createHash("sha256");
  let count = 0;
  for await (const message of channel) {
    received.update(message);
    count += message.length;
    await channel.send(message);
  }
  return { bytes: count, sha256: received.digest("hex") };
}

async function main() {
  const { connection, channel, signaling, begun } = await meet();
  const since = () => Math.round(performance.now() - begun);
  await channel.opened;
  const [connected, connectMilliseconds] = [connection.connectionState === "connected", since()];
  const echoed = await (options.part === "offerer" ? offer(channel) : answer(channel));
  await (options.part === "offerer" ? connection.close() : connection.closed);
  const [closed, milliseconds] = [connection.connectionState === "closed", since()];
  signaling.leave();
  return { connected, ...echoed, closed, connectMilliseconds, milliseconds };
}

const who = { part: options.part, language: "node" };
const fail = (/** @type {unknown} */ error) => {
  console.log(JSON.stringify({ ...who, error: error instanceof Error ? error.message : String(error) }));
  process.exit(1);
};
process.on("uncaughtException", fail);
setTimeout(() => fail(`nothing more happened within ${LIMIT / 1000} s`), LIMIT).unref();
main().then((result) => console.log(JSON.stringify({ ...who, ...result })), fail);
