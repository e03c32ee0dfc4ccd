/** Why a call is refused, as a word for programs. */
export type Reason =
  /** The connection, the peer or the channel is closed, or closes. */
  | "closed"
  /** The core has broken down, in this call or an earlier one. That is a fault of ours; the peer is of no use any more. */
  | "panicked"
  /** An argument cannot be: no IP address, a seed of the wrong length, a buffer that is too small. */
  | "invalid-argument"
  /** The signalling state does not allow it (W3C `InvalidStateError`). */
  | "invalid-state"
  /** Something is wrong with the description. */
  | "invalid-description"
  /** Something is wrong with the candidate. */
  | "invalid-candidate"
  /** The channel cannot be made. */
  | "invalid-channel"
  /** The message cannot be sent: it is too long, or the channel of a `Peer` is not open yet. */
  | "not-sent"
  /** The operating system refuses what was asked of it, such as a socket on any address. */
  | "system";

/** Why a call is refused. Unless the reason is `panicked`, it has changed nothing. */
export class FrazilError extends Error {
  /** What kind of thing is wrong. */
  readonly code: Reason;

  constructor(code: Reason, message: string) {
    super(message);
    this.code = code;
  }
}

FrazilError.prototype.name = "FrazilError";

/** What the native part has thrown, as what this package throws. */
export function asFrazilError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof FrazilError) return error;
  const code = error instanceof TypeError ? "InvalidArg" : (error as Error & { code?: unknown }).code;
  if (typeof code !== "string") return error;
  // Words with a capital are napi's: a value of the wrong type, or a panic that the border did not see.
  const reason = /^[a-z]/.test(code) ? code : code === "GenericFailure" ? "panicked" : "invalid-argument";
  // What napi says of bytes that are none is not meant for people.
  const message = /TypedArray|\$name/.test(error.message) ? "bytes are wanted, in a Uint8Array" : error.message;
  const ours = new FrazilError(reason as Reason, message);
  if (error.stack !== undefined) ours.stack = error.stack.replace(/^.*/, `${ours.name}: ${message}`);
  return ours;
}
