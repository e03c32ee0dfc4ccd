import Foundation
import FrazilNative

/// A peer with its driver: it binds a UDP socket on each address of the machine, asks the system for names, and keeps
/// time.
///
/// It runs from when it is made until ``close()``, or until the other side closes it, or until nobody holds it any
/// more; the channels do not hold it. It opens no streams, so TURN over TCP or TLS and ICE over TCP are not tried, and
/// it publishes no `.local` names.
public final class Connection: Sendable {
    /// What happened.
    public enum Event: Sendable {
        /// W3C `negotiationneeded`: make an offer.
        case negotiationNeeded
        /// W3C `icecandidate`: tell the other side. It is not in any description that was created. An empty one says
        /// that there are no more.
        case iceCandidate(IceCandidate)
        /// W3C `icecandidateerror`: a STUN or TURN server gives us no candidate, or takes back what it gave. `errorCode`
        /// is that of a STUN error, or 701 where the server was not reached.
        case iceCandidateError(url: String, address: String?, port: UInt16?, errorCode: UInt16, errorText: String)
        /// W3C `signalingstatechange`.
        case signalingStateChange(SignalingState)
        /// W3C `iceconnectionstatechange`.
        case iceConnectionStateChange(IceConnectionState)
        /// W3C `icegatheringstatechange`.
        case iceGatheringStateChange(IceGatheringState)
        /// W3C `connectionstatechange`, with why it failed, if it did. `closed` is the last event there is; it has a
        /// failure if the core has broken down.
        case connectionStateChange(ConnectionState, failure: String?)
        /// W3C `selectedcandidatepairchange`: data goes another way from now on.
        case selectedPairChange(Pair)
        /// An ICE restart has found no path, and why. The one from before it stays in use.
        case iceRestartFailed(String)
        /// W3C `datachannel`: the other side opened a channel.
        case channel(Channel)
    }

    /// What happens, in order; it ends with the state `closed`.
    ///
    /// Every event goes to one of those who iterate; a task that is cancelled takes none from another. What nobody takes
    /// is kept, but for states: while 256 events wait, a new one takes the place of an older one of its kind. While as
    /// many channels of the other side's wait, its bulk data is held back.
    public let events: Events

    let driver: Driver

    /// Binds the sockets and begins to gather candidates. Loopback addresses are taken if they are asked for or there
    /// is nothing else.
    ///
    /// If `config` says nothing of `receiveBuffer`, a channel keeps 1 MiB of messages that nobody has received yet; the
    /// other side's bulk data is held back from then on. What this driver cannot do is refused: `activeTcp` and
    /// `mdnsCandidates`. If no address can be bound, it throws with the reason `system`.
    public init(
        config: Config = Config(),
        servers: [IceServer] = [],
        certificate: Certificate? = nil,
        loopback: Bool = false
    ) throws(FrazilError) {
        let inbox = Inbox<Event>()
        driver = try Driver(
            config: config,
            servers: servers,
            certificate: certificate,
            worth: try hostSockets(loopback: loopback),
            events: inbox
        )
        events = Events(driver: driver, inbox: inbox)
    }

    deinit {
        driver.abandon()
    }

    /// W3C `createDataChannel`. It opens once the connection is there.
    public func createDataChannel(_ label: String) async throws(FrazilError) -> Channel {
        try await createDataChannel(ChannelConfig(label: label))
    }

    /// W3C `createDataChannel`. It opens once the connection is there.
    public func createDataChannel(_ config: ChannelConfig) async throws(FrazilError) -> Channel {
        try await driver.createDataChannel(config)
    }

    /// W3C `createOffer`. It has all candidates known by now.
    public func createOffer() async throws(FrazilError) -> Description {
        try await driver.perform { peer, _ throws(FrazilError) in try peer.createOffer() }
    }

    /// W3C `createAnswer`. It has all candidates known by now.
    public func createAnswer() async throws(FrazilError) -> Description {
        try await driver.perform { peer, _ throws(FrazilError) in try peer.createAnswer() }
    }

