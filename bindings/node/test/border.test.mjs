import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as frazil from "frazil";
import { FrazilError, hostSockets, MIN_BUFFER, Peer, udpDriverConfig, version } from "frazil";
import { hostSocket, newPeer, SEEDS } from "./world.mjs";

const PATH = { protocol: "udp", localIp: "192.0.2.1", localPort: 4000, remoteIp: "192.0.2.2", remotePort: 4000 };
const ROOM = Buffer.alloc(1 << 16);
const BYTES = Buffer.alloc(20, 0x17);

/** How each method may be called. One that is not here, or not there, fails the first test. */
const METHODS = /** @type {Record<string, (peer: any) => unknown>} */ ({
  close: (peer) => peer.close(),
  handleNetworkChange: (peer) => peer.handleNetworkChange([hostSocket("192.0.2.1")], 1),
  endOfCandidates: (peer) => peer.endOfCandidates(1),
  setServers: (peer) => peer.setServers([{ urls: ["stun:192.0.2.3"] }], 1),
  handleSocketOpened: (peer) => peer.handleSocketOpened(0, null, 0, 1),
  handleResolved: (peer) => peer.handleResolved(0, ["192.0.2.3"], 1),
  createOffer: (peer) => peer.createOffer(),
  createAnswer: (peer) => peer.createAnswer(),
  setLocalDescription: (peer) => peer.setLocalDescription({ type: "offer", sdp: "" }, 1),
  setRemoteDescription: (peer) => peer.setRemoteDescription({ type: "offer", sdp: "" }, 1),
  localDescription: (peer) => peer.localDescription(),
  remoteDescription: (peer) => peer.remoteDescription(),
  addIceCandidate: (peer) => peer.addIceCandidate({ candidate: "" }, 1),
  restartIce: (peer) => peer.restartIce(),
  pathId: (peer) => peer.pathId(PATH),
  path: (peer) => peer.path(0),
  handleDatagram: (peer) => peer.handleDatagram(0, BYTES, 1),
  handleDatagrams: (peer) => peer.handleDatagrams(new Uint8Array(), 1),
  pollTransmit: (peer) => peer.pollTransmit(ROOM),
  pollTransmits: (peer) => peer.pollTransmits(ROOM),
  handleStreamOpened: (peer) => peer.handleStreamOpened(0, 1),
  handleStreamAccepted: (peer) => peer.handleStreamAccepted({ ...PATH, protocol: "tcp" }, 1),
  handleStreamData: (peer) => peer.handleStreamData(0, BYTES, 1),
  handleStreamClosed: (peer) => peer.handleStreamClosed(0, 1),
  handleTimeout: (peer) => peer.handleTimeout(1),
  pollTimeout: (peer) => peer.pollTimeout(),
  pollEvent: (peer) => peer.pollEvent(),
  waiting: (peer) => peer.waiting(),
  pollMessages: (peer) => peer.pollMessages(ROOM),
  pollMessage: (peer) => peer.pollMessage(ROOM),
  createDataChannel: (peer) => peer.createDataChannel({ label: "data" }, 1),
  send: (peer) => peer.send(0, BYTES, false, 1),
  release: (peer) => peer.release(0, 1, 1),
  setEventBacklog: (peer) => peer.setEventBacklog(1, 1),
  bufferedAmount: (peer) => peer.bufferedAmount(0),
  setBufferedAmountLowThreshold: (peer) => peer.setBufferedAmountLowThreshold(0, 1),
  closeChannel: (peer) => peer.closeChannel(0, 1),
  leave: (peer) => peer.leave(1),
  signalingState: (peer) => peer.signalingState(),
  iceConnectionState: (peer) => peer.iceConnectionState(),
  iceGatheringState: (peer) => peer.iceGatheringState(),
  connectionState: (peer) => peer.connectionState(),
  failure: (peer) => peer.failure(),
  selectedPair: (peer) => peer.selectedPair(),
  certificate: (peer) => peer.certificate(),
});

