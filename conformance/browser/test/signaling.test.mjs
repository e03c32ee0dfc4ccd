/** The signalling server with the clients that its users have: socket.io's own and a plain WebSocket. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { io } from "socket.io-client";
import WebSocket from "ws";

import { after as timeLimit, startSignaling } from "../lib/programs.mjs";

/** @import { Server } from "../lib/programs.mjs" */

const BOUND_MS = 20_000;
const TOKEN = "a token for this test";

/** @type {Server} */
let server;
before(async () => void (server = await startSignaling(["--admin-token", TOKEN])));
after(async () => assert.equal(await server.stop(), 0));

/** A client by either door, with the same face. */
class Client {
  /** @type {any[]} */
  #inbox = [];
  /** @type {(() => void) | undefined} */
  #wake;

  /**
   * @param {(type: string, fields: object) => Promise<any>} ask resolves with the answer
   * @param {() => void} close
   */
  constructor(ask, close) {
    this.ask = ask;
    this.close = close;
  }

  /** @param {any} message */
  take(message) {
    this.#inbox.push(message);
    this.#wake?.();
  }

  /**
   * The next message, which must be of that type.
   * @param {string} type
   */
  async expect(type) {
    const next = async () => {
      while (this.#inbox.length === 0) await new Promise((resolve) => (this.#wake = () => resolve(undefined)));
      return this.#inbox.shift();
    };
    const message = await Promise.race([next(), timeLimit(BOUND_MS, `no ${type} came`)]);
    assert.equal(message.type, type, JSON.stringify(message));
    return message;
  }
}

/** @param {string[]} [transports] */
async function bySocketIo(transports) {
  const socket = io(server.url, { transports, forceNew: true, reconnection: false });
  const client = new Client(
    (type, fields) => socket.timeout(BOUND_MS).emitWithAck(type, fields),
    () => socket.disconnect(),
  );
  socket.onAny((event, message) => {
    assert.equal(event, message.type);
    client.take(message);
  });
  await new Promise((resolve, reject) => {
    socket.on("connect", () => resolve(undefined));
    socket.on("connect_error", reject);
  });
  return client;
}

async function byWebSocket() {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws`);
  /** @type {Map<number, (answer: any) => void>} */
  const asked = new Map();
  let seq = 0;
  const client = new Client(
    (type, fields) => {
      socket.send(JSON.stringify({ type, seq: ++seq, ...fields }));
      return new Promise((resolve) => asked.set(seq, resolve));
    },
    () => socket.close(),
  );
  socket.on("message", (data) => {
    const message = JSON.parse(String(data));
    const answered = asked.get(message.seq);
    if (answered) answered(message);
    else client.take(message);
  });
  await new Promise((resolve, reject) => {
    socket.on("open", () => resolve(undefined));
    socket.on("error", reject);
  });
  return client;
}

const doors = /** @type {const} */ ([
  ["WebSocket", byWebSocket],
  ["socket.io over WebSocket", () => bySocketIo(["websocket"])],
  ["socket.io over polling", () => bySocketIo(["polling"])],
  ["socket.io as it comes", () => bySocketIo()],
]);

for (const [nameOfA, openA] of doors) {
  for (const [nameOfB, openB] of doors) {
    test(`from ${nameOfA} to ${nameOfB}`, async () => {
      const room = `${nameOfA}-to-${nameOfB}`.replaceAll(" ", "-");
      const a = await openA();
      const b = await openB();
      const first = await a.ask("join", { room, name: "A", info: { at: 1 } });
      assert.deepEqual([first.type, first.room, first.members], ["welcome", room, []]);
      const second = await b.ask("join", { room, name: "B" });
      assert.deepEqual(second.members, [{ id: first.member, name: "A", info: { at: 1 } }]);
      assert.equal((await a.expect("peer-joined")).member.id, second.member);

      const offer = { type: "offer", sdp: "v=0\r\n" };
      assert.equal((await b.ask("description", { to: first.member, description: offer })).type, "ok");
      const candidates = Array.from({ length: 10 }, (_, n) => ({ candidate: `candidate:${n}`, sdpMid: "0" }));
      candidates.push({ candidate: "", sdpMid: "0" });
      for (const candidate of candidates) assert.equal((await b.ask("candidate", { candidate })).type, "ok");
      assert.deepEqual(await a.expect("description"), { type: "description", from: second.member, description: offer });
      for (const candidate of candidates) assert.deepEqual((await a.expect("candidate")).candidate, candidate);

      const wrong = await a.ask("description", { to: second.member, description: { type: "ofer" } });
      assert.deepEqual([wrong.type, wrong.code, wrong.field], ["error", "malformed", "description.type"]);
      const answer = { type: "answer", sdp: "v=0\r\n" };
      assert.equal((await a.ask("description", { to: second.member, description: answer })).type, "ok");
      assert.deepEqual((await b.expect("description")).description, answer);

      assert.equal((await a.ask("leave", {})).type, "ok");
      assert.deepEqual(await b.expect("peer-left"), { type: "peer-left", member: first.member, reason: "left" });
      a.close();
      b.close();
    });
  }
}

describe("the operator", () => {
  test("closes a room over HTTP, with the token only", async () => {
    const client = await bySocketIo();
    await client.ask("join", { room: "to-be-closed" });
    const url = `${server.url}/admin/rooms/to-be-closed`;
    assert.equal((await fetch(url, { method: "DELETE" })).status, 401);
    const headers = { authorization: `Bearer ${TOKEN}` };
    const closed = await fetch(url, { method: "DELETE", headers });
    assert.deepEqual([closed.status, await closed.json()], [200, { room: "to-be-closed", members: 1 }]);
    assert.equal((await client.expect("room-closed")).reason, "closed");
    assert.equal((await fetch(url, { method: "DELETE", headers })).status, 404);
    client.close();
  });

  test("stops the server, and its members are told", async () => {
    const own = server;
    const other = await startSignaling();
    server = other;
    const a = await bySocketIo();
    const b = await byWebSocket();
    server = own;
    for (const client of [a, b]) await client.ask("join", { room: "r" });
    await a.expect("peer-joined");
    const stopped = other.stop();
    for (const client of [a, b]) {
      assert.equal((await client.expect("room-closed")).reason, "shutdown");
      assert.equal((await client.expect("error")).code, "shutting-down");
    }
    assert.equal(await stopped, 0);
  });
});