    /// W3C `setLocalDescription`: sets what was created last, or takes an offer back.
    public func setLocalDescription(_ description: Description) async throws(FrazilError) {
        try await driver.perform { peer, now throws(FrazilError) in try peer.setLocalDescription(description, now: now)
        }
    }

    /// W3C `setRemoteDescription`. An offer takes back an offer of ours that waits for its answer.
    public func setRemoteDescription(_ description: Description) async throws(FrazilError) {
        try await driver.perform { peer, now throws(FrazilError) in try peer.setRemoteDescription(description, now: now)
        }
    }

    /// W3C `localDescription`: the last one set, with all candidates known by now.
    public func localDescription() async throws(FrazilError) -> Description? {
        try await driver.perform { peer, _ throws(FrazilError) in try peer.localDescription() }
    }

    /// W3C `remoteDescription`: the last one set, with the candidates that came since.
    public func remoteDescription() async throws(FrazilError) -> Description? {
        try await driver.perform { peer, _ throws(FrazilError) in try peer.remoteDescription() }
    }

    /// W3C `addIceCandidate`.
    public func addIceCandidate(_ candidate: IceCandidate) async throws(FrazilError) {
        try await driver.perform { peer, now throws(FrazilError) in try peer.addIceCandidate(candidate, now: now) }
    }

    /// W3C `restartIce`: the next offer restarts ICE.
    public func restartIce() async throws(FrazilError) {
        try await driver.perform { peer, _ throws(FrazilError) in try peer.restartIce() }
    }

    /// W3C `setConfiguration`, of the servers.
    public func setServers(_ servers: [IceServer]) async throws(FrazilError) {
        try await driver.perform { peer, now throws(FrazilError) in try peer.setServers(servers: servers, now: now) }
    }

    /// W3C `connectionState`.
    public var connectionState: ConnectionState {
        get async { await driver.connectionState() }
    }

    /// The pair that carries the traffic.
    public func selectedPair() async throws(FrazilError) -> Pair? {
        try await driver.perform { peer, _ throws(FrazilError) in try peer.selectedPair() }
    }

    /// Our certificate with its key, to be kept for another connection.
    public func certificate() async throws(FrazilError) -> Certificate {
        try await driver.perform { peer, _ throws(FrazilError) in try peer.certificate() }
    }

    /// Closes the connection: for the application all is over at once, and whoever waits waits no more. What has come
    /// already, messages and events, can still be taken; what wants a connection throws.
    ///
    /// This waits until the other side was told, servers have back what they lent, and the sockets are closed, which
    /// takes two seconds at the most, also if the task is cancelled. To close twice is no error.
    public func close() async {
        await driver.close()
    }

    /// What happens on a connection.
    public struct Events: AsyncSequence, Sendable {
        public typealias Element = Event
        fileprivate let driver: Driver
        fileprivate let inbox: Inbox<Event>

        public func makeAsyncIterator() -> Iterator { Iterator(events: self) }

        /// Takes one event after the other.
        public struct Iterator: AsyncIteratorProtocol {
            fileprivate let events: Events

            /// The next event; nil after the last, or if the task is cancelled.
            public mutating func next() async -> Event? { await events.driver.next(of: events.inbox) }
        }
    }
}

/// W3C `RTCSignalingState`.
public enum SignalingState: String, Sendable {
    case stable
    case haveLocalOffer = "have-local-offer"
    case haveRemoteOffer = "have-remote-offer"
    case haveLocalPranswer = "have-local-pranswer"
    case haveRemotePranswer = "have-remote-pranswer"
    case closed
}

/// W3C `RTCIceConnectionState`.
public enum IceConnectionState: String, Sendable {
    case new, checking, connected, completed, disconnected, failed, closed
}

/// W3C `RTCIceGatheringState`.
public enum IceGatheringState: String, Sendable {
    case new, gathering, complete
}

/// W3C `RTCPeerConnectionState`.
public enum ConnectionState: String, Sendable {
    case new, connecting, connected, disconnected, failed, closed
}
