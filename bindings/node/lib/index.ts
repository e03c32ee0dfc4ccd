/**
 * frazil: a peer-to-peer connection core. {@link Connection} connects over this machine's network and carries data
 * channels; {@link Peer} is the same without sockets and a clock, for who brings their own.
 */

export { Channel, type ChannelOptions, type ChannelState, type Message } from "./channel.js";
export {
  Connection,
  type ConnectionEvents,
  type ConnectionOptions,
  type ConnectionState,
  type IceConnectionState,
  type IceGatheringState,
  type IceServerInit,
  type SignalingState,
} from "./connection.js";
export { FrazilError, type Reason } from "./error.js";
export {
  _injectPanic,
  BATCH_BUFFER,
  type Certificate,
  type ChannelConfig,
  type Config,
  type Description,
  type Event,
  type event,
  HEADER,
  type HostSocket,
  type IceCandidate,
  type IceServer,
  MAX_ENTRIES,
  MIN_BUFFER,
  type Pair,
  type Path,
  TEXT,
  type WrittenMessage,
} from "./native.cjs";
export { hostSockets, Peer, udpDriverConfig, version } from "./peer.js";
