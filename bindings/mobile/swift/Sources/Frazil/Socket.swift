import Dispatch
import Foundation

/// A UDP socket on one address of the machine. It is used on the driver's queue alone.
final class Socket {
    /// The address it is bound to.
    let local: Endpoint
    private let descriptor: Int32
    /// The system's number of the interface, for addresses that mean something on one link only.
    private let scope: UInt32
    private let readable: any DispatchSourceRead
    /// The numbers of the paths to those who have sent to it.
    private var paths: [Endpoint: UInt32] = [:]

    /// How much the system is to keep for us, in bytes. The defaults of some systems lose the tail of a burst.
    private static let systemBuffer: Int32 = 1 << 20
    /// A stranger can send from as many addresses as they like.
    private static let maxPaths = 512

    /// Binds a socket on an address and any port; it throws if the system refuses. On the queue, `whenReadable` is called
    /// when something has come, and `whenClosed` once the system has the socket back.
    init(
        ip: String,
        index: UInt32,
        queue: DispatchQueue,
        whenReadable: @escaping @Sendable (Endpoint) -> Void,
        whenClosed: @escaping @Sendable () -> Void
    ) throws(FrazilError) {
        guard let wanted = Endpoint(ip: ip, port: 0) else { throw FrazilError(.invalidArgument, "no IP address") }
        descriptor = openDatagramSocket(wanted.family)
        guard descriptor >= 0 else { throw Self.refusal() }
        scope = index
        let descriptor = descriptor
        func set(_ level: Int32, _ option: Int32, _ value: Int32) {
            var value = value
            _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
        if wanted.isIPv6 {
            set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
        }
        set(SOL_SOCKET, SO_RCVBUF, Self.systemBuffer)
        set(SOL_SOCKET, SO_SNDBUF, Self.systemBuffer)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        guard fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0,
            wanted.withSockaddr(scope: index, { bind(descriptor, $0, $1) }) == 0,
            let bound = Self.boundAddress(of: descriptor)
        else {
            let refusal = Self.refusal()
            _ = systemClose(descriptor)
            throw refusal
        }
        local = bound
        readable = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        readable.setEventHandler { whenReadable(bound) }
        // The number may be another file's as soon as it is closed: not before nobody looks at it any more.
        readable.setCancelHandler {
            _ = systemClose(descriptor)
            whenClosed()
        }
        readable.activate()
    }

    /// What the system said last.
    private static func refusal() -> FrazilError {
        FrazilError(.system, String(cString: strerror(errno)))
    }

    private static func boundAddress(of descriptor: Int32) -> Endpoint? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return result == 0 ? Endpoint(storage) : nil
    }

    /// Takes a datagram that has come: who sent it, and its length. Nil if there is none.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> (remote: Endpoint, count: Int)? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        while true {
            let count = withUnsafeMutablePointer(to: &storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, buffer.baseAddress, buffer.count, 0, $0, &length)
                }
            }
            if count >= 0 { return Endpoint(storage).map { ($0, count) } }
            // The system also tells here of a datagram that somebody has refused, or that it was interrupted.
            guard errno == ECONNREFUSED || errno == EINTR else { return nil }
        }
    }

    /// Sends a datagram. One that the system does not take is lost, as on a wire.
    func send(_ datagram: UnsafeRawBufferPointer, to remote: Endpoint) {
        _ = remote.withSockaddr(scope: scope) {
            sendto(descriptor, datagram.baseAddress, datagram.count, 0, $0, $1)
        }
    }

    /// The number of the path to `remote`, which `ask` knows if the table does not.
    func path(to remote: Endpoint, ask: () throws -> UInt32) rethrows -> UInt32 {
        if let known = paths[remote] { return known }
        let path = try ask()
        if paths.count >= Self.maxPaths {
            paths.removeAll()
        }
        paths[remote] = path
        return path
    }

    /// Forgets the numbers of all paths.
    func forgetPaths() {
        paths.removeAll()
    }

    func close() {
        readable.cancel()
    }
}

/// A UDP socket that is not bound, negative if the system refuses.
func openDatagramSocket(_ family: Int32) -> Int32 {
    #if canImport(Darwin)
        socket(family, SOCK_DGRAM, 0)
    #else
        socket(family, Int32(SOCK_DGRAM.rawValue), 0)
    #endif
}

private func systemClose(_ descriptor: Int32) -> Int32 {
    close(descriptor)
}
