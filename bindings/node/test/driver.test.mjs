import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { afterEach, test } from "node:test";
import { Connection, FrazilError } from "frazil";
import { hostSocket } from "./world.mjs";

/** @type {Connection[]} */
const open = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((connection) => connection.close()));
});

/** Two connections that trickle to one another over loopback. */
function pair() {
  const [left, right] = [new Connection({ loopback: true }), new Connection({ loopback: true })];
  open.push(left, right);
  /** @type {import("frazil").IceCandidate[]} */
  const early = [];
  left.on("icecandidate", (candidate) => {
    if (right.remoteDescription === null) early.push(candidate);
    else right.addIceCandidate(candidate);
  });
  right.on("icecandidate", (candidate) => left.addIceCandidate(candidate));
  const negotiate = () => {
    const offer = left.createOffer();
    left.setLocalDescription(offer);
    right.setRemoteDescription(offer);
    for (const candidate of early.splice(0)) right.addIceCandidate(candidate);
    const answer = right.createAnswer();
    right.setLocalDescription(answer);
    left.setRemoteDescription(answer);
  };
  return { left, right, negotiate };
}

async function connected() {
  const ends = pair();
  const channel = ends.left.createDataChannel("data", { protocol: "test" });
  const theirs = once(ends.right, "datachannel");
  ends.negotiate();
  await channel.opened;
  const [remote] = /** @type {[import("frazil").Channel]} */ (await theirs);
  return { ...ends, channel, remote };
}

test("a megabyte goes there and back, with back-pressure on both sides, and the close is seen", async () => {
  const { left, right, channel, remote } = await connected();
  assert.equal(remote.label, "data");
  assert.equal(remote.protocol, "test");
  assert.equal(left.connectionState, "connected");
  assert.ok(left.selectedPair !== null);

  const echo = (async () => {
    for await (const message of remote) await remote.send(message);
  })();
  const bytes = randomBytes(1 << 20);
  let waited = 0;
  const sending = (async () => {
    for (let at = 0; at < bytes.length; at += 16_384) {
      const sent = channel.send(bytes.subarray(at, at + 16_384));
      if (channel.bufferedAmount > 0) waited += 1;
      await sent;
    }
  })();
  const hash = createHash("sha256");
  for (let count = 0; count < bytes.length; ) {
    const message = /** @type {Uint8Array} */ (await channel.receive());
    hash.update(message);
    count += message.length;
  }
  await sending;
  assert.equal(hash.digest("hex"), createHash("sha256").update(bytes).digest("hex"));
  assert.ok(waited > 0);

  await left.close();
  await echo;
  await right.closed;
  assert.equal(right.connectionState, "closed");
  assert.equal(remote.readyState, "closed");
});

test("who does not read is not sent more than fits", async () => {
  const { channel, remote } = await connected();
  const message = Buffer.alloc(16_384);
  let sent = 0;
  let stalled = false;
  const total = 512;
  const sending = (async () => {
    for (; sent < total; sent += 1) await channel.send(message);
  })();
  // Nothing moves any more once as much waits as may, on both sides together.
  for (let last = -1; last !== sent && sent < total; ) {
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
    stalled = last === sent;
  }
  assert.ok(stalled && sent < total, `${sent} of ${total}`);
  for (let read = 0; read < total; read += 1) await remote.receive();
  await sending;
});

test("text and bytes keep their kind and order", async () => {
  const { channel, remote } = await connected();
  const sent = ["Zoë", new Uint8Array([1, 2]), "", new Uint8Array(), "end"];
  await Promise.all(sent.map((message) => channel.send(message)));
  for (const message of sent) assert.deepEqual(await remote.receive(), message);
});