/** Functions beside the class that call into the native part. */
const FUNCTIONS = /** @type {Record<string, () => unknown>} */ ({
  hostSockets: () => hostSockets(true, false),
  udpDriverConfig: () => udpDriverConfig({}),
  version: () => version(),
  Peer: () => newPeer(),
});

const thrown = (/** @type {() => unknown} */ call) => {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof FrazilError, `${error}`);
    assert.ok(error instanceof Error && error.name === "FrazilError" && error.stack?.includes("border.test.mjs"));
    return error;
  }
  throw new assert.AssertionError({ message: `${call} did not throw` });
};
const code = (/** @type {() => unknown} */ call) => thrown(call).code;

test("every entry point is known to these tests", () => {
  const methods = Object.getOwnPropertyNames(Peer.prototype).filter((name) => name !== "constructor");
  assert.deepEqual(methods.sort(), Object.keys(METHODS).sort());
  const functions = Object.entries(frazil).filter(([, value]) => typeof value === "function");
  const own = ["Channel", "Connection", "FrazilError", "_injectPanic"];
  assert.deepEqual(functions.map(([name]) => name).sort(), [...Object.keys(FUNCTIONS), ...own].sort());
});

describe("a panic in the core is an error, and the process lives", () => {
  for (const [name, call] of Object.entries(METHODS)) {
    test(`in ${name}`, () => {
      const peer = newPeer();
      frazil._injectPanic();
      const error = thrown(() => call(peer));
      assert.equal(error.code, "panicked");
      assert.match(error.message, /injected/);
      for (const [other, again] of Object.entries(METHODS)) {
        if (name === "close" || other === "close") continue;
        assert.equal(
          code(() => again(peer)),
          "panicked",
          other,
        );
      }
      // What is broken stays so, that a late call is told why.
      peer.close();
      assert.equal(
        code(() => peer.pollTimeout()),
        name === "close" ? "closed" : "panicked",
      );
    });
  }
  for (const [name, call] of Object.entries(FUNCTIONS)) {
    test(`in ${name}`, () => {
      frazil._injectPanic();
      assert.equal(code(call), "panicked");
      call();
    });
  }
});

test("after close every method throws, but close does not", () => {
  const peer = newPeer();
  peer.close();
  peer.close();
  for (const [name, call] of Object.entries(METHODS)) {
    if (name !== "close")
      assert.equal(
        code(() => call(peer)),
        "closed",
        name,
      );
  }
});

test("errors have a reason and say what was wrong", () => {
  const peer = newPeer();
  const cases = /** @type {[() => unknown, string, RegExp][]} */ ([
    [() => peer.createAnswer(), "invalid-state", /stable/],
    [() => peer.setRemoteDescription({ type: "offer", sdp: "v=1" }, 1), "invalid-description", /./],
    [() => peer.setRemoteDescription({ type: "proposal", sdp: "" }, 1), "invalid-argument", /proposal/],
    [() => peer.addIceCandidate({ candidate: "candidate:1 1 udp" }, 1), "invalid-state", /./],
    [() => newPeer({ seed: new Uint8Array(31) }), "invalid-argument", /31/],
    [() => peer.pollTransmit(new Uint8Array(MIN_BUFFER - 1)), "invalid-argument", new RegExp(`${MIN_BUFFER - 1}`)],
    [() => peer.pathId({ ...PATH, localIp: "192.0.2.256" }), "invalid-argument", /192\.0\.2\.256/],
    [() => peer.send(77, BYTES, false, 1), "closed", /./],
    [() => peer.send(peer.createDataChannel({ label: "a" }, 1), BYTES, false, 1), "not-sent", /./],
    [() => udpDriverConfig({ activeTcp: true }), "invalid-argument", /active_tcp/],
    [() => udpDriverConfig({ mdnsCandidates: true }), "invalid-argument", /mdns_candidates/],
    [() => new Peer({}, [{ urls: ["http://192.0.2.1"] }], null, SEEDS[0], 0), "invalid-argument", /http/],
    [
      () => peer.createDataChannel({ label: "a", maxRetransmits: 1, maxPacketLifeTime: 1 }, 1),
      "invalid-argument",
      /both/,
    ],
    [() => newPeer({ config: { iceTransportPolicy: "some" } }), "invalid-argument", /some/],
    [() => peer.handleDatagram(0, /** @type {any} */ ("text"), 1), "invalid-argument", /Uint8Array/],
    [() => peer.pollTransmits(/** @type {any} */ (new Uint16Array(9))), "invalid-argument", /Uint8Array/],
  ]);
  for (const [call, reason, words] of cases) {
    const error = thrown(call);
    assert.equal(error.code, reason, `${call}: ${error.message}`);
    assert.match(error.message, words);
  }
  const offerer = newPeer({ seed: SEEDS[1] });
  offerer.createDataChannel({ label: "a" }, 0);
  peer.setRemoteDescription(offerer.createOffer(), 1);
  assert.equal(
    code(() => peer.addIceCandidate({ candidate: "candidate:1 1 udp", sdpMid: "0" }, 1)),
    "invalid-candidate",
  );
});

