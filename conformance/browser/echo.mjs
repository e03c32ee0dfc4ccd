/**
 * Chromium as one of the two programs of `docs/language-matrix.md`. The page does the work; Node only starts it.
 *
 *     node echo.mjs --signaling ws://HOST:PORT/ws --room ROOM --part offerer|answerer [--bytes N] [--loopback]
 */

import { once } from "node:events";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

import { launch } from "./lib/browser.mjs";
import { after } from "./lib/programs.mjs";

/**
 * @typedef {object} Task
 * @property {string} signaling
 * @property {string} room
 * @property {string} part
 * @property {string} language
 * @property {number} bytes
 */

const LANGUAGE = "chromium";
/** How long all of it may take. */
const LIMIT_MS = 120_000;

/**
 * Runs in the page.
 * @param {Task} task
 */
async function echo({ signaling, room, part, language, bytes }) {
  const MESSAGE_BYTES = 16_384;
  /** How much may wait to be sent. */
  const FULL_BYTES = 256 * 1024;

  const socket = new WebSocket(signaling);
  /** @param {object} message */
  const say = (message) => socket.send(JSON.stringify(message));
  const news = new ReadableStream({
    start(queue) {
      socket.onmessage = ({ data }) => queue.enqueue(JSON.parse(data));
      socket.onclose = () => queue.error(new Error("the signalling server is gone"));
    },
  }).getReader();
  const next = async () => {
    const { value } = await news.read();
    if (value.type === "error") throw new Error(`the signalling server refused: ${value.message}`);
    return value;
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("the signalling server cannot be reached"));
  });
  say({ type: "join", room, info: { part, language } });

  /** Whom we connect to. @type {string | undefined} */
  let other;
  /** @type {RTCSessionDescriptionInit | undefined} */
  let offer;
  while (!other) {
    const message = await next();
    if (part === "offerer") {
      const members =
        message.type === "welcome" ? message.members : message.type === "peer-joined" ? [message.member] : [];
      other = members.find((/** @type {any} */ { info }) => info.part === "answerer")?.id;
    } else if (message.type === "description") {
      ({ from: other, description: offer } = message);
    }
  }

  const started = performance.now();
  const since = () => Math.round(performance.now() - started);
  /** @type {number | undefined} */
  let connected;
  const peer = new RTCPeerConnection();
  const failed = new Promise((_, reject) => {
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === "connected") connected ??= since();
      if (peer.connectionState === "failed") reject(new Error("the connection failed"));
    };
  });
  peer.onicecandidate = ({ candidate }) => {
    say({ type: "candidate", to: other, candidate: candidate?.toJSON() ?? { candidate: "", sdpMid: "0" } });
  };
  const describe = async () => {
    await peer.setLocalDescription();
    say({ type: "description", to: other, description: peer.localDescription });
  };
  /** Takes what the other side says, until the socket is closed. */
  const listen = async () => {
    for (;;) {
      const { type, from, description, candidate } = await next();
      if (from !== other) continue;
      if (type === "description") await peer.setRemoteDescription(description);
      if (type === "candidate") await peer.addIceCandidate(candidate);
    }
  };

  /**
   * What comes on a channel, until it is closed.
   * @param {RTCDataChannel} channel
   * @returns {ReadableStream<ArrayBuffer>}
   */
  const messagesOf = (channel) => {
    channel.binaryType = "arraybuffer";
    return new ReadableStream({
      start(queue) {
        channel.onmessage = ({ data }) => queue.enqueue(data);
        channel.onclose = () => queue.close();
      },
    });
  };
  /**
   * Sends a message as soon as there is room for it.
   * @param {RTCDataChannel} channel
   * @param {Uint8Array<ArrayBuffer> | ArrayBuffer} message
   */
  const send = async (channel, message) => {
    if (channel.bufferedAmount + message.byteLength > FULL_BYTES) {
      channel.bufferedAmountLowThreshold = FULL_BYTES / 2;
      await new Promise((resolve) => channel.addEventListener("bufferedamountlow", resolve, { once: true }));
    }
    channel.send(/** @type {ArrayBuffer} */ (message));
  };
  /** @param {BlobPart[]} parts */
  const sha256 = async (parts) => {
    const hash = await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
    return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  /** What came, in order. @type {ArrayBuffer[]} */
  const received = [];
  let count = 0;
  /** @param {ArrayBuffer} message */
  const receive = (message) => {
    received.push(message);
    count += message.byteLength;
  };

  const offerAndTalk = async () => {
    const channel = peer.createDataChannel("echo", { protocol: "frazil-echo" });
    const messages = messagesOf(channel);
    const opened = new Promise((resolve) => (channel.onopen = resolve));
    await describe();
    await opened;
    /** @type {Uint8Array<ArrayBuffer>[]} */
    const sent = [];
    const sendAll = async () => {
      for (let left = bytes; left > 0; left -= MESSAGE_BYTES) {
        const message = crypto.getRandomValues(new Uint8Array(Math.min(left, MESSAGE_BYTES)));
        sent.push(message);
        await send(channel, message);
      }
    };
    const receiveAll = async () => {
      const reader = messages.getReader();
      while (count < bytes) {
        const { done, value } = await reader.read();
        if (done) throw new Error("the channel was closed before all had come back");
        receive(value);
      }
    };
    await Promise.all([sendAll(), receiveAll()]);
    const [ours, theirs] = [await sha256(sent), await sha256(received)];
    if (ours !== theirs) throw new Error(`what came back has the SHA-256 ${theirs}, what was sent had ${ours}`);
    peer.close();
  };

  const answerAndEcho = async () => {
    /** @type {Promise<[RTCDataChannel, ReadableStream<ArrayBuffer>]>} */
    const opened = new Promise((resolve) => {
      peer.ondatachannel = ({ channel }) => resolve([channel, messagesOf(channel)]);
    });
    await peer.setRemoteDescription(/** @type {RTCSessionDescriptionInit} */ (offer));
    await describe();
    const [channel, messages] = await opened;
    for await (const message of messages) {
      receive(message);
      await send(channel, message);
    }
    // That the channel is closed is not enough: the connection must be.
    const transport = peer.sctp?.transport;
    while (transport && transport.state !== "closed") {
      await new Promise((resolve) => transport.addEventListener("statechange", resolve, { once: true }));
    }
  };

  const talk = part === "offerer" ? offerAndTalk() : answerAndEcho();
  // Nothing is offered or answered before the talk has begun, so nothing can come too early.
  await Promise.race([talk, listen(), failed]);
  const report = {
    connected: connected !== undefined,
    bytes: count,
    sha256: await sha256(received),
    closed: peer.connectionState === "closed" || peer.sctp?.transport.state === "closed",
    connectMilliseconds: connected,
    milliseconds: since(),
  };
  peer.close();
  const left = new Promise((resolve) => (socket.onclose = resolve));
  say({ type: "leave" });
  socket.close();
  await left;
  return report;
}