test("what is sent before a channel opens arrives, and a close waits for it", async () => {
  const { left, right, negotiate } = pair();
  const channel = left.createDataChannel("early");
  assert.equal(channel.readyState, "connecting");
  const sent = [channel.send("one"), channel.send("two")];
  channel.close();
  await assert.rejects(channel.send("three"), { code: "closed" });
  const theirs = once(right, "datachannel");
  negotiate();
  await Promise.all(sent);
  const [remote] = /** @type {[import("frazil").Channel]} */ (await theirs);
  const read = [];
  for await (const message of remote) read.push(message);
  assert.deepEqual(read, ["one", "two"]);
  await Promise.all([channel.closed, remote.closed]);
  await assert.rejects(remote.send("late"), { code: "closed" });
});

test("who closes a channel and waits for it loses nothing by closing the connection", async () => {
  const { left, channel, remote } = await connected();
  const reading = (async () => {
    let bytes = 0;
    for await (const message of remote) bytes += message.length;
    return bytes;
  })();
  for (let sent = 0; sent < 64; sent += 1) await channel.send(new Uint8Array(16_384));
  channel.close();
  await channel.closed;
  await left.close();
  assert.equal(await reading, 64 * 16_384);
});

test("a message that is too long is refused, and the channel goes on", async () => {
  const { channel, remote } = await connected();
  await assert.rejects(channel.send(new Uint8Array(262_145)), { code: "not-sent" });
  await channel.send("short");
  assert.equal(await remote.receive(), "short");
});

test("whoever waits no longer for a message leaves it to the next", async () => {
  const { channel, remote } = await connected();
  const [first, second] = [new AbortController(), new AbortController()];
  const waiting = [
    remote.receive({ signal: first.signal }),
    remote.receive({ signal: second.signal }),
    remote.receive({ signal: first.signal }),
    remote.receive(),
  ];
  const rejected = [waiting[0], waiting[2]].map((one) =>
    assert.rejects(/** @type {any} */ (one), { name: "AbortError" }),
  );
  first.abort();
  await Promise.all(rejected);
  await assert.rejects(remote.receive({ signal: first.signal }), { name: "AbortError" });
  for (const message of ["one", "two", "three"]) await channel.send(message);
  assert.deepEqual(await Promise.all([waiting[1], waiting[3], remote.receive()]), ["one", "two", "three"]);
  // What has been given is not taken back.
  second.abort();
  await channel.send("four");
  assert.equal(await remote.receive({ signal: new AbortController().signal }), "four");
});

test("a channel that nobody listens for is closed, and the others go on", { timeout: 120_000 }, async () => {
  const { left, right, channel, remote } = await connected();
  assert.equal(right.listenerCount("datachannel"), 0);
  const unwanted = left.createDataChannel("unwanted");
  const sent = unwanted.send("to nobody");
  await unwanted.closed;
  await sent;
  await assert.rejects(unwanted.send("late"), { code: "closed" });
  await channel.send("still here");
  assert.equal(await remote.receive(), "still here");
});

test("both sides know whether a channel is in order, and which pair carries it", async () => {
  const { left, right, channel, remote } = await connected();
  assert.deepEqual([channel.ordered, remote.ordered], [true, true]);
  const theirs = once(right, "datachannel");
  const loose = left.createDataChannel("loose", { ordered: false });
  const [seen] = /** @type {[import("frazil").Channel]} */ (await theirs);
  assert.deepEqual([loose.ordered, seen.ordered], [false, false]);

  const other = pair();
  const told = once(other.left, "selectedcandidatepairchange");
  other.left.createDataChannel("data");
  other.negotiate();
  const [selected] = /** @type {[import("frazil").Pair]} */ (await told);
  assert.deepEqual([selected.protocol, typeof selected.remotePort], ["udp", "number"]);
});

test("half of a surrogate pair becomes a replacement character", async () => {
  const { left, right, channel, remote } = await connected();
  await channel.send("a\ud800b");
  assert.equal(await remote.receive(), "a\ufffdb");
  const theirs = once(right, "datachannel");
  left.createDataChannel("\udc00");
  const [seen] = /** @type {[import("frazil").Channel]} */ (await theirs);
  assert.equal(seen.label, "\ufffd");
});

