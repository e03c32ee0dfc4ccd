/** One file on one data channel (`docs/demo-protocol.md`). */

import { Sha256 } from "./sha256.js";

/**
 * @typedef {object} Transfer
 * @property {number} number in the order in which transfers began, from 1
 * @property {"sent" | "received"} direction
 * @property {string} name
 * @property {number} size in bytes
 * @property {number} done in bytes
 * @property {number} startedAt by `performance.now()`
 * @property {number | undefined} endedAt by `performance.now()`
 * @property {"waiting" | "running" | "checking" | "verified" | "failed"} state
 * @property {string} sha256 of what we sent or received, once known
 * @property {string} theirSha256 what the other side says it is
 * @property {string} why it failed
 * @property {Blob | undefined} blob what was received
 *
 * @typedef {{ name: string, size: number, chunks: AsyncIterable<Uint8Array<ArrayBuffer>> }} Source
 */

export const FILE_PROTOCOL = "frazil-demo-file";
/** The largest file that is taken or made; all of it is held in memory. */
export const MAX_FILE = 256 * 1024 * 1024;

const CHUNK = 64 * 1024;
/** How many bytes may wait in a channel, and at how few it is filled again. */
const HIGH_WATER = 1024 * 1024;
const LOW_WATER = 256 * 1024;
/** How long a transfer may make no progress. */
const PATIENCE_MS = 20_000;

let count = 0;

/**
 * Sends a file.
 * @param {RTCDataChannel} channel opened for it, with `FILE_PROTOCOL`
 * @param {number} maxMessageSize in bytes
 * @param {Source} source
 * @param {(transfer: Transfer) => void} changed
 * @returns {Promise<Transfer>} ends when the other side has said what it got, or the transfer has failed
 */
export async function send(channel, maxMessageSize, source, changed) {
  const transfer = begin("sent", source.name, source.size, changed);
  const inbox = new Inbox(channel);
  channel.bufferedAmountLowThreshold = LOW_WATER;
  try {
    await inbox.opened();
    channel.send(JSON.stringify({ type: "file", name: source.name, size: source.size }));
    update(transfer, { state: "running", startedAt: performance.now() }, changed);
    const hash = new Sha256();
    const chunkSize = Math.min(CHUNK, maxMessageSize);
    for await (const block of source.chunks) {
      hash.update(block);
      for (let at = 0; at < block.length; at += chunkSize) {
        await inbox.room(chunkSize);
        const chunk = block.subarray(at, at + chunkSize);
        channel.send(chunk);
        update(transfer, { done: transfer.done + chunk.length }, changed);
      }
    }
    if (transfer.done !== source.size) throw new Error(`the file has ${transfer.done} bytes, not ${source.size}`);
    const sha256 = hash.hex();
    channel.send(JSON.stringify({ type: "end", sha256 }));
    update(transfer, { state: "checking", sha256 }, changed);
    const reply = await inbox.text();
    if (reply.type !== "received") throw new Error(String(reply.why ?? "the other side did not take it"));
    finish(transfer, String(reply.sha256), changed);
  } catch (error) {
    fail(transfer, channel, error, changed);
  }
  channel.close();
  return transfer;
}

/**
 * Receives a file.
 * @param {RTCDataChannel} channel opened for it by the other side
 * @param {(transfer: Transfer) => void} changed
 * @returns {Promise<Transfer>} ends when all is here and checked, or the transfer has failed
 */
export async function receive(channel, changed) {
  channel.binaryType = "arraybuffer";
  const inbox = new Inbox(channel);
  const transfer = begin("received", "", 0, changed);
  try {
    const header = await inbox.text();
    const { name, size } = header;
    if (header.type !== "file" || typeof name !== "string" || !Number.isSafeInteger(size) || size < 0) {
      throw new Error("the channel did not begin with the name and size of a file");
    }
    if (size > MAX_FILE) throw new Error(`a file of ${size} bytes is more than this page takes (${MAX_FILE})`);
    update(
      transfer,
      {
        name: name.slice(0, 200),
        size,
        state: "running",
        startedAt: performance.now(),
      },
      changed,
    );
    const hash = new Sha256();
    /** @type {ArrayBuffer[]} */
    const parts = [];
    for (;;) {
      const message = await inbox.next();
      if (typeof message === "string") {
        const end = parse(message);
        if (end.type === "cancel") throw new Error(`the other side gave up: ${String(end.why ?? "")}`);
        if (end.type !== "end") throw new Error("the other side sent a text within the file");
        if (transfer.done !== size) throw new Error(`${transfer.done} bytes came, not ${size}`);
        const sha256 = hash.hex();
        channel.send(JSON.stringify({ type: "received", size, sha256 }));
        update(transfer, { sha256, blob: new Blob(parts) }, changed);
        finish(transfer, String(end.sha256), changed);
        break;
      }
      if (transfer.done + message.byteLength > size) throw new Error("more bytes came than were announced");
      hash.update(new Uint8Array(message));
      parts.push(message);
      update(transfer, { done: transfer.done + message.byteLength }, changed);
    }
    // The sender closes the channel when it has our word.
  } catch (error) {
    fail(transfer, channel, error, changed);
    channel.close();
  }
  return transfer;
}

