import { FrazilError } from "./error.js";
import type { ChannelConfig } from "./native.cjs";
import { Queue } from "./queue.js";

/** What a data channel is made with (W3C `RTCDataChannelInit`). */
export type ChannelOptions = Omit<ChannelConfig, "label">;

/** A message: text as a string, all else as bytes. */
export type Message = string | Uint8Array;

/** W3C `readyState`. */
export type ChannelState = "connecting" | "open" | "closing" | "closed";

/** What a channel asks of its connection. */
export interface Line {
  /** False if as much is buffered as may be. */
  send(bytes: Uint8Array, text: boolean): boolean;
  /** Has what was sent go out. */
  pump(): void;
  /** The application has read so many bytes, an empty message being one. */
  release(bytes: number): void;
  /** After how many bytes it is to be told at the latest that they are read. */
  readonly releaseAfter: number;
  close(): void;
  bufferedAmount(): number;
}

interface Waiting {
  bytes: Uint8Array;
  text: boolean;
  resolve: () => void;
  reject: (error: unknown) => void;
}

interface Reader {
  resolve: (result: IteratorResult<Message, undefined>) => void;
  reject: (error: unknown) => void;
}

/**
 * A data channel. What arrives is read by `for await (const message of channel)`, or by {@link receive}, and waits until then:
 * while too much waits, the other side is held back.
 */
export class Channel implements AsyncIterableIterator<Message> {
  /** A name for the application's use. It need not be unique. */
  readonly label: string;
  /** The subprotocol's name; empty for none. */
  readonly protocol: string;
  /** Whether messages arrive in the order in which they were sent. */
  readonly ordered: boolean;
  /** Is there once the channel is open; rejected if it closes before that. */
  readonly opened: Promise<void>;
  /** Is there once the channel is closed, by whomever. */
  readonly closed: Promise<void>;

  #line: Line;
  #state: ChannelState = "connecting";
  #unsent = new Queue<Waiting>();
  #unread = new Queue<{ message: Message; length: number }>();
  /** How many bytes were read and not released yet. */
  #read = 0;
  #readers = new Queue<Reader>();
  /** Why nothing can be sent any more. */
  #ended: FrazilError | undefined;
  #open!: { resolve: () => void; reject: (error: FrazilError) => void };
  #close!: () => void;

  /** Made by its connection. */
  constructor(line: Line, label: string, protocol: string, ordered: boolean) {
    this.#line = line;
    this.label = label;
    this.protocol = protocol;
    this.ordered = ordered;
    this.opened = new Promise((resolve, reject) => {
      this.#open = { resolve, reject };
    });
    // Nobody has to wait for it.
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  /** W3C `readyState`. */
  get readyState(): ChannelState {
    return this.#state;
  }

  /** W3C `bufferedAmount`: bytes that the other side has not acknowledged yet; none once the channel is closed. */
  get bufferedAmount(): number {
    return this.#state === "closed" ? 0 : this.#line.bufferedAmount();
  }

  /**
   * Sends a message. The promise is there once there is room for it, and the bytes stay as they are until then: who waits for
   * it before the next one never fills the memory. Messages go in the order of the calls, and those of a channel that is not
   * open yet once it is. In a text, half of a surrogate pair goes as U+FFFD.
   *
   * It is rejected with the code `closed` if the channel closes or is to be closed, and with `not-sent` if the message is longer
   * than the other side takes.
   */
  send(message: Message): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (this.#state === "closing") return Promise.reject(new FrazilError("closed", "the channel is closing"));
    const text = typeof message === "string";
    const bytes = text ? Buffer.from(message) : message;
    return new Promise((resolve, reject) => {
      this.#unsent.push({ bytes, text, resolve, reject });
      if (this.#unsent.length === 1) this._flush();
    });
  }

  /**
   * The next message; undefined once the channel is closed and all is read.
   *
   * Who does not want to wait any longer aborts the `signal`: then the promise is rejected with the signal's reason, and the
   * next message goes to whoever asks next. A promise that is only left behind, as by `Promise.race`, still takes a message.
   */
  async receive({ signal }: { signal?: AbortSignal } = {}): Promise<Message | undefined> {
    signal?.throwIfAborted();
    return (await this.#next(signal)).value;
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    return this.#next();
  }

  #next(signal?: AbortSignal): Promise<IteratorResult<Message, undefined>> {
    const unread = this.#unread.shift();
    if (unread !== undefined) {
      this.#release(unread.length);
      return Promise.resolve({ done: false, value: unread.message });
    }
    if (this.#state !== "closed") return this.#wait(signal);
    return this.#ended === undefined || isQuiet(this.#ended) ? Promise.resolve(OVER) : Promise.reject(this.#ended);
  }

  #wait(signal: AbortSignal | undefined): Promise<IteratorResult<Message, undefined>> {
    let abort = () => {};
    const read = new Promise<IteratorResult<Message, undefined>>((resolve, reject) => {
      const reader = { resolve, reject };
      this.#readers.push(reader);
      abort = () => {
        this.#readers.remove(reader);
        reject(signal?.reason);
      };
    });
    if (signal === undefined) return read;
    signal.addEventListener("abort", abort);
    return read.finally(() => signal.removeEventListener("abort", abort));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * Closes the channel, where nothing can be sent any more from then on. What was sent before is delivered first: {@link closed}
   * is there after that. To close twice is no error.
   */
  close(): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#state = "closing";
    if (this.#unsent.length === 0) this.#line.close();
  }

  /** @internal */
  _opened(): void {
    if (this.#state === "connecting") this.#state = "open";
    this.#open.resolve();
    this._flush();
  }

  /** @internal Sends what waits, as far as there is room. */
  _flush(): void {
    if (this.#state === "connecting" || this.#unsent.length === 0) return;
    for (let next = this.#unsent.peek(); next !== undefined; next = this.#unsent.peek()) {
      try {
        if (!this.#line.send(next.bytes, next.text)) break;
        next.resolve();
      } catch (error) {
        next.reject(error);
      }
      this.#unsent.shift();
    }
    if (this.#state === "closing" && this.#unsent.length === 0) this.#line.close();
    else this.#line.pump();
  }

  /** @internal */
  _received(bytes: Buffer, text: boolean): void {
    const message = text ? bytes.toString() : new Uint8Array(bytes);
    const reader = this.#readers.shift();
    if (reader === undefined) {
      this.#unread.push({ message, length: bytes.length });
    } else {
      this.#release(bytes.length);
      reader.resolve({ done: false, value: message });
    }
  }

  #release(bytes: number): void {
    this.#read += Math.max(bytes, 1);
    if (this.#read < this.#line.releaseAfter && this.#unread.length > 0) return;
    if (this.#state !== "closed") this.#line.release(this.#read);
    this.#read = 0;
  }

  /** @internal */
  _ended(why: FrazilError): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#ended = why;
    this.#open.reject(why);
    this.#close();
    for (let next = this.#unsent.shift(); next !== undefined; next = this.#unsent.shift()) next.reject(why);
    for (let next = this.#readers.shift(); next !== undefined; next = this.#readers.shift()) {
      if (isQuiet(why)) next.resolve(OVER);
      else next.reject(why);
    }
  }
}

/** Whether this is an end as any other, and no fault of which readers are to know. */
function isQuiet(why: FrazilError): boolean {
  return why.code === "closed";
}

const OVER: IteratorReturnResult<undefined> = { done: true, value: undefined };