test("with a close all ends at once for whoever waits, but for what has arrived", async () => {
  const { left, right, channel, remote } = await connected();
  await remote.send("arrived");
  while (remote.bufferedAmount > 0) await new Promise((resolve) => setImmediate(resolve));
  const theirs = once(right, "datachannel");
  const quiet = left.createDataChannel("quiet");
  await theirs;
  const reading = quiet.receive();
  const iterating = quiet.next();
  const sending = Promise.all(Array.from({ length: 256 }, () => channel.send(new Uint8Array(16_384))));
  const unopened = left.createDataChannel("never");
  const early = unopened.send("early");
  /** @type {unknown[]} */
  const told = [];
  left.on("signalingstatechange", (state) => told.push(state));
  left.on("iceconnectionstatechange", (state) => told.push(state));
  left.on("connectionstatechange", (state, failure) => told.push(state, failure));

  let over = false;
  const closing = left.close().then(() => {
    over = true;
  });
  assert.deepEqual([left.signalingState, left.iceConnectionState, left.connectionState], Array(3).fill("closed"));
  for (const one of [channel, quiet, unopened]) assert.deepEqual([one.readyState, one.bufferedAmount], ["closed", 0]);
  assert.equal(await reading, undefined);
  assert.deepEqual(await iterating, { done: true, value: undefined });
  for (const refused of [sending, early, unopened.opened, channel.send("late")])
    await assert.rejects(/** @type {Promise<unknown>} */ (refused), { code: "closed" });
  assert.equal(await channel.receive(), "arrived");
  assert.equal(await channel.receive(), undefined);
  await channel.closed;
  await new Promise((resolve) => process.nextTick(resolve));
  assert.deepEqual(told, ["closed", "closed", "closed", undefined]);
  assert.ok(!over);
  await closing;
});

test("after close every call is an error and a second close is none", async () => {
  const { left, channel } = await connected();
  const first = left.close();
  const closed = { name: "FrazilError", code: "closed" };
  for (const call of [
    () => left.createOffer(),
    () => left.createAnswer(),
    () => left.setLocalDescription({ type: "offer", sdp: "" }),
    () => left.setRemoteDescription({ type: "offer", sdp: "" }),
    () => left.addIceCandidate({ candidate: "" }),
    () => left.createDataChannel("late"),
    () => left.restartIce(),
    () => left.setServers([]),
    () => left.localDescription,
    () => left.remoteDescription,
    () => left.selectedPair,
    () => left.certificate,
  ]) {
    assert.throws(call, closed, `${call}`);
  }
  await assert.rejects(channel.send("late"), closed);
  assert.equal(await channel.receive(), undefined);
  await left.close();
  await first;
  assert.throws(() => left.createOffer(), closed);
  assert.equal(left.connectionState, "closed");
});

test("a connection closed at once leaves nothing behind", async () => {
  const connection = new Connection({ loopback: true });
  await connection.close();
  await connection.closed;
});

