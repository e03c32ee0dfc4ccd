/** What is said on the chat channel (`docs/demo-protocol.md`). */

/**
 * @typedef {object} Handlers
 * @property {(state: RTCDataChannelState) => void} state
 * @property {(hello: { name: string, kind: string }) => void} hello
 * @property {(id: number, text: string) => void} chat
 * @property {(id: number, text: string, roundTrip: number) => void} echo `roundTrip` in milliseconds
 * @property {(size: number) => void} fileWanted
 * @property {(why: string) => void} refused
 * @property {() => void} closeWanted
 * @property {() => void} bye
 */

/** The longest text of one chat message, in UTF-16 code units. */
export const MAX_TEXT = 4000;

export class Conversation {
  #channel;
  #nextId = 1;
  /** When each message of ours that was not echoed yet was sent. @type {Map<number, number>} */
  #sent = new Map();

  /**
   * @param {RTCDataChannel} channel
   * @param {string} name
   * @param {() => Promise<void>} carries resolves when the open channel carries what is sent
   * @param {Handlers} handlers
   */
  constructor(channel, name, carries, handlers) {
    this.#channel = channel;
    const opened = async () => {
      await carries();
      // Where it was closed in the meantime, that has been told.
      if (channel.readyState !== "open") return;
      this.#send({ type: "hello", name, kind: "page" });
      handlers.state(channel.readyState);
    };
    channel.onclosing = () => handlers.state("closing");
    channel.onclose = () => handlers.state("closed");
    channel.onmessage = ({ data }) => this.#receive(data, handlers);
    if (channel.readyState === "open") opened();
    else channel.onopen = opened;
  }

  get open() {
    return this.#channel.readyState === "open";
  }

  /**
   * @param {string} text
   * @returns {number} the message's id, which its echo will bear
   */
  say(text) {
    const id = this.#nextId++;
    this.#sent.set(id, performance.now());
    this.#send({ type: "chat", id, text: text.slice(0, MAX_TEXT) });
    return id;
  }

  /**
   * @param {number} id
   * @param {string} text
   */
  echo(id, text) {
    this.#send({ type: "echo", id, text });
  }

  /** @param {number} size */
  askForFile(size) {
    this.#send({ type: "send-file", size });
  }

  askToClose() {
    this.#send({ type: "close" });
  }

  /** @param {string} why */
  refuse(why) {
    this.#send({ type: "refused", why });
  }

  /** Says that we go, and waits a moment for it to be on its way. */
  async bye() {
    if (!this.open) return;
    this.#send({ type: "bye" });
    const deadline = performance.now() + 300;
    while (this.#channel.bufferedAmount > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Says that we go when there is no time to wait. */
  byeAtOnce() {
    if (this.open) this.#send({ type: "bye" });
  }

  /** @param {object} message */
  #send(message) {
    if (this.open) this.#channel.send(JSON.stringify(message));
  }

  /**
   * @param {unknown} data
   * @param {Handlers} handlers
   */
  #receive(data, handlers) {
    const message = parse(data);
    switch (message?.type) {
      case "hello":
        handlers.hello({
          name: String(message.name ?? ""),
          kind: String(message.kind ?? ""),
        });
        break;
      case "chat":
        if (Number.isSafeInteger(message.id) && typeof message.text === "string") {
          handlers.chat(message.id, message.text.slice(0, MAX_TEXT));
        }
        break;
      case "echo": {
        const sent = this.#sent.get(message.id);
        if (sent === undefined) break;
        this.#sent.delete(message.id);
        handlers.echo(message.id, String(message.text ?? "").slice(0, MAX_TEXT), performance.now() - sent);
        break;
      }
      case "send-file":
        if (Number.isSafeInteger(message.size) && message.size >= 0) handlers.fileWanted(message.size);
        break;
      case "refused":
        handlers.refused(String(message.why ?? "").slice(0, MAX_TEXT));
        break;
      case "close":
        handlers.closeWanted();
        break;
      case "bye":
        handlers.bye();
        break;
    }
  }
}

/**
 * @param {unknown} data
 * @returns {any}
 */
function parse(data) {
  if (typeof data !== "string") return undefined;
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
