/** The page: joins a room, connects to another member of it, and shows how. */

import { Conversation } from "./conversation.js";
import { readPaths } from "./paths.js";
import { CHAT_PROTOCOL, Session } from "./session.js";
import { Signaling } from "./signaling.js";
import { FILE_PROTOCOL, MAX_FILE, chosenFile, randomFile, receive, send } from "./transfer.js";
import * as view from "./view.js";

/**
 * @import { Info, Member } from "./signaling.js"
 * @import { EndedBy, Role } from "./session.js"
 * @import { Paths } from "./paths.js"
 * @import { Source, Transfer } from "./transfer.js"
 * @import { StateEntry, Step } from "./view.js"
 *
 * @typedef {{ room: string, offer: "page" | "peer", iceServers: RTCIceServer[] }} Config
 * @typedef {{ at: number, from: "us" | "them", kind: "chat" | "echo", id: number, text: string, roundTrip?: number }} ChatEntry
 * @typedef {{ at: number, by: EndedBy, why: string }} End
 */

const STATISTICS_EVERY_MS = 1000;
const FIRST_WORDS = "Hello from the page";

const wanted = new URLSearchParams(location.search);
/** Answers every chat message with the same words, as the native peer does. */
const echoes = wanted.get("echo") === "1";

class App {
  /** @type {Config | undefined} */
  #config;
  /** @type {Signaling} */
  #signaling;
  /** Who is in our room, the longest-staying first. @type {Member[]} */
  #members = [];
  /** Which of them we are. */
  #self = "";
  /** @type {Session | undefined} */
  #session;
  /** @type {Conversation | undefined} */
  #conversation;
  /** The words of ours that wait for their echo. @type {Map<number, HTMLElement>} */
  #unanswered = new Map();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #statistics;
  /** @type {Paths} */
  #paths = { candidates: [], pairs: [], selected: undefined };
  /** @type {Step[]} */
  #steps = [];

  /** Every state in the order in which it came. @type {StateEntry[]} */
  states = [];
  /** @type {ChatEntry[]} */
  messages = [];
  /** @type {Transfer[]} */
  transfers = [];
  /** How the last connection ended. @type {End | undefined} */
  end;
  /** From the opening of the page to the first echo, in milliseconds. @type {number | undefined} */
  timeToFirstEcho;
  /** @type {Set<() => void>} */
  #watchers = new Set();

