import FrazilNative

// The records and the events are declared where the native library is; here they get their names.

/// How a peer works. What is not given is as the core has it.
public typealias Config = FrazilNative.Config
/// STUN or TURN servers with the same credentials (W3C `RTCIceServer`).
public typealias IceServer = FrazilNative.IceServer
/// A socket on one of the machine's addresses; before it is bound, the address alone with the port 0.
public typealias HostSocket = FrazilNative.HostSocket
/// A session description (W3C `RTCSessionDescription`).
public typealias Description = FrazilNative.Description
/// A candidate on its way through signalling (W3C `RTCIceCandidateInit`).
public typealias IceCandidate = FrazilNative.IceCandidate
/// Where datagrams come from and go to, as the driver's sockets see it.
public typealias Path = FrazilNative.Path
/// What a data channel is made with (W3C `RTCDataChannelInit`).
public typealias ChannelConfig = FrazilNative.ChannelConfig
/// The candidate pair that carries the traffic.
public typealias Pair = FrazilNative.Pair
/// A certificate with its private key, to be kept for another peer.
public typealias Certificate = FrazilNative.Certificate
/// Something happened, or something is asked of the driver. Events come in the order in which they happened.
public typealias Event = FrazilNative.Event

/// The version of the library.
public let frazilVersion = FrazilNative.frazilVersion()

/// The addresses to bind a UDP socket on, best first, with the port 0: in place of it goes the port that the system
/// gives, and what was bound goes to ``Peer/handleNetworkChange(sockets:now:)``.
///
/// Loopback and IPv6 link-local addresses are among them if they are asked for or there is nothing else.
public func hostSockets(loopback: Bool = false, linkLocal: Bool = false) throws(FrazilError) -> [HostSocket] {
    try guarded { try FrazilNative.hostSockets(loopback: loopback, linkLocal: linkLocal) }
}

/// The configuration with which a driver of UDP sockets makes its peer, from what its user asks for: with everything
/// filled in that such a driver has to know, back-pressure among it, and without what takes more than such sockets.
/// What the user asks for that takes more, streams or answers for `.local` names, is refused.
public func udpDriverConfig(_ config: Config) throws(FrazilError) -> Config {
    try guarded { try FrazilNative.udpDriverConfig(config: config) }
}

/// Makes the next call in this process panic inside, to see what a program does then.
@_spi(Testing) public func injectPanic() {
    FrazilNative.injectPanic()
}
