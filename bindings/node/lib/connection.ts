import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { EventEmitter } from "node:events";
import { Batch, entries } from "./batch.js";
import { Channel, type ChannelOptions } from "./channel.js";
import { FrazilError } from "./error.js";
import {
  BATCH_BUFFER,
  type Certificate,
  type Config,
  type Description,
  type Event,
  type event,
  HEADER,
  type HostSocket,
  type IceCandidate,
  type Pair,
} from "./native.cjs";
import { hostSockets, Peer, udpDriverConfig } from "./peer.js";
import { UdpSocket } from "./socket.js";

/** STUN or TURN servers with the same credentials (W3C `RTCIceServer`). */
export interface IceServerInit {
  /** `stun:`, `stuns:`, `turn:` or `turns:`, a host, perhaps a port and `?transport=udp`. */
  urls: string | string[];
  /** As whom to ask, which TURN servers want to know. */
  username?: string;
  /** The password. */
  credential?: string;
}

/** How a connection works. What is not given is as the core has it. */
export interface ConnectionOptions extends Omit<Config, "activeTcp" | "mdnsCandidates"> {
  /** STUN and TURN servers. None. */
  iceServers?: IceServerInit[];
  /** The certificate of an earlier connection. A new one is made. */
  certificate?: Certificate;
  /** Whether to connect over loopback addresses too. No. */
  loopback?: boolean;
}

/** W3C `signalingState`. */
export type SignalingState =
  | "stable"
  | "have-local-offer"
  | "have-remote-offer"
  | "have-local-pranswer"
  | "have-remote-pranswer"
  | "closed";
/** W3C `iceConnectionState`. */
export type IceConnectionState = "new" | "checking" | "connected" | "completed" | "disconnected" | "failed" | "closed";
/** W3C `iceGatheringState`. */
export type IceGatheringState = "new" | "gathering" | "complete";
/** W3C `connectionState`. */
export type ConnectionState = "new" | "connecting" | "connected" | "disconnected" | "failed" | "closed";

/** What a connection tells, by the names that W3C gives it. */
export interface ConnectionEvents {
  /** An offer is to be made. */
  negotiationneeded: [];
  /** Tell the other side. It is not in any description that was created. With an empty text there are no more. */
  icecandidate: [candidate: IceCandidate];
  /** The signalling state is another. */
  signalingstatechange: [state: SignalingState];
  /** The state of ICE is another. */
  iceconnectionstatechange: [state: IceConnectionState];
  /** The state of gathering is another. */
  icegatheringstatechange: [state: IceGatheringState];
  /** The connection's state is another. If it failed, or is closed because it is broken, `failure` says why. */
  connectionstatechange: [state: ConnectionState, failure: string | undefined];
  /** Another pair carries the traffic. Null if that has gone in the meantime. */
  selectedcandidatepairchange: [pair: Pair | null];
  /** A STUN or TURN server gives us no candidate, or takes back what it gave. */
  icecandidateerror: [error: event.IceCandidateError];
  /** An ICE restart has found no path. The one from before it stays in use. */
  icerestartfailed: [failure: string];
  /** The other side opened a channel. If nobody listens, it is closed. */
  datachannel: [channel: Channel];
  /**
   * The connection is broken, and closed: by a fault of ours (`panicked`), or since no socket could be bound (`system`). If
   * nobody listens, it is a warning of the process.
   */
  error: [error: Error];
}

/** How many path numbers are kept with where they lead. */
const MAX_ROUTES = 512;
/** How many datagrams may wait for the system to take them. More are lost, as in any full queue on their way. */
const MAX_UNSENT = 1024;
/** The longest time that Node waits for, in milliseconds. */
const MAX_DELAY = 2 ** 31 - 1;

interface Sender {
  socket: UdpSocket;
  ip: string;
  port: number;
}

/** Several datagrams on their way to the system. */
interface Outbound {
  buffer: Buffer;
  /** How many of them are not sent yet. */
  unsent: number;
}

/**
 * A connection to another peer, with sockets of its own on this machine's addresses.
 *
 * Descriptions and candidates are the application's to carry; the calls and events are those of W3C's `RTCPeerConnection`, but
 * calls answer at once, and need no `await`. This small driver speaks UDP only: it opens no TCP or TLS streams.
 *
 * Sockets are bound after the constructor has returned, so that a description made at once has no candidates.
 *
 * While it is open it keeps the process running. After {@link close} calls throw a `FrazilError` with the code `closed`; the
 * states can still be read.
 */
