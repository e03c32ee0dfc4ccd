import Foundation
import FrazilNative

/// One end of a connection, without sockets, clocks or threads.
///
/// After every call that takes `now`, take out all transmits, then all events, until there are neither; then call
/// ``handleTimeout(now:)`` when ``pollTimeout()`` says at the latest. `now` is in nanoseconds of a monotonic clock,
/// such as `DispatchTime.now().uptimeNanoseconds`.
///
/// Any thread may call; calls wait for one another, and for nothing else. Every call throws after ``close()``, and
/// after the core has broken down. ``Connection`` is a driver for it, and shows how to write one.
public final class Peer: Sendable {
    /// The smallest buffer that ``pollTransmit(into:)`` takes, in bytes.
    public static let minBuffer = Int(FrazilNative.minBuffer())
    /// The smallest buffer that ``pollTransmits(into:)`` can fill with ``Batch/maxEntries`` datagrams, in bytes.
    public static let batchBuffer = Int(FrazilNative.batchBuffer())

    private let native: FrazilNative.Peer

    /// Makes a peer. `seed` is 32 bytes from the operating system's generator; without a certificate a new one is made.
    public init(
        config: Config = Config(),
        servers: [IceServer] = [],
        certificate: Certificate? = nil,
        seed: some ContiguousBytes,
        now: UInt64
    ) throws(FrazilError) {
        native = try guarded {
            try lend(seed) { seed in
                try FrazilNative.Peer(config: config, servers: servers, certificate: certificate, seed: seed, now: now)
            }
        }
    }

    // What the peer holds is freed by a call that may fail, as freeing the native object itself may not.
    deinit {
        try? native.shutdown()
    }

    /// Frees what the peer holds, without a word to the other side: ``leave(now:)`` says it. To do it twice is no
    /// error.
    public func close() throws(FrazilError) {
        try guarded { try native.shutdown() }
    }

    // MARK: What the machine has

    /// Takes the list of all sockets that the driver has now, such as ``hostSockets(loopback:linkLocal:)`` gave to
    /// bind. The first list begins the gathering; each later one that differs leads to `Event.networkChange`.
    public func handleNetworkChange(sockets: [HostSocket], now: UInt64) throws(FrazilError) {
        try guarded { try native.handleNetworkChange(sockets: sockets, now: now) }
    }

    /// Says that all sockets were named. Once the servers have answered as well, the other side is told that there are
    /// no more candidates.
    public func endOfCandidates(now: UInt64) throws(FrazilError) {
        try guarded { try native.endOfCandidates(now: now) }
    }

    /// W3C `setConfiguration`, of the servers. With credentials that were renewed, what was lent with the old ones is
    /// kept.
    public func setServers(servers: [IceServer], now: UInt64) throws(FrazilError) {
        try guarded { try native.setServers(servers: servers, now: now) }
    }

    /// The address of the socket that `Event.openSocket` has asked for; without an IP address there is none.
    public func handleSocketOpened(
        socket: UInt32,
        localIp: String?,
        localPort: UInt16,
        now: UInt64
    ) throws(FrazilError) {
        try guarded {
            try native.handleSocketOpened(socket: socket, localIp: localIp, localPort: localPort, now: now)
        }
    }

    /// The IP addresses of a name that `Event.resolve` asked for; none if it has none.
    public func handleResolved(request: UInt32, addresses: [String], now: UInt64) throws(FrazilError) {
        try guarded { try native.handleResolved(request: request, addresses: addresses, now: now) }
    }

    // MARK: Offer and answer

    /// W3C `createOffer`. It has all candidates known by now.
    public func createOffer() throws(FrazilError) -> Description {
        try guarded { try native.createOffer() }
    }

    /// W3C `createAnswer`. It has all candidates known by now.
    public func createAnswer() throws(FrazilError) -> Description {
        try guarded { try native.createAnswer() }
    }

    /// W3C `setLocalDescription`: sets what was created last, or takes an offer back.
    public func setLocalDescription(_ description: Description, now: UInt64) throws(FrazilError) {
        try guarded { try native.setLocalDescription(description: description, now: now) }
    }

    /// W3C `setRemoteDescription`. An offer takes back an offer of ours that waits for its answer.
    public func setRemoteDescription(_ description: Description, now: UInt64) throws(FrazilError) {
        try guarded { try native.setRemoteDescription(description: description, now: now) }
    }

    /// W3C `localDescription`: the last one set, with all candidates known by now.
    public func localDescription() throws(FrazilError) -> Description? {
        try guarded { try native.localDescription() }
    }

    /// W3C `remoteDescription`: the last one set, with the candidates that came since.
    public func remoteDescription() throws(FrazilError) -> Description? {
        try guarded { try native.remoteDescription() }
    }

    /// W3C `addIceCandidate`.
    public func addIceCandidate(_ candidate: IceCandidate, now: UInt64) throws(FrazilError) {
        try guarded { try native.addIceCandidate(candidate: candidate, now: now) }
    }