test("numbers that are none of the kind that is wanted are errors", () => {
  const peer = newPeer();
  for (const path of [-1, 1.5, 2 ** 32, Number.NaN, Infinity]) {
    const error = thrown(() => peer.handleDatagram(path, BYTES, 1));
    assert.equal(error.code, "invalid-argument");
    assert.match(error.message, new RegExp(`path is ${path === Infinity ? "inf" : path}`));
    for (const call of [
      () => peer.path(path),
      () => peer.release(0, path, 1),
      () => peer.handleSocketOpened(0, "192.0.2.1", path, 1),
      () => peer.handleNetworkChange([hostSocket("192.0.2.1", path)], 1),
      () => peer.pathId({ ...PATH, remotePort: path }),
      () => newPeer({ config: { maxMessageSize: path } }),
    ]) {
      assert.equal(code(call), "invalid-argument", `${call} with ${path}`);
    }
  }
  assert.equal(
    code(() => peer.handleSocketOpened(0, "192.0.2.1", 65_536, 1)),
    "invalid-argument",
  );
  for (const now of [-1, Number.NaN, Infinity, 2 ** 64])
    assert.equal(
      code(() => peer.handleTimeout(now)),
      "invalid-argument",
    );
  for (const now of [-0, 0, Number.MIN_VALUE, 2 ** 44]) peer.handleTimeout(now);
});

test("values of the wrong type are errors, and change nothing", () => {
  const peer = /** @type {any} */ (newPeer());
  for (const call of [
    () => peer.handleDatagram("0", BYTES, 1),
    () => peer.handleDatagram(0, "bytes", 1),
    () => peer.handleDatagram(0, new Uint16Array(4), 1),
    () => peer.handleDatagram(0, BYTES),
    () => peer.pollTransmit([]),
    // Another thread could write there while the core reads.
    () => peer.handleDatagram(0, new Uint8Array(new SharedArrayBuffer(20)), 1),
    () => peer.pollTransmit(new Uint8Array(new SharedArrayBuffer(MIN_BUFFER))),
    () => newPeer({ seed: new Uint8Array(new SharedArrayBuffer(32)) }),
    () => peer.createDataChannel({}, 1),
    () => peer.createDataChannel({ label: 7 }, 1),
    () => peer.setRemoteDescription("offer", 1),
    () => peer.handleNetworkChange({}, 1),
    () => peer.send(0, "text", true, 1),
    () => new /** @type {any} */ (Peer)(),
    () => peer.createOffer.call({}),
  ]) {
    assert.equal(code(call), "invalid-argument", `${call}`);
  }
  assert.equal(peer.signalingState(), "stable");
});

test("null stands for a field that is absent, as in JSON from a browser", () => {
  const offerer = newPeer({ seed: SEEDS[1] });
  offerer.createDataChannel({ label: "a" }, 0);
  const peer = newPeer();
  peer.setRemoteDescription(offerer.createOffer(), 1);
  const candidate = "candidate:1 1 udp 2130706431 192.0.2.2 4000 typ host";
  const init = JSON.parse(JSON.stringify({ candidate, sdpMid: "0", sdpMLineIndex: null, usernameFragment: null }));
  peer.addIceCandidate(init, 1);
  assert.match(peer.remoteDescription()?.sdp ?? "", /192\.0\.2\.2 4000 typ host/);
});

