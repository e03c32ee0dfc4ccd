import { HEADER, MAX_ENTRIES, TEXT } from "./native.cjs";

/** One of several datagrams or messages that lie in one buffer. */
export interface Entry {
  /** The path, or the channel. */
  number: number;
  text: boolean;
  /** Where its bytes lie in the buffer. */
  start: number;
  end: number;
}

/** Walks through what the core has put into a buffer. */
export function* entries(buffer: Buffer, end: number): Generator<Entry> {
  for (let start = 0; start < end; ) {
    const number = buffer.readUInt32LE(start);
    const length = buffer.readUInt32LE(start + 4);
    start += HEADER;
    const after = start + (length & ~TEXT);
    yield { number, text: (length & TEXT) !== 0, start, end: after };
    start = after;
  }
}

/** Datagrams for the core, one behind the other. `S` says where one is from. */
export class Batch<S> {
  #buffer = Buffer.allocUnsafeSlow(MAX_ENTRIES * 2048);
  #starts: number[] = [];
  #senders: S[] = [];
  #end = 0;

  get length(): number {
    return this.#starts.length;
  }

  /** Whether there is room for this datagram. */
  takes(datagram: Uint8Array): boolean {
    return this.length < MAX_ENTRIES && this.#end + HEADER + datagram.length <= this.#buffer.length;
  }

  push(path: number, datagram: Uint8Array, sender: S): void {
    this.#starts.push(this.#end);
    this.#senders.push(sender);
    this.#buffer.writeUInt32LE(path, this.#end);
    this.#buffer.writeUInt32LE(datagram.length, this.#end + 4);
    this.#buffer.set(datagram, this.#end + HEADER);
    this.#end += HEADER + datagram.length;
  }

  /** Where the datagram at this place is from. */
  sender(index: number): S {
    return this.#senders[index] as S;
  }

  setPath(index: number, path: number): void {
    this.#buffer.writeUInt32LE(path, this.#starts[index] as number);
  }

  /** The datagrams from this place on. */
  from(index: number): Uint8Array {
    return this.#buffer.subarray(this.#starts[index], this.#end);
  }

  clear(): void {
    this.#starts.length = 0;
    this.#senders.length = 0;
    this.#end = 0;
  }
}
