import Dispatch
import Foundation

/// The IP addresses of a name, as the system knows them; none if it has none. It may take seconds.
func resolve(_ name: String) async -> [String] {
    await withCheckedContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(returning: lookUp(name)) }
    }
}

private func lookUp(_ name: String) -> [String] {
    var hints = addrinfo()
    #if canImport(Darwin)
        hints.ai_socktype = SOCK_DGRAM
    #else
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var addresses: [String] = []
    for entry in sequence(first: list, next: { $0?.pointee.ai_next }) {
        guard let entry = entry?.pointee, let address = entry.ai_addr else { continue }
        var storage = sockaddr_storage()
        let length = min(Int(entry.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutableBytes(of: &storage) { $0.copyMemory(from: .init(start: address, count: length)) }
        if let endpoint = Endpoint(storage), !addresses.contains(endpoint.ip) {
            addresses.append(endpoint.ip)
        }
    }
    return addresses
}