    /// W3C `restartIce`: the next offer restarts ICE.
    public func restartIce() throws(FrazilError) {
        try guarded { try native.restartIce() }
    }

    // MARK: Datagrams

    /// The number of a path, to be used in ``handleDatagram(path:datagram:now:)``.
    public func pathId(_ path: Path) throws(FrazilError) -> UInt32 {
        try guarded { try native.pathId(path: path) }
    }

    /// The path with this number, as ``pollTransmit(into:)`` gives it. A number means one path for as long as it means
    /// any; nil if it means none.
    public func path(_ path: UInt32) throws(FrazilError) -> Path? {
        try guarded { try native.path(path: path) }
    }

    /// Takes a datagram that the driver received. Whatever is wrong with it is counted and changes nothing.
    ///
    /// False if the number names no path any more: then ask for the path's number anew, and hand the datagram in again.
    public func handleDatagram(path: UInt32, datagram: some ContiguousBytes, now: UInt64) throws(FrazilError) -> Bool {
        try guarded { try lend(datagram) { try native.handleDatagram(path: path, datagram: $0, now: now) } }
    }

    /// Takes a ``Batch`` of datagrams, in their order. Gives how many were taken: fewer than all if the number of the
    /// next one names no path any more. If the batch is cut short nothing was taken.
    public func handleDatagrams(_ batch: some ContiguousBytes, now: UInt64) throws(FrazilError) -> Int {
        try guarded { try lend(batch) { Int(try native.handleDatagrams(batch: $0, now: now)) } }
    }

    /// A datagram that was written into the caller's buffer.
    public struct Transmit: Equatable, Sendable {
        /// The number of its path.
        public let path: UInt32
        /// How many bytes of the buffer it takes.
        public let count: Int
    }

    /// The next datagram to send, written into a buffer of at least ``minBuffer`` bytes.
    public func pollTransmit(into buffer: UnsafeMutableRawBufferPointer) throws(FrazilError) -> Transmit? {
        let packed = try guarded { try native.pollTransmitAt(address: buffer.address, capacity: buffer.capacity) }
        return packed == 0 ? nil : Transmit(path: UInt32(packed >> 32), count: Int(packed & 0xffff_ffff))
    }

    /// The next datagrams to send, as a ``Batch`` in the buffer: how many bytes of it they take. There may be more as
    /// long as that is not 0.
    public func pollTransmits(into buffer: UnsafeMutableRawBufferPointer) throws(FrazilError) -> Int {
        try guarded { Int(try native.pollTransmitsAt(address: buffer.address, capacity: buffer.capacity)) }
    }

    // MARK: Streams

    /// Says that the stream that `Event.openStream` asked for is open.
    public func handleStreamOpened(path: UInt32, now: UInt64) throws(FrazilError) {
        try guarded { try native.handleStreamOpened(path: path, now: now) }
    }

    /// Takes a stream that somebody opened to a socket of ours, and gives the number of its path. If it throws, the
    /// stream is of no use: close it.
    public func handleStreamAccepted(path: Path, now: UInt64) throws(FrazilError) -> UInt32 {
        try guarded { try native.handleStreamAccepted(path: path, now: now) }
    }

    /// Takes bytes of a stream as they come, cut anywhere. Whatever is wrong with them is counted and changes nothing.
    public func handleStreamData(path: UInt32, bytes: some ContiguousBytes, now: UInt64) throws(FrazilError) {
        try guarded { try lend(bytes) { try native.handleStreamData(path: path, bytes: $0, now: now) } }
    }

    /// Says that a stream is closed, was broken, or could not be opened.
    public func handleStreamClosed(path: UInt32, now: UInt64) throws(FrazilError) {
        try guarded { try native.handleStreamClosed(path: path, now: now) }
    }

    // MARK: Time and events

    /// Lets time pass.
    public func handleTimeout(now: UInt64) throws(FrazilError) {
        try guarded { try native.handleTimeout(now: now) }
    }

    /// When ``handleTimeout(now:)`` is to be called at the latest; nil if it need not be.
    public func pollTimeout() throws(FrazilError) -> UInt64? {
        let deadline = try guarded { try native.pollTimeout() }
        return deadline == .max ? nil : deadline
    }

    /// The next thing that happened.
    public func pollEvent() throws(FrazilError) -> Event? {
        try guarded { try native.pollEvent() }
    }

    /// What ``Peer/pollEvent()`` would give.
    public enum Waiting: UInt32, Sendable {
        /// Nothing.
        case nothing = 0
        /// A message, which ``Peer/pollMessages(into:)`` takes out too, in a cheaper way.
        case message = 1
        /// Another event.
        case event = 2
    }

    /// What ``pollEvent()`` would give.
    public func waiting() throws(FrazilError) -> Waiting {
        Waiting(rawValue: try guarded { try native.waiting() }) ?? .event
    }