test("garbage does no harm", async () => {
  const { left, right, channel, remote } = await connected();
  const ports = [left, right].map((connection) =>
    Number(connection.localDescription?.sdp.match(/ 127\.0\.0\.1 (\d+) typ host/)?.[1]),
  );
  const stranger = createSocket("udp4");
  for (const port of ports) {
    for (const first of [0, 1, 3, 20, 23, 64, 128, 255]) {
      for (const length of [1, 20, 1200, 9000, 60_000]) {
        const garbage = randomBytes(length);
        garbage[0] = first;
        stranger.send(garbage, port, "127.0.0.1");
      }
    }
    stranger.send(new Uint8Array(), port, "127.0.0.1");
  }
  // As many strangers as a table of paths does not hold.
  for (let index = 0; index < 600; index += 1) {
    const other = createSocket("udp4");
    other.send(Buffer.from([23, index & 255]), ports[0], "127.0.0.1", () => other.close());
    if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await channel.send("still here");
  assert.equal(await remote.receive(), "still here");
  stranger.close();
});

test("what a listener throws is not swallowed, and harms nobody else", async () => {
  const { left, right, negotiate } = pair();
  left.on("iceconnectionstatechange", () => {
    throw new Error("thrown by the listener");
  });
  /** @type {Error[]} */
  const uncaught = [];
  const catcher = (/** @type {Error} */ error) => uncaught.push(error);
  // The test runner has a listener of its own, which would count it as a failure.
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", catcher);
  try {
    const channel = left.createDataChannel("data");
    const theirs = once(right, "datachannel");
    negotiate();
    await channel.opened;
    const [remote] = /** @type {[import("frazil").Channel]} */ (await theirs);
    await remote.send("all is well");
    assert.equal(await channel.receive(), "all is well");
    await left.close();
  } finally {
    process.off("uncaughtException", catcher);
    for (const listener of others) process.on("uncaughtException", listener);
  }
  assert.ok(uncaught.length > 0);
  assert.ok(
    uncaught.every((error) => error.message === "thrown by the listener"),
    `${uncaught}`,
  );
});

test("a panic in the core ends the connection, and the process lives", async () => {
  const { _injectPanic } = await import("frazil");
  const { left, channel } = await connected();
  const broken = once(left, "error");
  const reading = channel.receive();
  _injectPanic();
  // Whoever calls first gets it.
  await channel.send("into the void").catch(() => {});
  const [error] = await broken;
  assert.ok(error instanceof FrazilError && error.code === "panicked", `${error}`);
  await assert.rejects(reading, { code: "panicked" });
  await left.closed;
  assert.throws(() => left.createOffer(), { code: "panicked" });
});

test("a panic in any call of the application's is told to all who wait", async () => {
  const { _injectPanic } = await import("frazil");
  for (const call of /** @type {((left: Connection, channel: import("frazil").Channel) => unknown)[]} */ ([
    (left) => left.createOffer(),
    (left) => left.createAnswer(),
    (left) => left.setLocalDescription({ type: "offer", sdp: "" }),
    (left) => left.setRemoteDescription({ type: "offer", sdp: "" }),
    (left) => left.addIceCandidate({ candidate: "" }),
    (left) => left.restartIce(),
    (left) => left.setServers([]),
    (left) => left.createDataChannel("late"),
    (left) => left.localDescription,
    (left) => left.remoteDescription,
    (left) => left.selectedPair,
    (left) => left.certificate,
    (_, channel) => channel.bufferedAmount,
    (_, channel) => channel.close(),
  ])) {
    const { left, channel } = await connected();
    const [broken, changed] = [once(left, "error"), once(left, "connectionstatechange")];
    const reading = channel.receive();
    const panicked = { name: "FrazilError", code: "panicked" };
    _injectPanic();
    assert.throws(() => call(left, channel), panicked, `${call}`);
    // Not only when the core is next called.
    const states = [left.signalingState, left.iceConnectionState, left.connectionState, channel.readyState];
    assert.deepEqual(states, Array(4).fill("closed"), `${call}`);
    await assert.rejects(reading, panicked);
    assert.match((await changed)[1], /injected/);
    assert.equal((await broken)[0].code, "panicked");
    await left.closed;
    for (const late of [channel.send("late"), channel.receive()]) await assert.rejects(late, panicked);
    assert.equal(channel.bufferedAmount, 0);
    assert.throws(() => left.createOffer(), panicked);
    await left.close();
  }
});

test("a panic that nobody listens for does not end the process", async () => {
  const program = `
    import { Connection, _injectPanic } from "frazil";
    const connection = new Connection({ loopback: true });
    const states = [];
    connection.on("connectionstatechange", (state, why) => states.push([state, /injected/.test(why)]));
    connection.createDataChannel("data");
    _injectPanic();
    await connection.closed;
    await new Promise((resolve) => setTimeout(resolve, 1));
    console.log(JSON.stringify(states));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { cwd: import.meta.dirname });
  const out = { text: "", warned: "" };
  child.stdout.on("data", (text) => {
    out.text += text;
  });
  child.stderr.on("data", (text) => {
    out.warned += text;
  });
  const [code] = await once(child, "close");
  assert.equal(code, 0, out.warned);
  assert.deepEqual(JSON.parse(out.text), [["closed", true]]);
  assert.match(out.warned, /FrazilError: the core broke down: injected/);
});

test("a connection that gets no socket says so, and is closed", async () => {
  const { UdpSocket } = await import("../node_modules/frazil/dist/socket.js");
  const { bind } = UdpSocket;
  // An address for documentation, which no machine has.
  UdpSocket.bind = (host, receive) => bind({ ...host, ip: "203.0.113.1" }, receive);
  try {
    const connection = new Connection({ loopback: true });
    const channel = connection.createDataChannel("data");
    const reading = assert.rejects(channel.receive(), { code: "system" });
    /** @type {unknown[]} */
    const told = [];
    connection.on("connectionstatechange", (state, failure) => told.push(state, failure));
    connection.on("error", (error) => told.push(/** @type {FrazilError} */ (error).code));
    await connection.closed;
    await reading;
    assert.deepEqual([told[0], told[2]], ["closed", "system"]);
    assert.match(`${told[1]}`, /no address could be bound, .*EADDRNOTAVAIL/);
    assert.throws(() => connection.createOffer(), { code: "system" });
    assert.equal(connection.connectionState, "closed");
  } finally {
    UdpSocket.bind = bind;
  }
});

const isolated = ["--user", "--map-root-user", "--net"];
test("so does one on a machine without addresses", {
  skip: spawnSync("unshare", [...isolated, "true"]).status !== 0 && "no network namespace can be made here",
}, () => {
  // Not even the loopback interface is up in there.
  const program = `
    import { Connection } from "frazil";
    const connection = new Connection({ loopback: true });
    connection.on("error", ({ code, message }) => console.log(code, message));
    await connection.closed;
  `;
  const { stdout } = spawnSync("unshare", [...isolated, process.execPath, "--input-type=module", "--eval", program], {
    cwd: import.meta.dirname,
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(stdout, "system the machine has no address that may be used\n");
});

test("a socket that cannot be bound is given back", async () => {
  const { UdpSocket } = await import("../node_modules/frazil/dist/socket.js");
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  for (let index = 0; index < 100; index += 1) {
    // An address for documentation, which no machine has.
    await assert.rejects(
      UdpSocket.bind(hostSocket("203.0.113.1", 0), () => {}),
      { code: "EADDRNOTAVAIL" },
    );
  }
  assert.ok(open() < before + 50, `${before} and then ${open()}`);
});

test("configuration that cannot be is refused", () => {
  for (const options of [{ iceServers: [{ urls: "http://192.0.2.1" }] }, { mdnsCandidates: true }, { activeTcp: true }])
    assert.throws(() => new Connection(options), { code: "invalid-argument" });
});

test("the servers of a connection are named as a browser names them", async () => {
  const server = createSocket("udp4");
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  const asked = once(server, "message");
  const connection = new Connection({
    loopback: true,
    iceServers: [{ urls: `stun:localhost:${server.address().port}` }],
  });
  open.push(connection);
  connection.createDataChannel("data");
  connection.setLocalDescription(connection.createOffer());
  const [datagram] = /** @type {[Buffer]} */ (await asked);
  // A STUN Binding request, sent to where the system's resolver says that the name is.
  assert.equal(datagram.readUInt16BE(0), 1);
  server.close();
});
