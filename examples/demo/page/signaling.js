/** A member of a room on the signalling server, over the plain WebSocket door (`docs/signaling.md`). */

/**
 * @typedef {{ kind: "page" | "native", offers: boolean }} Info
 * What our members say about themselves. `offers`: when this member comes to one that waits, it makes the offer.
 * @typedef {{ id: string, name: string, info: Partial<Info> }} Member
 * @typedef {{ type: "offer" | "answer" | "pranswer" | "rollback", sdp?: string }} Description
 * @typedef {{ candidate: string, sdpMid?: string | null, sdpMLineIndex?: number | null, usernameFragment?: string | null }} Candidate
 * @typedef {"connecting" | "joined" | "waiting" | "refused" | "left"} State
 *
 * @typedef {object} Handlers
 * @property {(state: State, detail: string) => void} state
 * @property {(self: string, members: Member[]) => void} joined
 * @property {(member: Member) => void} peerJoined
 * @property {(member: string, reason: string) => void} peerLeft
 * @property {(from: string, description: Description) => void} description
 * @property {(from: string, candidate: Candidate) => void} candidate
 */

/** What a refusal says that will not change by asking again. */
const FINAL = ["malformed", "too-large", "unknown-type"];
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

export class Signaling {
  #url;
  #handlers;
  /** @type {{ room: string, name: string, info: Info } | undefined} */
  #wish;
  /** @type {WebSocket | undefined} */
  #socket;
  #pause = FIRST_PAUSE_MS;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Asked before every attempt to come back after the connection was lost. */
  #mayReturn;

  /**
   * @param {string} url
   * @param {Handlers} handlers
   * @param {() => boolean} mayReturn
   */
  constructor(url, handlers, mayReturn) {
    this.#url = url;
    this.#handlers = handlers;
    this.#mayReturn = mayReturn;
  }

  /**
   * Enters a room, anew if in one already; keeps trying until it is in or `leave` is called.
   * @param {string} room
   * @param {string} name
   * @param {Info} info
   */
  join(room, name, info) {
    this.#wish = { room, name, info };
    this.#pause = FIRST_PAUSE_MS;
    this.#hangUp();
    this.#connect();
  }

  /** Leaves the room and the server. */
  leave() {
    if (!this.#wish) return;
    this.#wish = undefined;
    this.#send({ type: "leave" });
    this.#hangUp();
    this.#handlers.state("left", "");
  }

  /**
   * @param {string} to
   * @param {Description} description
   */
  describe(to, description) {
    this.#send({ type: "description", to, description });
  }

  /**
   * @param {string} to
   * @param {Candidate} candidate
   */
  trickle(to, candidate) {
    this.#send({ type: "candidate", to, candidate });
  }

  /** Whether messages reach the server now. */
  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #connect() {
    const wish = this.#wish;
    if (!wish) return;
    this.#handlers.state("connecting", "");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ type: "join", ...wish }));
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data), socket);
    socket.onclose = ({ reason }) => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#again(reason || "the signalling server cannot be reached");
    };
  }

  /** @param {string} why */
  #again(why) {
    if (!this.#wish) return;
    const pause = this.#pause;
    this.#pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    this.#handlers.state("waiting", why);
    const attempt = () => {
      if (this.#mayReturn()) this.#connect();
      else this.#timer = setTimeout(attempt, LONGEST_PAUSE_MS);
    };
    this.#timer = setTimeout(attempt, pause);
  }

  /**
   * @param {any} message
   * @param {WebSocket} socket
   */
  #receive(message, socket) {
    if (this.#socket !== socket) return;
    const handlers = this.#handlers;
    switch (message.type) {
      case "welcome":
        this.#pause = FIRST_PAUSE_MS;
        handlers.state("joined", message.room);
        handlers.joined(message.member, message.members);
        break;
      case "peer-joined":
        handlers.peerJoined(message.member);
        break;
      case "peer-left":
        handlers.peerLeft(message.member, message.reason);
        break;
      case "description":
        handlers.description(message.from, message.description);
        break;
      case "candidate":
        handlers.candidate(message.from, message.candidate);
        break;
      case "room-closed":
        this.#hangUp();
        if (message.reason === "shutdown") this.#again("the signalling server is going down");
        else this.#refuse("the room was closed");
        break;
      case "error":
        this.#error(message);
        break;
    }
  }

  /** @param {{ code: string, message: string }} error */
  #error({ code, message }) {
    // Whom we wrote to has just left; the news of that is on its way.
    if (code === "no-such-member" || code === "not-joined") return;
    this.#hangUp();
    if (FINAL.includes(code)) this.#refuse(message);
    else this.#again(message);
  }

  /** @param {string} why */
  #refuse(why) {
    this.#wish = undefined;
    this.#handlers.state("refused", why);
  }

  /** @param {object} message */
  #send(message) {
    if (this.open) this.#socket?.send(JSON.stringify(message));
  }

  #hangUp() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }
}