export class Connection extends EventEmitter<ConnectionEvents> {
  /** Is there once the connection is closed, by whichever side, and its sockets are. */
  readonly closed: Promise<void>;

  #peer: Peer;
  #sockets: UdpSocket[] = [];
  #channels = new Map<number, Channel>();
  #states = {
    signaling: "stable" as SignalingState,
    ice: "new" as IceConnectionState,
    gathering: "new" as IceGatheringState,
    connection: "new" as ConnectionState,
  };

  #received = new Batch<Sender>();
  #messages: Buffer;
  #receiveBuffer: number;
  #routes = new Map<number, Sender | undefined>();
  #spare: Outbound[] = [];
  #unsent = 0;

  #draining = false;
  #deadline: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** Why there are no calls any more. */
  #over: FrazilError | undefined;
  #finished = false;
  #finish!: () => void;

  constructor(options: ConnectionOptions = {}) {
    super();
    const { iceServers = [], certificate, loopback = false, ...wanted } = options;
    const config = udpDriverConfig(wanted);
    this.closed = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#receiveBuffer = config.receiveBuffer;
    this.#peer = new Peer(config, iceServers.map(asServer), certificate, randomBytes(32), performance.now());
    this.#messages = Buffer.allocUnsafeSlow(HEADER + config.maxMessageSize);
    void this.#gather(hostSockets(loopback, false));
  }

  // What the application asks for.

  /** W3C `createOffer`. It has all candidates known by now. */
  createOffer(): Description {
    return this.#call((peer) => peer.createOffer());
  }

  /** W3C `createAnswer`. It has all candidates known by now. */
  createAnswer(): Description {
    return this.#call((peer) => peer.createAnswer());
  }

  /** W3C `setLocalDescription`: sets what was created last, or takes an offer back. */
  setLocalDescription(description: Description): void {
    this.#ask((peer) => peer.setLocalDescription(description, performance.now()));
  }

  /** W3C `setRemoteDescription`. An offer takes back an offer of ours that waits for its answer. */
  setRemoteDescription(description: Description): void {
    this.#ask((peer) => peer.setRemoteDescription(description, performance.now()));
  }

  /** W3C `localDescription`: the last one set, with all candidates known by now. */
  get localDescription(): Description | null {
    return this.#call((peer) => peer.localDescription());
  }

  /** W3C `remoteDescription`: the last one set, with the candidates that came since. */
  get remoteDescription(): Description | null {
    return this.#call((peer) => peer.remoteDescription());
  }

  /** W3C `addIceCandidate`. */
  addIceCandidate(candidate: IceCandidate): void {
    this.#ask((peer) => peer.addIceCandidate(candidate, performance.now()));
  }

  /** W3C `restartIce`: the next offer restarts ICE. */
  restartIce(): void {
    this.#ask((peer) => peer.restartIce());
  }

  /** W3C `setConfiguration`, of the servers. */
  setServers(iceServers: IceServerInit[]): void {
    this.#ask((peer) => peer.setServers(iceServers.map(asServer), performance.now()));
  }

  /** W3C `createDataChannel`. It opens once the connection is there. */
  createDataChannel(label: string, options: ChannelOptions = {}): Channel {
    return this.#ask((peer) => {
      const number = peer.createDataChannel({ label, ...options }, performance.now());
      return this.#addChannel(number, label, options.protocol ?? "", options.ordered ?? true);
    });
  }

  /** W3C `signalingState`. */
  get signalingState(): SignalingState {
    return this.#states.signaling;
  }

  /** W3C `iceConnectionState`. */
  get iceConnectionState(): IceConnectionState {
    return this.#states.ice;
  }

  /** W3C `iceGatheringState`. */
  get iceGatheringState(): IceGatheringState {
    return this.#states.gathering;
  }

  /** W3C `connectionState`. */
  get connectionState(): ConnectionState {
    return this.#states.connection;
  }

  /** The pair that carries the traffic; null if there is none. */
  get selectedPair(): Pair | null {
    return this.#call((peer) => peer.selectedPair());
  }

  /** Our certificate with its key, to be kept for another connection. */
  get certificate(): Certificate {
    return this.#call((peer) => peer.certificate());
  }

  /**
   * Leaves. For us all is over at once: whoever waits for a channel waits no longer, and only what has arrived can still be
   * read. The promise is there when the other side was told, and servers have back what they lent, which takes two seconds at the
   * most. What the other side has not acknowledged may be lost: close the channel first, and wait until it is closed. To close
   * twice is no error.
   */
  close(): Promise<void> {
    if (this.#over === undefined) {
      this.#end(new FrazilError("closed", "the connection is closed"));
      this.#run((peer) => peer.leave(performance.now()));
    }
    return this.closed;
  }

  // What moves between the system and the core.

  async #gather(hosts: HostSocket[]): Promise<void> {
    // Whatever address cannot be bound to is not there for us.
    const bound = await Promise.allSettled(hosts.map((host) => this.#bind(host)));
    const sockets = bound.flatMap((result) => (result.status === "fulfilled" ? [result.value.host] : []));
    if (sockets.length === 0 && this.#over === undefined) return this.#break(unbound(hosts.at(-1), bound.at(-1)));
    this.#run((peer) => {
      peer.handleNetworkChange(sockets, performance.now());
      peer.endOfCandidates(performance.now());
    });
  }

  async #bind(host: HostSocket): Promise<UdpSocket> {
    const socket = await UdpSocket.bind(host, (...datagram) => this.#receive(...datagram));
    if (this.#finished) {
      socket.close();
      throw this.#over;
    }
    this.#sockets.push(socket);
    return socket;
  }

  /** Collects what arrives at one time, and hands it to the core together. */
  #receive(socket: UdpSocket, datagram: Buffer, ip: string, port: number): void {
    this.#run((peer) => {
      const batch = this.#received;
      if (!batch.takes(datagram)) this.#handIn(peer);
      const path = socket.path(peer, ip, port);
      if (batch.takes(datagram)) {
        batch.push(path, datagram, { socket, ip, port });
        if (batch.length === 1) setImmediate(() => this.#run((open) => this.#handIn(open)));
        return false;
      }
      if (peer.handleDatagram(path, datagram, performance.now())) return true;
      socket.forgetPaths();
      return peer.handleDatagram(socket.path(peer, ip, port), datagram, performance.now());
    });
  }

  #handIn(peer: Peer): void {
    const batch = this.#received;
    for (let next = 0; next < batch.length; ) {
      next += peer.handleDatagrams(batch.from(next), performance.now());
      if (next < batch.length) {
        // The core has forgotten the number of this one's path.
        const { socket, ip, port } = batch.sender(next);
        socket.forgetPaths();
        batch.setPath(next, socket.path(peer, ip, port));
      }
    }
    batch.clear();
  }

  /** Takes everything out of the core, and sets the timer. */
  #drain(peer: Peer): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      // What an event brings about may be more to send.
      do this.#send(peer);
      while (this.#takeEvents(peer));
      this.#setTimer(peer.pollTimeout());
    } finally {
      this.#draining = false;
    }
  }

  #send(peer: Peer): void {
    for (;;) {
      // Each stays as it is until the system has it.
      const outbound = this.#spare.pop() ?? { buffer: Buffer.allocUnsafeSlow(BATCH_BUFFER), unsent: 0 };
      const end = peer.pollTransmits(outbound.buffer);
      const done = () => {
        this.#unsent -= 1;
        outbound.unsent -= 1;
        if (outbound.unsent === 0) this.#spare.push(outbound);
      };
      outbound.unsent = 1;
      this.#unsent += 1;
      for (const entry of entries(outbound.buffer, end)) {
        const route = this.#route(peer, entry.number);
        if (route === undefined || this.#unsent > MAX_UNSENT) continue;
        outbound.unsent += 1;
        this.#unsent += 1;
        route.socket.send(outbound.buffer.subarray(entry.start, entry.end), route.ip, route.port, done);
      }
      done();
      if (end === 0) return;
    }
  }

  /** Where a path leads; undefined if it has gone, or its socket has: what goes there is lost. */
  #route(peer: Peer, number: number): Sender | undefined {
    if (!this.#routes.has(number)) {
      if (this.#routes.size >= MAX_ROUTES) this.#routes.clear();
      const path = peer.path(number);
      const socket = this.#sockets.find(({ host }) => host.ip === path?.localIp && host.port === path.localPort);
      const leads = path !== null && path.protocol === "udp" && socket !== undefined;
      this.#routes.set(number, leads ? { socket, ip: path.remoteIp, port: path.remotePort } : undefined);
    }
    return this.#routes.get(number);
  }

  /** Gives whether there were any. */
  #takeEvents(peer: Peer): boolean {
    let any = false;
    for (let waiting = peer.waiting(); waiting !== 0; waiting = peer.waiting()) {
      any = true;
      if (waiting === 2) {
        const event = peer.pollEvent();
        if (event !== null) this.#note(peer, event);
        continue;
      }
      const end = peer.pollMessages(this.#messages);
      for (const { number, text, start, end: after } of entries(this.#messages, end)) {
        this.#channels.get(number)?._received(this.#messages.subarray(start, after), text);
      }
    }
    return any;
  }

  #setTimer(deadline: number | null): void {
    // A connection that is over has nothing more to say to anyone.
    if (deadline === null && this.#over !== undefined) this.#release();
    if (deadline === this.#deadline) return;
    clearTimeout(this.#timer);
    this.#deadline = deadline;
    if (deadline === null) return;
    const delay = Math.min(Math.max(Math.ceil(deadline - performance.now()), 0), MAX_DELAY);
    this.#timer = setTimeout(() => this.#timeOut(), delay);
  }

  #timeOut(): void {
    const due = this.#deadline !== null && performance.now() >= this.#deadline;
    // Node's timers are early at times: then the timer is set anew.
    this.#deadline = null;
    this.#run((peer) => {
      if (due) peer.handleTimeout(performance.now());
    });
  }

  // What the core tells.

  #note(peer: Peer, event: Event): void {
    switch (event.type) {
      case "Resolve":
        void this.#resolve(event.request, event.name);
        break;
      case "OpenSocket":
        void this.#openSocket(event.socket, event.localIp);
        break;
      case "CloseSocket":
        this.#closeSocket(event.localIp, event.localPort);
        break;
      case "OpenStream":
        peer.handleStreamClosed(event.path, performance.now());
        break;
      case "SignalingStateChange":
        this.#setSignalingState(event.state as SignalingState);
        break;
      case "IceConnectionStateChange":
        this.#setIceConnectionState(event.state as IceConnectionState);
        break;
      case "IceGatheringStateChange":
        this.#states.gathering = event.state as IceGatheringState;
        this.#tell("icegatheringstatechange", this.#states.gathering);
        break;
      case "ConnectionStateChange":
        this.#setConnectionState(event.state as ConnectionState, event.failure);
        // The other side has left.
        if (event.state === "closed") void this.close();
        break;
      case "NegotiationNeeded":
        this.#tell("negotiationneeded");
        break;
      case "LocalIceCandidate": {
        const { type, ...candidate } = event;
        this.#tell("icecandidate", candidate);
        break;
      }
      case "SelectedPairChange":
        this.#tell("selectedcandidatepairchange", peer.selectedPair());
        break;
      case "IceCandidateError": {
        const { type, ...error } = event;
        this.#tell("icecandidateerror", error);
        break;
      }
      case "IceRestartFailed":
        this.#tell("icerestartfailed", event.failure);
        break;
      case "DataChannel": {
        const channel = this.#addChannel(event.channel, event.label, event.protocol, event.ordered);
        channel._opened();
        process.nextTick(() => {
          if (!this.emit("datachannel", channel)) this.#turnAway(event.channel);
        });
        break;
      }
      case "ChannelOpen":
        this.#channels.get(event.channel)?._opened();
        break;
      case "BufferedAmountLow":
        this.#channels.get(event.channel)?._flush();
        break;
      case "ChannelClosed":
        this.#channels.get(event.channel)?._ended(new FrazilError("closed", "the channel is closed"));
        this.#channels.delete(event.channel);
        break;
    }
  }

  #setSignalingState(state: SignalingState): void {
    if (state === this.#states.signaling) return;
    this.#states.signaling = state;
    this.#tell("signalingstatechange", state);
  }

  #setIceConnectionState(state: IceConnectionState): void {
    if (state === this.#states.ice) return;
    this.#states.ice = state;
    this.#tell("iceconnectionstatechange", state);
  }

  #setConnectionState(state: ConnectionState, failure: string | undefined): void {
    if (state === this.#states.connection) return;
    this.#states.connection = state;
    this.#tell("connectionstatechange", state, failure);
  }

  /** Tells the application, when all that is being done is done. What a listener throws is its process's to handle. */
  #tell<K extends keyof ConnectionEvents>(name: K, ...what: ConnectionEvents[K]): void {
    const emit = this.emit as (name: string, ...what: unknown[]) => boolean;
    process.nextTick(() => emit.call(this, name, ...what));
  }

  async #resolve(request: number, name: string): Promise<void> {
    const found = await lookup(name, { all: true }).catch(() => []);
    const addresses = found.map(({ address }) => address);
    this.#run((peer) => peer.handleResolved(request, addresses, performance.now()));
  }

  async #openSocket(request: number, ip: string): Promise<void> {
    const beside = this.#sockets.find(({ host }) => host.ip === ip)?.host;
    const bound = beside && (await this.#bind(beside).catch(() => undefined));
    this.#run((peer) => {
      peer.handleSocketOpened(request, bound?.host.ip ?? null, bound?.host.port ?? 0, performance.now());
    });
  }

  #closeSocket(ip: string, port: number): void {
    const index = this.#sockets.findIndex(({ host }) => host.ip === ip && host.port === port);
    const [socket] = index < 0 ? [] : this.#sockets.splice(index, 1);
    socket?.close();
    this.#routes.clear();
  }

  /** Closes a channel of the other side's that nobody wants, and drops what comes on it until then. */
  #turnAway(number: number): void {
    if (this.#channels.delete(number)) this.#run((peer) => peer.closeChannel(number, performance.now()));
  }

  #addChannel(number: number, label: string, protocol: string, ordered: boolean): Channel {
    const line = {
      send: (bytes: Uint8Array, text: boolean) =>
        this.#call((peer) => peer.send(number, bytes, text, performance.now())),
      pump: () => this.#run(() => {}),
      release: (bytes: number) => {
        this.#run((peer) => peer.release(number, bytes, performance.now()));
      },
      close: () => {
        this.#ask((peer) => peer.closeChannel(number, performance.now()));
      },
      releaseAfter: this.#receiveBuffer / 2,
      bufferedAmount: () => this.#call((peer) => peer.bufferedAmount(number)),
    };
    const channel = new Channel(line, label, protocol, ordered);
    this.#channels.set(number, channel);
    return channel;
  }

  // How it runs and ends.

  /** Calls the core for the application. If that breaks it, all who wait are told. */
  #call<R>(call: (peer: Peer) => R): R {
    if (this.#over !== undefined) throw this.#over;
    try {
      return call(this.#peer);
    } catch (error) {
      if (isPanic(error)) this.#break(error);
      throw error;
    }
  }

  /** Has the core do what the application asks for, and takes out what comes of it. */
  #ask<R>(call: (peer: Peer) => R): R {
    const result = this.#call(call);
    this.#run(() => {});
    return result;
  }

  /** Has the core do something that nobody waits for, and takes out what comes of it unless `call` gives false. */
  #run(call: (peer: Peer) => unknown): void {
    if (this.#finished) return;
    try {
      if (call(this.#peer) !== false) this.#drain(this.#peer);
    } catch (error) {
      this.#break(isPanic(error) ? error : new FrazilError("panicked", String(error)));
    }
  }

  /** The connection cannot go on. */
  #break(why: FrazilError): void {
    if (this.#finished) return;
    this.#end(why);
    this.#setSignalingState("closed");
    this.#setIceConnectionState("closed");
    this.#setConnectionState("closed", why.message);
    this.#complain(why);
    this.#release();
  }

  /** Says what is broken. Without a listener that would end the process, so it is a warning then. */
  #complain(error: Error): void {
    process.nextTick(() => {
      if (this.listenerCount("error") > 0) this.emit("error", error);
      else process.emitWarning(error);
    });
  }

  /** Has all channels end. */
  #end(why: FrazilError): void {
    this.#over ??= why;
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    for (const channel of channels) channel._ended(why);
  }

  #release(): void {
    if (this.#finished) return;
    this.#finished = true;
    clearTimeout(this.#timer);
    for (const socket of this.#sockets) socket.close();
    this.#sockets = [];
    // What was told before is heard first.
    process.nextTick(this.#finish);
    try {
      this.#peer.close();
    } catch (error) {
      this.#complain(error as Error);
    }
  }
}

function isPanic(error: unknown): error is FrazilError {
  return error instanceof FrazilError && error.code === "panicked";
}

/** Why there is no socket, as the last one that was tried shows. */
function unbound(host: HostSocket | undefined, result: PromiseSettledResult<unknown> | undefined): FrazilError {
  if (host === undefined || result?.status !== "rejected")
    return new FrazilError("system", "the machine has no address that may be used");
  return new FrazilError("system", `no address could be bound, the last being ${host.ip}: ${result.reason.message}`);
}

function asServer({ urls, ...credentials }: IceServerInit) {
  return { ...credentials, urls: typeof urls === "string" ? [urls] : urls };
}
