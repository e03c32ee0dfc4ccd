// Two peers and the wire between them, in virtual time.

import { HEADER, MIN_BUFFER, Peer, TEXT } from "frazil";

/** @type {[Uint8Array, Uint8Array]} */
export const SEEDS = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

/** A socket as `handleNetworkChange` takes it. */
export function hostSocket(/** @type {string} */ ip, port = 4000) {
  return { protocol: "udp", ip, port, interface: "ethernet", index: 2, cost: 0, temporary: false, deprecated: false };
}

/** A peer that nothing has happened to. */
export function newPeer({ config = {}, seed = SEEDS[0], now = 0 } = {}) {
  return new Peer(config, [], undefined, seed, now);
}

/** One datagram behind its header. */
export function entry(/** @type {number} */ number, /** @type {Uint8Array} */ bytes) {
  const buffer = Buffer.alloc(HEADER + bytes.length);
  buffer.writeUInt32LE(number, 0);
  buffer.writeUInt32LE(bytes.length, 4);
  buffer.set(bytes, HEADER);
  return buffer;
}

/** What lies in a batch. */
export function* entries(/** @type {Buffer} */ buffer, /** @type {number} */ end) {
  for (let start = 0; start < end; ) {
    const [number, length] = [buffer.readUInt32LE(start), buffer.readUInt32LE(start + 4)];
    const after = start + HEADER + (length & ~TEXT);
    yield { number, text: (length & TEXT) !== 0, bytes: Buffer.from(buffer.subarray(start + HEADER, after)) };
    start = after;
  }
}

/** A peer with one address, and what it told. */
class End {
  /** @type {import("frazil").Event[]} */
  events = [];
  /** @type {{ channel: number, data: string | Buffer }[]} */
  messages = [];

  constructor(/** @type {string} */ ip, /** @type {Uint8Array} */ seed, /** @type {import("frazil").Config} */ config) {
    this.ip = ip;
    this.peer = newPeer({ config, seed });
  }

  /** The events of one kind. */
  of(/** @type {string} */ type) {
    return this.events.filter((event) => event.type === type);
  }
}

/** Two peers that have been told of each other. */
export class World {
  now = 0;
  #buffer = Buffer.alloc(1 << 19);

  constructor({ batched = false, config = {} } = {}) {
    this.batched = batched;
    this.left = new End("192.0.2.1", SEEDS[0], config);
    this.right = new End("192.0.2.2", SEEDS[1], config);
    for (const { peer, ip } of this.ends) {
      peer.handleNetworkChange([hostSocket(ip)], this.now);
      peer.endOfCandidates(this.now);
    }
  }

  get ends() {
    return [this.left, this.right];
  }

  /** Offers, answers, and tells each of the other's candidates. */
  negotiate() {
    const [left, right] = [this.left.peer, this.right.peer];
    const offer = left.createOffer();
    left.setLocalDescription(offer, this.now);
    right.setRemoteDescription(offer, this.now);
    const answer = right.createAnswer();
    right.setLocalDescription(answer, this.now);
    left.setRemoteDescription(answer, this.now);
  }

  /** Moves datagrams and time until `done`, for a minute of the virtual time at the most. */
  until(/** @type {() => boolean} */ done) {
    const limit = this.now + 60_000;
    while (!done()) {
      if (this.#shuttle()) continue;
      if (done()) break;
      const deadlines = this.ends.map(({ peer }) => peer.pollTimeout()).filter((deadline) => deadline !== null);
      const next = Math.max(this.now, Math.min(...deadlines));
      if (!(next <= limit)) throw new Error(`nothing more happens after ${this.now} ms`);
      this.now = next;
      for (const { peer } of this.ends) if ((peer.pollTimeout() ?? Infinity) <= this.now) peer.handleTimeout(this.now);
    }
  }

  /** Connects, with one channel that the left one opens; gives its number on either side. */
  connect() {
    const left = this.left.peer.createDataChannel({ label: "data" }, this.now);
    this.negotiate();
    this.until(() => this.left.of("ChannelOpen").length > 0 && this.right.of("DataChannel").length > 0);
    const [opened] = this.right.of("DataChannel");
    if (opened?.type !== "DataChannel") throw new Error("no channel");
    return { left, right: opened.channel };
  }

  #shuttle() {
    let moved = false;
    for (const [from, to] of [
      [this.left, this.right],
      [this.right, this.left],
    ]) {
      const datagrams = this.batched ? this.#takeBatch(from.peer) : this.#takeEach(from.peer);
      moved ||= datagrams.length > 0;
      // The other side sees the same path from its own end.
      const path = () =>
        to.peer.pathId({ protocol: "udp", localIp: to.ip, localPort: 4000, remoteIp: from.ip, remotePort: 4000 });
      if (this.batched && datagrams.length > 0) {
        const batch = Buffer.concat(datagrams.map((bytes) => entry(path(), bytes)));
        const taken = to.peer.handleDatagrams(batch, this.now);
        if (taken !== datagrams.length) throw new Error(`${taken} of ${datagrams.length} were taken`);
      } else {
        for (const bytes of datagrams)
          if (!to.peer.handleDatagram(path(), bytes, this.now)) throw new Error("not taken");
      }
      moved = this.#takeEvents(from) || moved;
    }
    return moved;
  }

  #takeEach(/** @type {import("frazil").Peer} */ peer) {
    const taken = [];
    for (let got = peer.pollTransmit(this.#buffer); got >= 0; got = peer.pollTransmit(this.#buffer)) {
      taken.push(Buffer.from(this.#buffer.subarray(0, got % 65_536)));
      if (peer.path(Math.floor(got / 65_536)) === null) throw new Error("a path that is none");
    }
    return taken;
  }

  #takeBatch(/** @type {import("frazil").Peer} */ peer) {
    const end = peer.pollTransmits(this.#buffer);
    return [...entries(this.#buffer, end)].map(({ bytes }) => bytes);
  }

  #takeEvents(/** @type {End} */ end) {
    let any = false;
    for (let waiting = end.peer.waiting(); waiting !== 0; waiting = end.peer.waiting()) {
      any = true;
      if (waiting === 1 && this.batched) {
        const length = end.peer.pollMessages(this.#buffer);
        for (const { number, text, bytes } of entries(this.#buffer, length)) {
          end.messages.push({ channel: number, data: text ? bytes.toString() : bytes });
        }
        continue;
      }
      const event = end.peer.pollEvent();
      if (event === null) throw new Error("what was waiting is gone");
      if (event.type === "Message") {
        const data = Buffer.from(event.data);
        end.messages.push({ channel: event.channel, data: event.text ? data.toString() : data });
      } else {
        end.events.push(event);
      }
    }
    return any;
  }
}

export { MIN_BUFFER };
