import { asFrazilError, FrazilError } from "./error.js";
import type { Certificate, Config, HostSocket, IceServer } from "./native.cjs";
import * as native from "./native.cjs";

type Call = (this: unknown, ...args: never[]) => unknown;

function throwingOurs<C>(call: C): C {
  return function (this: unknown, ...values: never[]) {
    for (const value of values) refuseShared(value);
    try {
      return (call as Call).apply(this, values);
    } catch (error) {
      throw asFrazilError(error);
    }
  } as C;
}

/** The core borrows bytes for the call. Another thread must not write into them meanwhile. */
function refuseShared(value: unknown): void {
  if (value instanceof Uint8Array && value.buffer instanceof SharedArrayBuffer)
    throw new FrazilError("invalid-argument", "the bytes lie in a SharedArrayBuffer, where other threads may write");
}

/**
 * One end of a connection, without sockets or a clock.
 *
 * After every call that takes `now`, take out all transmits (`pollTransmit` or `pollTransmits`), then all events
 * (`pollEvent`), until there are neither; then call `handleTimeout` at `pollTimeout` at the latest. `now` is in
 * milliseconds of a clock that never goes back, such as `performance.now()`.
 *
 * What goes wrong is thrown as a {@link FrazilError}. All methods throw after `close` and after a panic in the core.
 */
export class Peer extends native.Peer {
  /**
   * Makes a peer. `seed` is 32 bytes from the operating system's generator, such as `crypto.randomBytes(32)`; without a
   * certificate a new one is made.
   */
  constructor(
    config: Config,
    servers: IceServer[],
    certificate: Certificate | null | undefined,
    seed: Uint8Array,
    now: number,
  ) {
    refuseShared(seed);
    try {
      super(config, servers, certificate, seed, now);
    } catch (error) {
      throw asFrazilError(error);
    }
  }
}

for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(native.Peer.prototype))) {
  if (name === "constructor") continue;
  Object.defineProperty(Peer.prototype, name, { ...property, value: throwingOurs(property.value) });
}

/**
 * The addresses that a driver binds a UDP socket on, best first, with the port 0: in place of it goes the port that the
 * system gives, and what was bound goes to `handleNetworkChange`. Loopback and IPv6 link-local addresses are among them if
 * they are asked for or there is nothing else.
 */
export const hostSockets: (loopback: boolean, linkLocal: boolean) => HostSocket[] = throwingOurs(native.hostSockets);

/**
 * The configuration with which a driver of UDP sockets makes its peer, from what its user asks for: with everything filled in
 * that such a driver has to know, back-pressure among it, and without what takes more than such sockets. What the user asks for
 * that takes more, streams or answers for `.local` names, is refused.
 */
export const udpDriverConfig = throwingOurs(native.udpDriverConfig) as (
  config: Config,
) => Config & { maxMessageSize: number; receiveBuffer: number };

/** The version of this package. */
export const version: () => string = throwingOurs(native.version);
