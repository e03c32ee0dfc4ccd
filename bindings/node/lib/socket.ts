import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import type { HostSocket } from "./native.cjs";
import type { Peer } from "./peer.js";

/** How many remote addresses a socket keeps the path numbers of. */
const MAX_PATHS = 512;

/** How many bytes the system is asked to keep for us, so that a burst is not lost while we do something else. */
const SYSTEM_BUFFER = 1 << 20;

/** A UDP socket on one of the machine's addresses. Nothing that it sends or receives makes it throw. */
export class UdpSocket {
  /** What the core is told of it. */
  readonly host: HostSocket;
  #socket: Socket;
  #paths = new Map<string, number>();
  /** What stands behind a link-local address, `%` and the name of the interface. */
  #scope: string;

  private constructor(socket: Socket, host: HostSocket, scope: string) {
    this.#socket = socket;
    this.#scope = scope;
    this.host = host;
  }

  /** Binds a socket on the address and any port. */
  static bind(
    host: HostSocket,
    receive: (socket: UdpSocket, datagram: Buffer, ip: string, port: number) => void,
  ): Promise<UdpSocket> {
    const scope = scopeOf(host);
    const socket = createSocket({
      type: isIPv6(host.ip) ? "udp6" : "udp4",
      ipv6Only: isIPv6(host.ip),
      recvBufferSize: SYSTEM_BUFFER,
      sendBufferSize: SYSTEM_BUFFER,
      // All that is sent goes to IP addresses, which need no answer from a resolver.
      lookup: (address, _options, answer) => answer(null, address, isIPv6(address) ? 6 : 4),
    });
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        // The system has given it a number already, which nobody else would give back.
        socket.close();
        reject(error);
      };
      socket.once("error", fail);
      socket.bind({ address: host.ip + scope, port: 0, exclusive: true }, () => {
        const bound = new UdpSocket(socket, { ...host, port: socket.address().port }, scope);
        socket.off("error", fail);
        // What the network answers to a datagram of ours concerns nobody: the core finds out by itself.
        socket.on("error", () => {});
        socket.on("message", (datagram, { address, port }) => receive(bound, datagram, address, port));
        resolve(bound);
      });
    });
  }

  /** The number of the path to that address. Whoever learns that it is none any more forgets it. */
  path(peer: Peer, ip: string, port: number): number {
    const remote = `${ip} ${port}`;
    let path = this.#paths.get(remote);
    if (path === undefined) {
      if (this.#paths.size >= MAX_PATHS) this.#paths.clear();
      const { protocol, ip: localIp, port: localPort } = this.host;
      path = peer.pathId({ protocol, localIp, localPort, remoteIp: ip, remotePort: port });
      this.#paths.set(remote, path);
    }
    return path;
  }

  forgetPaths(): void {
    this.#paths.clear();
  }

  /** Sends these bytes, which stay as they are until `done` is called; or loses them like a wire that is broken. */
  send(bytes: Uint8Array, ip: string, port: number, done: () => void): void {
    try {
      this.#socket.send(bytes, port, ip.startsWith("fe80:") ? ip + this.#scope : ip, done);
    } catch {
      done();
    }
  }

  close(): void {
    this.#socket.close();
  }
}

function scopeOf({ ip, index }: HostSocket): string {
  if (!ip.startsWith("fe80:")) return "";
  const interfaces = Object.entries(networkInterfaces());
  const found = interfaces.find(([, addresses]) =>
    addresses?.some((address) => address.family === "IPv6" && address.scopeid === index),
  );
  return found === undefined ? "" : `%${found[0]}`;
}