  constructor() {
    const url = new URL("ws", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const handlers = {
      /** @type {(state: string, detail: string) => void} */
      state: (state, detail) => this.#signalingState(state, detail),
      /** @type {(self: string, members: Member[]) => void} */
      joined: (self, members) => this.#joined(self, members),
      /** @type {(member: Member) => void} */
      peerJoined: (member) => this.#peerJoined(member),
      /** @type {(member: string, reason: string) => void} */
      peerLeft: (member, reason) => this.#peerLeft(member, reason),
      /** @type {import("./signaling.js").Handlers["description"]} */
      description: (from, description) => this.#sessionWith(from)?.takeDescription(description),
      /** @type {import("./signaling.js").Handlers["candidate"]} */
      candidate: (from, candidate) => this.#sessionWith(from)?.takeCandidate(candidate),
    };
    // A connection that works needs no signalling; returning to the room would replace it.
    this.#signaling = new Signaling(url.href, handlers, () => !this.#session || this.#session.ended);
  }

  async start() {
    const response = await fetch("config.json");
    if (!response.ok) throw new Error(`the demo server answered ${response.status}`);
    /** @type {Config} */
    const config = await response.json();
    this.#config = { ...config, room: wanted.get("room") || config.room };
    view.element("room").textContent = this.#config.room;
    const offer = wanted.get("offer") ?? config.offer;
    for (const input of this.#offerInputs()) input.checked = input.value === offer;
    this.#relayInput().checked = wanted.get("relay") === "1";
    this.#listen();
    view.enableTalk(false);
    this.connect();
  }

  /** What the signalling server calls us; empty before we are in a room. */
  get member() {
    return this.#self;
  }

  /** Comes into the room anew, and so connects anew. */
  connect() {
    if (!this.#config) return;
    this.#session?.end("us", "");
    this.#members = [];
    this.end = undefined;
    this.#steps = ["In the room", "Offer and answer", "Path found", "Encrypted", "First echo"].map((name) => ({
      name,
      at: undefined,
    }));
    this.#forgetPaths();
    view.showSteps(this.#steps);
    this.#headline("busy", "Connecting", "Entering the room", "");
    /** @type {Info} */
    const info = { kind: "page", offers: this.#offers() };
    this.#signaling.join(this.#config.room, browserName(), info);
  }

  /** Ends the connection and leaves the room. */
  async close() {
    this.#session?.leaving();
    await this.#conversation?.bye();
    this.#session?.end("us", "");
    this.#signaling.leave();
    this.#headline("idle", "Closed", "Closed", "You closed the connection and left the room.");
  }

  /**
   * Says something.
   * @param {string} text
   * @returns {number | undefined} the message's id
   */
  say(text) {
    if (!this.#conversation?.open) return undefined;
    const id = this.#conversation.say(text);
    this.messages.push({
      at: performance.now(),
      from: "us",
      kind: "chat",
      id,
      text,
    });
    this.#unanswered.set(id, view.addMessage("us", text, ""));
    this.#changed();
    return id;
  }

  /**
   * @param {Source} source
   * @returns {Promise<Transfer>}
   */
  async sendFile(source) {
    const session = this.#session;
    if (!session || session.ended) throw new Error("not connected");
    if (source.size > MAX_FILE) throw new Error(`${source.name} has more than ${view.bytes(MAX_FILE)}`);
    const channel = session.open("file", FILE_PROTOCOL);
    return await send(channel, session.maxMessageSize, source, (transfer) => this.#transferred(transfer));
  }

  /** @param {number} size in bytes */
  askForFile(size) {
    this.#conversation?.askForFile(size);
  }

  /** Asks the other side to close the connection. */
  askToClose() {
    this.#conversation?.askToClose();
  }

  get paths() {
    return this.#paths;
  }

  /** Whether the chat channel is open. */
  get connected() {
    return this.#conversation?.open ?? false;
  }

  /** @returns {Role | undefined} */
  get role() {
    return this.#session?.role;
  }

  /** Signalled candidates of this connection, ours and theirs. */
  get candidates() {
    return this.#session?.candidates;
  }

  /** Reads the statistics now. */
  async refresh() {
    await this.#readStatistics();
    return this.#paths;
  }

  /**
   * Waits until something holds; it is looked at whenever anything changes.
   * @template T
   * @param {() => T | undefined | false | null} condition
   * @returns {Promise<T>}
   */
  until(condition) {
    return new Promise((resolve) => {
      const look = () => {
        const value = condition();
        if (value === undefined || value === false || value === null) return;
        this.#watchers.delete(look);
        resolve(value);
      };
      this.#watchers.add(look);
      look();
    });
  }

  // Signalling

  /**
   * @param {string} state
   * @param {string} detail
   */
  #signalingState(state, detail) {
    this.#note("server", state);
    if (this.#session && !this.#session.ended) return;
    if (state === "waiting") {
      this.#headline("bad", "No server", "The signalling server does not answer", `Trying again: ${detail}.`);
    } else if (state === "refused") {
      this.#headline("bad", "Refused", "The signalling server refused us", `It says: ${detail}.`);
    }
  }

  /**
   * @param {string} self
   * @param {Member[]} members
   */
  #joined(self, members) {
    this.#step("In the room");
    const other = counterpart(members);
    this.#self = self;
    this.#members = [...members, { id: self, name: "", info: { kind: "page" } }];
    if (other) this.#begin(other, this.#offers());
    else this.#alone();
  }

  /** @param {Member} newcomer */
  #peerJoined(newcomer) {
    const chosen = counterpart(this.#members);
    this.#members.push(newcomer);
    if (chosen?.id !== this.#self) return;
    // The newest comer wins: a page that was reloaded replaces what it was before. It says who offers, unless it is
    // a native peer: then that is for the page to say.
    this.#begin(newcomer, newcomer.info.kind === "native" ? this.#offers() : newcomer.info.offers === false);
  }

  /**
   * @param {string} id
   * @param {string} reason
   */
  #peerLeft(id, reason) {
    this.#members = this.#members.filter((member) => member.id !== id);
    const session = this.#sessionWith(id);
    if (!session) return;
    // A connection that works does not need the other side's signalling; ICE will notice if it is gone.
    if (reason !== "left" && this.connected) this.#note("peer's server", reason);
    else session.end("them", "");
  }

  // The connection

  /**
   * @param {Member} other
   * @param {boolean} offers whether we make the offer
   */
  #begin(other, offers) {
    const config = this.#config;
    if (!config) return;
    this.#session?.end("them", "");
    this.end = undefined;
    const role = offers ? "offerer" : "answerer";
    view.divideStates();
    this.#note("role", role);
    this.#forgetPaths();
    this.#resetStepsAfterRoom();
    const name = nameOf(other);
    view.showRemoteName(name);
    this.#headline("busy", "Connecting", `Connecting to ${name}`, this.#plan(role, name));
    const configuration = {
      iceServers: config.iceServers,
      iceTransportPolicy: /** @type {RTCIceTransportPolicy} */ (this.#relayInput().checked ? "relay" : "all"),
    };
    const session = new Session(other, role, configuration, {
      description: (description) => this.#signaling.describe(other.id, description),
      candidate: (candidate) => this.#signaling.trickle(other.id, candidate),
      state: (what, value) => this.#sessionState(what, value),
      channel: (channel) => this.#channel(session, channel),
      ended: (by, why) => this.#ended(session, by, why),
    });
    this.#session = session;
    session.start();
    clearInterval(this.#statistics);
    this.#statistics = setInterval(() => this.#readStatistics(), STATISTICS_EVERY_MS);
  }

  /**
   * @param {Session} session
   * @param {RTCDataChannel} channel
   */
  #channel(session, channel) {
    if (session !== this.#session) return channel.close();
    if (channel.protocol === FILE_PROTOCOL) {
      receive(channel, (transfer) => this.#transferred(transfer));
      return;
    }
    if (channel.protocol !== CHAT_PROTOCOL) return channel.close();
    if (channel.readyState === "connecting") this.#note("chat", "connecting");
    this.#conversation = new Conversation(channel, browserName(), () => session.carries(channel), {
      state: (state) => {
        this.#note("chat", state);
        if (state === "open") this.#open(session);
        if (state === "closed") session.end("them", "");
      },
      hello: ({ name }) => name && this.#note("peer", name),
      chat: (id, text) => this.#heard(id, text),
      echo: (id, text, roundTrip) => this.#echoed(id, text, roundTrip),
      fileWanted: (size) => this.#fileWanted(size),
      refused: (why) => view.addMessage("note", `The other side refused: ${why}`),
      closeWanted: () => this.close(),
      bye: () => session.end("them", "bye"),
    });
  }

  /** @param {Session} session */
  #open(session) {
    const name = nameOf(session.remote);
    view.enableTalk(true);
    this.#headline("good", "Connected", `Connected to ${name}`, "");
    if (this.timeToFirstEcho === undefined) this.say(FIRST_WORDS);
    this.#readStatistics();
  }

  /**
   * @param {Session} session
   * @param {EndedBy} by
   * @param {string} why
   */
  #ended(session, by, why) {
    if (session !== this.#session) return;
    clearInterval(this.#statistics);
    this.#conversation = undefined;
    this.end = { at: performance.now(), by, why };
    this.#note("ended by", by);
    view.enableTalk(false);
    const name = nameOf(session.remote);
    if (by === "them") {
      const words = "If it comes back, this page connects to it again.";
      this.#headline("idle", "Closed", `${name} closed the connection`, words);
    } else if (by === "failure") {
      this.#headline("bad", "Failed", `No connection to ${name}`, why);
    }
    this.#changed();
  }

  /**
   * @param {string} what
   * @param {string} value
   */
  #sessionState(what, value) {
    this.#note(what, value);
    if (what === "signalling" && value === "stable") this.#step("Offer and answer");
    if (what === "ICE" && (value === "connected" || value === "completed")) this.#step("Path found");
    if (what === "connection" && value === "connected") this.#step("Encrypted");
    if (what === "connection" && value === "disconnected") {
      this.#headline(
        "busy",
        "Interrupted",
        "The path is interrupted",
        "Nothing is heard from the other side; waiting.",
      );
    }
    if (what === "connection" && value === "connected" && this.connected && this.#session) {
      this.#headline("good", "Connected", `Connected to ${nameOf(this.#session.remote)}`, "");
    }
  }

  /** @param {string} id */
  #sessionWith(id) {
    const session = this.#session;
    return session && !session.ended && session.remote.id === id ? session : undefined;
  }

