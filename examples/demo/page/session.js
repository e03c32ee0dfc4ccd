/** One connection with one other member: offer and answer, candidates, states, and the end. */

/**
 * @import { Candidate, Description, Member } from "./signaling.js"
 *
 * @typedef {"offerer" | "answerer"} Role
 * @typedef {"us" | "them" | "failure"} EndedBy
 *
 * @typedef {object} Handlers
 * @property {(description: Description) => void} description to be told to the other side
 * @property {(candidate: Candidate) => void} candidate to be told to the other side
 * @property {(what: string, value: string) => void} state something changed
 * @property {(channel: RTCDataChannel) => void} channel the chat channel, or one that the other side opened
 * @property {(by: EndedBy, why: string) => void} ended
 */

export const CHAT_PROTOCOL = "frazil-demo-chat";
/** How long the other side may take to answer, and a path to be found, before we say that something is wrong. */
const PATIENCE_MS = 20_000;

export class Session {
  /** @type {RTCPeerConnection} */
  #pc;
  #handlers;
  #ended = false;
  #leaving = false;
  /** Signalling messages are taken one after the other, whatever each of them waits for. */
  #turn = Promise.resolve();
  /** @type {ReturnType<typeof setTimeout>} */
  #patience;
  /** Candidates as they were signalled, ours and theirs; statistics hide the addresses of some. */
  candidates = {
    local: /** @type {string[]} */ ([]),
    remote: /** @type {string[]} */ ([]),
  };

  /**
   * @param {Member} remote
   * @param {Role} role
   * @param {RTCConfiguration} configuration
   * @param {Handlers} handlers
   */
  constructor(remote, role, configuration, handlers) {
    this.remote = remote;
    this.role = role;
    this.#handlers = handlers;
    const pc = new RTCPeerConnection(configuration);
    this.#pc = pc;
    pc.onsignalingstatechange = () => this.#state("signalling", pc.signalingState);
    pc.onicegatheringstatechange = () => this.#state("gathering", pc.iceGatheringState);
    pc.oniceconnectionstatechange = () => this.#state("ICE", pc.iceConnectionState);
    pc.onconnectionstatechange = () => {
      this.#state("connection", pc.connectionState);
      if (pc.connectionState === "connected") clearTimeout(this.#patience);
      if (pc.connectionState === "failed") this.end("failure", this.#whyFailed());
    };
    pc.onicecandidate = ({ candidate }) => {
      // The end of candidates is an event without a candidate, and a signalled candidate without a text.
      const line = candidate?.toJSON() ?? {
        candidate: "",
        sdpMid: "0",
        sdpMLineIndex: 0,
      };
      if (candidate?.candidate === "") return;
      if (line.candidate) this.candidates.local.push(line.candidate);
      handlers.candidate({ ...line, candidate: line.candidate ?? "" });
    };
    pc.ondatachannel = ({ channel }) => handlers.channel(channel);
    this.#patience = setTimeout(() => this.end("failure", this.#whyFailed()), PATIENCE_MS);
  }

  /** Makes the offer, if that is our part. */
  start() {
    if (this.role !== "offerer") return;
    this.#handlers.channel(this.open("chat", CHAT_PROTOCOL));
    this.#inTurn(async () => {
      await this.#pc.setLocalDescription();
      this.#tellLocalDescription();
    });
  }

  /**
   * Opens a channel.
   * @param {string} label
   * @param {string} protocol
   */
  open(label, protocol) {
    return this.#pc.createDataChannel(label, { protocol });
  }

  /**
   * Resolves when a channel that is open carries what is sent. To the page a channel of the other side's is open from the
   * first, and what it sends before the browser's own part has followed Chromium drops without a word. The statistics tell.
   * @param {RTCDataChannel} channel
   */
  async carries(channel) {
    while (channel.readyState === "open") {
      const reports = [...(await this.#pc.getStats()).values()];
      const own = reports.find(
        (report) => report.type === "data-channel" && report.dataChannelIdentifier === channel.id,
      );
      // Where the browser keeps no statistics of channels there is nothing to wait for.
      if (!own || own.state === "open") return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** @param {Description} description */
  takeDescription(description) {
    this.#inTurn(async () => {
      // Who offers is settled before anything is sent; anything else is an error of the other side.
      const due = this.role === "offerer" ? "answer" : "offer";
      if (description.type !== due) throw new Error(`the other side sent an ${description.type}, not an ${due}`);
      await this.#pc.setRemoteDescription({
        type: description.type,
        sdp: description.sdp,
      });
      for (const [, line] of (description.sdp ?? "").matchAll(/^a=(candidate:.*?)\r?$/gm)) {
        this.candidates.remote.push(line);
      }
      if (this.role === "answerer") {
        await this.#pc.setLocalDescription();
        this.#tellLocalDescription();
      }
    });
  }

  /** @param {Candidate} candidate */
  takeCandidate(candidate) {
    if (candidate.candidate) this.candidates.remote.push(candidate.candidate);
    this.#inTurn(() => this.#pc.addIceCandidate(candidate));
  }

  /** @returns {Promise<RTCStatsReport>} */
  statistics() {
    return this.#pc.getStats();
  }

  get states() {
    const { signalingState, iceGatheringState, iceConnectionState, connectionState } = this.#pc;
    return {
      signalingState,
      iceGatheringState,
      iceConnectionState,
      connectionState,
    };
  }

  /** The largest message that may be sent, in bytes. */
  get maxMessageSize() {
    return this.#pc.sctp?.maxMessageSize ?? 16 * 1024;
  }

  get ended() {
    return this.#ended;
  }

  /** We are about to end the connection: however it ends now, it was us. */
  leaving() {
    this.#leaving = true;
  }

  /**
   * Ends the connection. Only the first end counts.
   * @param {EndedBy} by
   * @param {string} why
   */
  end(by, why) {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#leaving) [by, why] = ["us", ""];
    clearTimeout(this.#patience);
    this.#pc.close();
    this.#state("connection", "closed");
    this.#handlers.ended(by, why);
  }

  #tellLocalDescription() {
    const description = this.#pc.localDescription;
    if (description)
      this.#handlers.description({
        type: description.type,
        sdp: description.sdp,
      });
  }

  /** @param {() => Promise<unknown>} step */
  #inTurn(step) {
    this.#turn = this.#turn.then(async () => {
      if (this.#ended) return;
      try {
        await step();
      } catch (error) {
        this.end("failure", error instanceof Error ? error.message : String(error));
      }
    });
  }

  /**
   * @param {string} what
   * @param {string} value
   */
  #state(what, value) {
    this.#handlers.state(what, value);
  }

  /** What a person can make of a connection that did not come about. */
  #whyFailed() {
    const { signalingState, iceConnectionState } = this.states;
    const { local, remote } = this.candidates;
    if (signalingState === "have-local-offer") return "The other side has not answered our offer.";
    if (signalingState === "stable" && !this.#pc.remoteDescription) return "No offer has come from the other side.";
    if (iceConnectionState === "connected" || iceConnectionState === "completed") {
      return "A path was found, but no encrypted connection came about over it (DTLS).";
    }
    if (remote.length === 0) return "The other side has told us no address at which it can be reached.";
    if (local.length === 0) return "This browser found no address of its own to be reached at.";
    return `No path works: none of our ${local.length} and their ${remote.length} candidates reach one another.`;
  }
}