    /// The next messages, up to the next other event, as a ``Batch`` in the buffer: how many bytes of it they take.
    /// There may be more messages as long as that is not 0.
    ///
    /// It throws if the buffer has no room for the first one, which is kept. ``Batch/header`` and the configuration's
    /// `maxMessageSize` are always room enough.
    public func pollMessages(into buffer: UnsafeMutableRawBufferPointer) throws(FrazilError) -> Int {
        try guarded { Int(try native.pollMessagesAt(address: buffer.address, capacity: buffer.capacity)) }
    }

    // MARK: Data channels

    /// W3C `createDataChannel`. It opens once the connection is there.
    public func createDataChannel(_ config: ChannelConfig, now: UInt64) throws(FrazilError) -> UInt32 {
        try guarded { try native.createDataChannel(config: config, now: now) }
    }

    /// Sends a message; text is UTF-8. False if as much is buffered as may be: then `Event.bufferedAmountLow` comes
    /// when there is room.
    public func send(
        channel: UInt32,
        message: some ContiguousBytes,
        text: Bool,
        now: UInt64
    ) throws(FrazilError) -> Bool {
        try guarded { try lend(message) { try native.send(channel: channel, message: $0, text: text, now: now) } }
    }

    /// Says that the application has read that many bytes of the messages of a channel. Only of use if the
    /// configuration has a `receiveBuffer`.
    public func release(channel: UInt32, bytes: UInt32, now: UInt64) throws(FrazilError) {
        try guarded { try native.release(channel: channel, bytes: bytes, now: now) }
    }

    /// W3C `bufferedAmount`: bytes that the other side has not acknowledged yet.
    public func bufferedAmount(channel: UInt32) throws(FrazilError) -> UInt32 {
        try guarded { try native.bufferedAmount(channel: channel) }
    }

    /// W3C `bufferedAmountLowThreshold`, in bytes. Zero at first.
    public func setBufferedAmountLowThreshold(channel: UInt32, bytes: UInt32) throws(FrazilError) {
        try guarded { try native.setBufferedAmountLowThreshold(channel: channel, bytes: bytes) }
    }

    /// Says how many events wait for the application to take them. The other side chooses how many channels it opens: from
    /// 256 events on its bulk data is held back, as with messages that are not released, until half as many wait.
    public func setEventBacklog(waiting: UInt32, now: UInt64) throws(FrazilError) {
        try guarded { try native.setEventBacklog(waiting: waiting, now: now) }
    }

    /// Closes a channel once what was sent is delivered. `Event.channelClosed` follows on both sides.
    public func closeChannel(_ channel: UInt32, now: UInt64) throws(FrazilError) {
        try guarded { try native.closeChannel(channel: channel, now: now) }
    }

    /// Leaves: all channels are gone at once, and the other side is told. Go on taking out transmits and minding
    /// timeouts until there are no more, two seconds at the most, so that servers get back what they lent; then
    /// ``close()``.
    public func leave(now: UInt64) throws(FrazilError) {
        try guarded { try native.leave(now: now) }
    }

    // MARK: What is going on

    /// W3C `signalingState`.
    public func signalingState() throws(FrazilError) -> String {
        try guarded { try native.signalingState() }
    }

    /// W3C `iceConnectionState`.
    public func iceConnectionState() throws(FrazilError) -> String {
        try guarded { try native.iceConnectionState() }
    }

    /// W3C `iceGatheringState`.
    public func iceGatheringState() throws(FrazilError) -> String {
        try guarded { try native.iceGatheringState() }
    }

    /// W3C `connectionState`.
    public func connectionState() throws(FrazilError) -> String {
        try guarded { try native.connectionState() }
    }

    /// Why the connection failed.
    public func failure() throws(FrazilError) -> String? {
        try guarded { try native.failure() }
    }

    /// The pair that carries the traffic.
    public func selectedPair() throws(FrazilError) -> Pair? {
        try guarded { try native.selectedPair() }
    }

    /// Our certificate with its key, to be kept for another peer.
    public func certificate() throws(FrazilError) -> Certificate {
        try guarded { try native.certificate() }
    }
}

/// Lends bytes to the native library for one call, without a copy.
private func lend<Result>(_ bytes: some ContiguousBytes, to call: (Data) throws -> Result) throws -> Result {
    try bytes.withUnsafeBytes { bytes in
        guard let address = bytes.baseAddress, !bytes.isEmpty else { return try call(Data()) }
        // The generated code counts so far.
        guard bytes.count <= Int32.max else {
            throw FrazilError(.invalidArgument, "\(bytes.count) bytes, where \(Int32.max) are the most")
        }
        return try call(Data(bytesNoCopy: .init(mutating: address), count: bytes.count, deallocator: .none))
    }
}

extension UnsafeMutableRawBufferPointer {
    fileprivate var address: UInt64 { UInt64(UInt(bitPattern: baseAddress)) }
    fileprivate var capacity: UInt64 { UInt64(count) }
}
