import Foundation

/// An IP address and a port, as the system's calls take them.
struct Endpoint: Hashable, Sendable {
    /// The address, in the order of the network; of an IPv4 address the first four bytes.
    private let high: UInt64
    private let low: UInt64
    let port: UInt16
    let isIPv6: Bool

    /// Reads the text of an IP address. Systems write the scope of an IPv6 address behind it.
    init?(ip: String, port: UInt16) {
        let text = ip.prefix { $0 != "%" }
        var bytes = [UInt64](repeating: 0, count: 2)
        isIPv6 = text.contains(":")
        guard inet_pton(isIPv6 ? AF_INET6 : AF_INET, String(text), &bytes) == 1 else { return nil }
        (high, low) = (bytes[0], bytes[1])
        self.port = port
    }

    /// What the system wrote; nil if it is of another kind.
    init?(_ storage: sockaddr_storage) {
        var storage = storage
        let family = Int32(storage.ss_family)
        guard family == AF_INET || family == AF_INET6 else { return nil }
        isIPv6 = family == AF_INET6
        (high, low, port) = withUnsafeBytes(of: &storage) { bytes in
            if family == AF_INET {
                let address = bytes.loadUnaligned(as: sockaddr_in.self)
                return (UInt64(address.sin_addr.s_addr), 0, UInt16(bigEndian: address.sin_port))
            }
            let address = bytes.loadUnaligned(as: sockaddr_in6.self)
            let halves = withUnsafeBytes(of: address.sin6_addr) {
                ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            return (halves.0, halves.1, UInt16(bigEndian: address.sin6_port))
        }
    }

    /// The text of the address.
    var ip: String {
        var bytes = [high, low]
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(family, &bytes, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    var family: Int32 { isIPv6 ? AF_INET6 : AF_INET }

    /// Whether the address means something on one link only (fe80::/10).
    var isLinkLocal: Bool {
        isIPv6 && UInt64(bigEndian: high) >> 54 == 0xfe80 >> 6
    }

    /// Lends the address to a call of the system. `scope` is that of link-local addresses.
    func withSockaddr<Result>(scope: UInt32, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        func lend<Address>(_ address: inout Address) -> Result {
            withUnsafePointer(to: &address) { address in
                address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    call($0, socklen_t(MemoryLayout<Address>.size))
                }
            }
        }
        if isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_scope_id = isLinkLocal ? scope : 0
            withUnsafeMutableBytes(of: &address.sin6_addr) {
                $0.storeBytes(of: high, as: UInt64.self)
                $0.storeBytes(of: low, toByteOffset: 8, as: UInt64.self)
            }
            #if canImport(Darwin)
                address.sin6_len = UInt8(MemoryLayout<sockaddr_in6>.size)
            #endif
            return lend(&address)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        withUnsafeMutableBytes(of: &address.sin_addr) {
            $0.storeBytes(of: withUnsafeBytes(of: high) { $0.load(as: UInt32.self) }, as: UInt32.self)
        }
        #if canImport(Darwin)
            address.sin_len = UInt8(MemoryLayout<sockaddr_in>.size)
        #endif
        return lend(&address)
    }
}
