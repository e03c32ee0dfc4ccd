// Plays a recorded schedule: every input of a peer, and what comes out after it.

import { MIN_BUFFER, Peer } from "frazil";
import { entry } from "./world.mjs";

const MILLISECOND = 1e6;

/** Absent values are written as `-`. */
const perhaps = (/** @type {string} */ word) => (word === "-" ? undefined : word);
const bytes = (/** @type {string | undefined} */ hex = "") => Buffer.from(hex === "-" ? "" : hex, "hex");
const text = (/** @type {string | undefined} */ hex) => bytes(hex).toString();
const time = (/** @type {string | undefined} */ nanoseconds) => Number(nanoseconds) / MILLISECOND;
const value = (/** @type {string} */ word) => {
  if (word === "true" || word === "false") return word === "true";
  return /^\d+$/.test(word) ? Number(word) : word;
};
const camel = (/** @type {string} */ name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** The inputs of a schedule with the lines that must follow each. */
export function parse(/** @type {string} */ schedule) {
  const lines = schedule.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  if (lines.shift() !== "frazil schedule 1") throw new Error("this is no schedule");
  /** @type {{ input: string, expected: string[] }[]} */
  const steps = [];
  for (const line of lines) {
    if (line.startsWith("> ")) steps.at(-1)?.expected.push(line);
    else steps.push({ input: line, expected: [] });
  }
  return steps;
}

/** A peer that plays a schedule. */
export class Player {
  #seed = new Uint8Array();
  /** @type {import("frazil").Certificate | undefined} */
  #certificate;
  /** @type {Record<string, unknown>} */
  #config = {};
  /** @type {import("frazil").IceServer[]} */
  #servers = [];
  /** @type {Peer | undefined} */
  #peer;
  #buffer = Buffer.alloc(MIN_BUFFER);

  /** Does what one line says, and gives the lines that come of it. */
  play(/** @type {string} */ line) {
    const [word = "", ...words] = line.split(" ");
    const [first, second, third, fourth] = /** @type {[string, string, string, string]} */ (words);
    switch (word) {
      case "seed":
        this.#seed = bytes(first);
        return [];
      case "certificate":
        this.#certificate = { certificate: bytes(first), privateKey: bytes(second) };
        return [];
      case "config":
        for (const pair of words) {
          const [name = "", given = ""] = pair.split("=");
          this.#config[camel(name)] = value(given);
        }
        return [];
      case "server":
        this.#servers.push({
          urls: [first],
          ...(perhaps(second) && { username: second }),
          ...(perhaps(third) && { credential: third }),
        });
        return [];
      case "new":
        this.#peer = new Peer(this.#config, this.#servers, this.#certificate, this.#seed, time(first));
        return [];
    }
    const peer = this.#peer;
    if (peer === undefined) throw new Error(`before \`new\`: ${line}`);
    const now = time(first);
    const out = [];
    switch (word) {
      case "sockets":
        peer.handleNetworkChange(words.slice(1).map(hostSocket), now);
        break;
      case "end":
        peer.endOfCandidates(now);
        break;
      case "channel":
        out.push(`> channel ${peer.createDataChannel({ label: second }, now)}`);
        break;
      case "offer":
      case "answer": {
        const { type, sdp } = word === "offer" ? peer.createOffer() : peer.createAnswer();
        return [`> description ${type} ${Buffer.from(sdp).toString("hex")}`];
      }
      case "local":
        peer.setLocalDescription({ type: second, sdp: text(third) }, now);
        break;
      case "remote":
        peer.setRemoteDescription({ type: second, sdp: text(third) }, now);
        break;
      case "candidate": {
        const [sdpMid, usernameFragment] = [perhaps(second), perhaps(third)];
        peer.addIceCandidate(
          {
            candidate: text(fourth),
            ...(sdpMid !== undefined && { sdpMid }),
            ...(usernameFragment !== undefined && { usernameFragment }),
          },
          now,
        );
        break;
      }
      case "resolved":
        peer.handleResolved(Number(second), perhaps(third ?? "-")?.split(",") ?? [], now);
        break;
      case "path": {
        const [protocol, localIp, localPort, remoteIp, remotePort] = /** @type {string[]} */ (words);
        const path = { protocol, localIp, localPort: Number(localPort), remoteIp, remotePort: Number(remotePort) };
        return [`> path ${peer.pathId(/** @type {import("frazil").Path} */ (path))}`];
      }
      case "datagram":
        if (!peer.handleDatagram(Number(second), bytes(third), now)) throw new Error(`not taken: ${line}`);
        break;
      case "batch": {
        const datagrams = words.slice(1).map((each) => each.split(":"));
        const batch = Buffer.concat(datagrams.map(([path, hex]) => entry(Number(path), bytes(hex))));
        if (peer.handleDatagrams(batch, now) !== datagrams.length) throw new Error(`not all taken: ${line}`);
        break;
      }
      case "opened":
        peer.handleStreamOpened(Number(second), now);
        break;
      case "closed":
        peer.handleStreamClosed(Number(second), now);
        break;
      case "stream":
        peer.handleStreamData(Number(second), bytes(third), now);
        break;
      case "timeout":
        peer.handleTimeout(now);
        break;
      case "restart":
        peer.restartIce();
        return [];
      case "leave":
        peer.leave(now);
        break;
      default:
        throw new Error(`no such input: ${line}`);
    }
    return [...out, ...this.#takeAll()];
  }

  #takeAll() {
    const peer = /** @type {Peer} */ (this.#peer);
    const out = [];
    for (let more = true; more; ) {
      more = false;
      for (let got = peer.pollTransmit(this.#buffer); got >= 0; got = peer.pollTransmit(this.#buffer)) {
        more = true;
        const hex = this.#buffer.toString("hex", 0, got % 65_536);
        out.push(`> transmit ${Math.floor(got / 65_536)} ${hex || "-"}`);
      }
      for (let event = peer.pollEvent(); event !== null; event = peer.pollEvent()) {
        more = true;
        const what =
          event.type === "LocalIceCandidate" ? ` ${Buffer.from(event.candidate).toString("hex") || "-"}` : "";
        out.push(`> event ${event.type}${what}`);
      }
    }
    const deadline = peer.pollTimeout();
    out.push(`> deadline ${deadline === null ? "-" : Math.round(deadline * MILLISECOND)}`);
    return out;
  }
}

function hostSocket(/** @type {string} */ word) {
  const [protocol, ip, port, kind, index, cost, temporary, deprecated] = word.split(",");
  return /** @type {import("frazil").HostSocket} */ ({
    protocol,
    ip,
    port: Number(port),
    interface: kind,
    index: Number(index),
    cost: Number(cost),
    temporary: temporary === "true",
    deprecated: deprecated === "true",
  });
}