test("state words are those of W3C", () => {
  const peer = newPeer();
  const words = () => [
    peer.signalingState(),
    peer.iceConnectionState(),
    peer.iceGatheringState(),
    peer.connectionState(),
    peer.failure(),
    peer.selectedPair(),
    peer.localDescription(),
  ];
  assert.deepEqual(words(), ["stable", "new", "new", "new", null, null, null]);
  peer.createDataChannel({ label: "a" }, 0);
  const offer = peer.createOffer();
  peer.setLocalDescription(offer, 0);
  assert.equal(peer.signalingState(), "have-local-offer");
  assert.deepEqual(peer.localDescription()?.type, "offer");
});

test("a certificate can be kept for another peer", () => {
  const first = newPeer();
  const { certificate, privateKey } = first.certificate();
  assert.ok(certificate instanceof Uint8Array && certificate.length > 100 && privateKey.length > 50);
  const second = new Peer({}, [], { certificate, privateKey }, SEEDS[1], 0);
  assert.deepEqual(Buffer.from(second.certificate().certificate), Buffer.from(certificate));
  const of = (/** @type {Peer} */ peer) => {
    peer.createDataChannel({ label: "a" }, 0);
    return /a=fingerprint:(.*)/.exec(peer.createOffer().sdp)?.[1];
  };
  assert.equal(of(first), of(second));
});

test("a deadline in milliseconds is not early", () => {
  // The core answers a deadline with the one after it; a time that is early by a nanosecond would give the same again.
  for (const start of [0, 0.1, 12_345.678_901, 86_400_000 * 99, 86_400_000 * 104]) {
    const peer = newPeer({ now: start });
    peer.createDataChannel({ label: "a" }, start);
    const offer = peer.createOffer();
    peer.setLocalDescription(offer, start);
    const answerer = newPeer({ now: start, seed: SEEDS[1] });
    for (const side of [peer, answerer]) side.handleNetworkChange([hostSocket("192.0.2.1")], start);
    answerer.setRemoteDescription(offer, start);
    const answer = answerer.createAnswer();
    answerer.setLocalDescription(answer, start);
    peer.setRemoteDescription(answer, start);
    peer.addIceCandidate({ candidate: "candidate:1 1 udp 2130706431 192.0.2.2 4000 typ host", sdpMid: "0" }, start);
    let deadlines = 0;
    for (let deadline = peer.pollTimeout(); deadline !== null && deadlines < 200; deadline = peer.pollTimeout()) {
      peer.handleTimeout(deadline);
      while (peer.pollTransmit(ROOM) >= 0);
      while (peer.pollEvent() !== null);
      const next = peer.pollTimeout();
      assert.ok(next === null || next > deadline, `${next} follows ${deadline}`);
      deadlines += 1;
    }
    assert.ok(deadlines > 5, `${deadlines} deadlines from ${start}`);
  }
});

test("the version is that of the package", async () => {
  const { createRequire } = await import("node:module");
  assert.equal(version(), createRequire(import.meta.url)("frazil/package.json").version);
});

test("the configuration of a driver has what such a driver has to know, and what its user asks for", () => {
  const usual = udpDriverConfig({});
  assert.ok(usual.receiveBuffer > 0 && usual.maxMessageSize > 0 && usual.activeTcp === false, JSON.stringify(usual));
  const { receiveBuffer, mtu } = udpDriverConfig({ receiveBuffer: 7000, mtu: 1300 });
  assert.deepEqual([receiveBuffer, mtu], [7000, 1300]);
});

test("host sockets are such as can be bound", () => {
  const loopback = hostSockets(true, false).filter((socket) => socket.interface === "loopback");
  assert.ok(loopback.some(({ ip, port, protocol }) => ip === "127.0.0.1" && port === 0 && protocol === "udp"));
});