  // What is said

  /**
   * @param {number} id
   * @param {string} text
   */
  #heard(id, text) {
    this.messages.push({
      at: performance.now(),
      from: "them",
      kind: "chat",
      id,
      text,
    });
    view.addMessage("them", text);
    if (echoes) this.#conversation?.echo(id, text);
    this.#changed();
  }

  /**
   * @param {number} id
   * @param {string} text
   * @param {number} roundTrip
   */
  #echoed(id, text, roundTrip) {
    const at = performance.now();
    this.messages.push({ at, from: "them", kind: "echo", id, text, roundTrip });
    if (this.timeToFirstEcho === undefined) this.timeToFirstEcho = at;
    this.#step("First echo");
    const message = this.#unanswered.get(id);
    if (message) view.detailMessage(message, `echoed in ${view.milliseconds(roundTrip / 1000)}`);
    this.#unanswered.delete(id);
    this.#changed();
  }

  /** @param {number} size */
  #fileWanted(size) {
    if (size > MAX_FILE) this.#conversation?.refuse(`more than ${view.bytes(MAX_FILE)}`);
    else this.sendFile(randomFile(size)).catch(() => {});
  }

  /** @param {Transfer} transfer */
  #transferred(transfer) {
    if (this.transfers[transfer.number - 1] !== transfer) this.transfers[transfer.number - 1] = transfer;
    this.#paint(transfer);
    if (transfer.state === "verified" || transfer.state === "failed") this.#changed();
  }

  /** Transfers that are to be shown with the next frame. @type {Set<Transfer>} */
  #unpainted = new Set();

  /** @param {Transfer} transfer */
  #paint(transfer) {
    if (this.#unpainted.size === 0) {
      requestAnimationFrame(() => {
        for (const changed of this.#unpainted) view.showTransfer(changed);
        this.#unpainted.clear();
      });
    }
    this.#unpainted.add(transfer);
  }

  // What is shown

  #alone() {
    const words = "Nobody else is in this room. Open this page a second time, or start a native peer.";
    this.#headline("idle", "Waiting", "Waiting for somebody to connect to", words);
  }

  /**
   * @param {Role} role
   * @param {string} name
   */
  #plan(role, name) {
    return role === "offerer" ? "This page makes the offer." : `${name} makes the offer.`;
  }

  async #readStatistics() {
    const session = this.#session;
    if (!session || session.ended) return;
    const paths = await readPaths(session);
    if (session !== this.#session || session.ended) return;
    const { selected } = paths;
    const before = this.#paths.selected;
    if (selected && selected.id !== before?.id) {
      this.#note("path", `${selected.local.type} to ${selected.remote.type}`);
    }
    this.#paths = paths;
    view.showPaths(paths);
    view.showFigures(selected);
    this.#changed();
  }

  #forgetPaths() {
    this.#paths = { candidates: [], pairs: [], selected: undefined };
    view.showFigures(undefined);
  }

  /** @param {string} name */
  #step(name) {
    const step = this.#steps.find((step) => step.name === name);
    if (step && step.at === undefined) step.at = performance.now();
    view.showSteps(this.#steps);
  }

  #resetStepsAfterRoom() {
    this.#steps = this.#steps.map(({ name, at }, index) => ({
      name,
      at: index === 0 ? at : undefined,
    }));
    view.showSteps(this.#steps);
  }

  /**
   * @param {import("./view.js").Tone} tone
   * @param {string} pill
   * @param {string} title
   * @param {string} words
   */
  #headline(tone, pill, title, words) {
    view.showHeadline({ tone, pill, title, words });
    document.title = tone === "good" ? "frazil: connected" : "frazil";
  }

  /**
   * @param {string} what
   * @param {string} value
   */
  #note(what, value) {
    const entry = { at: performance.now(), what, value };
    this.states.push(entry);
    view.addState(entry);
    this.#changed();
  }

  #changed() {
    for (const look of [...this.#watchers]) look();
  }

  // What a person does

  #listen() {
    const text = /** @type {HTMLInputElement} */ (view.element("text"));
    view.element("say").addEventListener("submit", (event) => {
      event.preventDefault();
      if (text.value.trim() && this.say(text.value.trim()) !== undefined) text.value = "";
    });
    const file = /** @type {HTMLInputElement} */ (view.element("file"));
    view.element("choose").addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      this.#sendAll(file.files);
      file.value = "";
    });
    const drop = view.element("drop");
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.toggle("over", this.connected);
    });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.#sendAll(event.dataTransfer?.files);
    });
    const size = /** @type {HTMLSelectElement} */ (view.element("ask-size"));
    view.element("ask").addEventListener("click", () => this.askForFile(Number(size.value)));
    view.element("close").addEventListener("click", () => this.close());
    view.element("again").addEventListener("click", () => this.connect());
    view.element("controls").addEventListener("change", () => this.connect());
    // A page that goes says so; one that comes back from the browser's cache connects anew.
    addEventListener("pagehide", () => {
      this.#conversation?.byeAtOnce();
      this.#session?.end("us", "");
      this.#signaling.leave();
    });
    addEventListener("pageshow", (event) => {
      if (event.persisted) this.connect();
    });
  }

  /** @param {FileList | null | undefined} files */
  #sendAll(files) {
    for (const file of files ?? []) {
      this.sendFile(chosenFile(file)).catch((error) => view.addMessage("note", error.message));
    }
  }

  #offers() {
    return this.#offerInputs().find((input) => input.checked)?.value !== "peer";
  }

  #offerInputs() {
    return /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll("input[name=offer]")]);
  }

  #relayInput() {
    return /** @type {HTMLInputElement} */ (view.element("relay"));
  }
}