/**
 * A file of random bytes.
 * @param {number} size in bytes
 * @returns {Source}
 */
export function randomFile(size) {
  async function* chunks() {
    for (let left = size; left > 0; left -= CHUNK) {
      yield crypto.getRandomValues(new Uint8Array(Math.min(CHUNK, left)));
    }
  }
  return { name: `random-${size}-bytes.bin`, size, chunks: chunks() };
}

/**
 * A file that a person chose.
 * @param {File} file
 * @returns {Source}
 */
export function chosenFile(file) {
  async function* chunks() {
    const step = 16 * CHUNK;
    for (let at = 0; at < file.size; at += step) {
      yield new Uint8Array(await file.slice(at, at + step).arrayBuffer());
    }
  }
  return { name: file.name, size: file.size, chunks: chunks() };
}

/** The messages of a channel, and its ups and downs, as something to wait for. */
class Inbox {
  #channel;
  /** @type {(string | ArrayBuffer)[]} */
  #messages = [];
  #closed = false;
  /** @type {(() => void) | undefined} */
  #wake;

  /** @param {RTCDataChannel} channel */
  constructor(channel) {
    this.#channel = channel;
    channel.onmessage = ({ data }) => {
      this.#messages.push(data);
      this.#wake?.();
    };
    channel.onclose = () => {
      this.#closed = true;
      this.#wake?.();
    };
    channel.onopen = () => this.#wake?.();
    channel.onbufferedamountlow = () => this.#wake?.();
  }

  async opened() {
    while (this.#channel.readyState === "connecting") await this.#event();
  }

  /**
   * Waits until the channel takes more.
   * @param {number} size in bytes
   */
  async room(size) {
    while (this.#channel.bufferedAmount + size > HIGH_WATER) await this.#event();
    const early = this.#messages[0];
    if (typeof early === "string") throw new Error(String(parse(early).why ?? "the other side does not take it"));
  }

  async next() {
    while (this.#messages.length === 0) await this.#event();
    return /** @type {string | ArrayBuffer} */ (this.#messages.shift());
  }

  async text() {
    const message = await this.next();
    if (typeof message !== "string") throw new Error("bytes came where a text was due");
    return parse(message);
  }

  async #event() {
    if (this.#closed) throw new Error("the channel was closed before the end");
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    await new Promise((resolve, reject) => {
      this.#wake = () => resolve(undefined);
      timer = setTimeout(() => reject(new Error("nothing happened for 20 seconds")), PATIENCE_MS);
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }
}

/**
 * @param {"sent" | "received"} direction
 * @param {string} name
 * @param {number} size
 * @param {(transfer: Transfer) => void} changed
 */
function begin(direction, name, size, changed) {
  /** @type {Transfer} */
  const transfer = {
    number: ++count,
    direction,
    name,
    size,
    done: 0,
    startedAt: performance.now(),
    endedAt: undefined,
    state: "waiting",
    sha256: "",
    theirSha256: "",
    why: "",
    blob: undefined,
  };
  changed(transfer);
  return transfer;
}

/**
 * @param {Transfer} transfer
 * @param {Partial<Transfer>} change
 * @param {(transfer: Transfer) => void} changed
 */
function update(transfer, change, changed) {
  Object.assign(transfer, change);
  changed(transfer);
}

/**
 * @param {Transfer} transfer
 * @param {string} theirSha256
 * @param {(transfer: Transfer) => void} changed
 */
function finish(transfer, theirSha256, changed) {
  if (theirSha256 !== transfer.sha256) throw new Error("the SHA-256 of the two sides differ");
  update(transfer, { theirSha256, state: "verified", endedAt: performance.now() }, changed);
}

/**
 * @param {Transfer} transfer
 * @param {RTCDataChannel} channel
 * @param {unknown} error
 * @param {(transfer: Transfer) => void} changed
 */
function fail(transfer, channel, error, changed) {
  const why = error instanceof Error ? error.message : String(error);
  if (channel.readyState === "open") channel.send(JSON.stringify({ type: "cancel", why }));
  update(transfer, { state: "failed", why, endedAt: performance.now() }, changed);
}

/**
 * @param {string} text
 * @returns {any}
 */
function parse(text) {
  try {
    const message = JSON.parse(text);
    return typeof message === "object" && message !== null ? message : {};
  } catch {
    return {};
  }
}