/** @param {Task} task */
async function run(task) {
  // A page from this machine may use the browser's cryptography, and connect to a server on this machine.
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html>"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  // With names in place of addresses every other language would have to resolve them.
  const browser = await launch("plain", values.loopback ? ["--allow-loopback-in-peer-connection"] : []);
  try {
    const page = await (await browser.newContext()).newPage();
    page.on("console", (message) => console.error(message.text()));
    await page.goto(`http://127.0.0.1:${port}/`);
    return await page.evaluate(echo, task);
  } finally {
    await browser.close();
    server.close();
  }
}

const { values } = parseArgs({
  options: {
    signaling: { type: "string" },
    room: { type: "string" },
    part: { type: "string" },
    bytes: { type: "string", default: "1048576" },
    loopback: { type: "boolean", default: false },
  },
});
const { signaling, room, part } = values;
const bytes = Number(values.bytes);
if (!signaling || !room || !(part === "offerer" || part === "answerer") || !Number.isSafeInteger(bytes) || bytes < 0) {
  console.error("usage: node echo.mjs --signaling URL --room ROOM --part offerer|answerer [--bytes N] [--loopback]");
  process.exit(2);
}
try {
  const task = run({ signaling, room, part, language: LANGUAGE, bytes });
  const report = await Promise.race([task, after(LIMIT_MS, "not done")]);
  console.log(JSON.stringify({ part, language: LANGUAGE, ...report }));
} catch (error) {
  console.error(error);
  // Behind the first line is where in the page it happened.
  const [first] = String(error).split("\n");
  console.log(JSON.stringify({ part, language: LANGUAGE, error: first }));
  // Whatever still runs ends with us, the browser too.
  process.exit(1);
}