/**
 * Whom a newcomer connects to: the native peer that is there longest, or else the page.
 * @param {Member[]} members
 */
function counterpart(members) {
  return members.find((member) => member.info.kind === "native") ?? members[0];
}

/** @param {Member} member */
function nameOf({ name, info }) {
  return name || (info.kind === "native" ? "the native peer" : "another page");
}

/** What this page calls itself. */
function browserName() {
  const agent = navigator.userAgent;
  const browser = /Firefox/.test(agent)
    ? "Firefox"
    : /Chrom/.test(agent)
      ? "Chromium"
      : /Safari/.test(agent)
        ? "Safari"
        : "Page";
  const system = agent.match(/Android|iPhone|iPad|Windows|Macintosh|Linux/)?.[0];
  return system ? `${browser} on ${system}` : browser;
}

const app = new App();

/**
 * What the tests, and whoever opens the console, hold the page by.
 */
const frazil = {
  app,
  randomFile,
  /** Resolves when the chat is open. */
  connected: () => app.until(() => app.connected),
  /** Resolves with the end of the connection. */
  ended: () => app.until(() => app.end),
  /**
   * Says something and resolves with its echo.
   * @param {string} text
   */
  async say(text) {
    const id = app.say(text);
    if (id === undefined) throw new Error("not connected");
    return await app.until(() => app.messages.find((entry) => entry.kind === "echo" && entry.id === id));
  },
  /**
   * Sends random bytes and resolves with the finished transfer.
   * @param {number} size
   */
  async sendFile(size) {
    const { blob: _, ...transfer } = await app.sendFile(randomFile(size));
    return transfer;
  },
  /**
   * Asks the other side for a file and resolves with the finished transfer.
   * @param {number} size
   */
  async askForFile(size) {
    const before = app.transfers.length;
    app.askForFile(size);
    const { blob: _, ...transfer } = await app.until(() =>
      app.transfers
        .slice(before)
        .find(({ direction, state }) => direction === "received" && (state === "verified" || state === "failed")),
    );
    return transfer;
  },
  /** Resolves with the time from the opening of the page to the first echo, in milliseconds. */
  timeToFirstEcho: () => app.until(() => app.timeToFirstEcho),
};

Object.assign(globalThis, { frazil });

/** @typedef {typeof frazil} Frazil */

app.start().catch((error) => {
  const words = `${error instanceof Error ? error.message : error}. Is the demo still running?`;
  view.showHeadline({
    tone: "bad",
    pill: "Failed",
    title: "The page could not start",
    words,
  });
});
