import Foundation
import Testing

@testable @_spi(Testing) import Frazil

/// All tests, one after the other: an injected panic hits whichever call comes next, and memory is counted for the
/// process.
@Suite(.serialized, .timeLimit(.minutes(2)))
enum Everything {}

/// The repository.
let repository = {
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<6 { folder.deleteLastPathComponent() }
    return folder
}()

func makePeer(seed: UInt8 = 1, config: Config = Config()) throws -> Peer {
    try Peer(config: config, seed: [UInt8](repeating: seed, count: 32), now: 0)
}

func host(_ ip: String, _ port: UInt16) -> HostSocket {
    HostSocket(
        protocol: "udp",
        ip: ip,
        port: port,
        interface: "ethernet",
        index: 1,
        cost: 0,
        temporary: false,
        deprecated: false
    )
}

func udp(_ local: (String, UInt16), _ remote: (String, UInt16)) -> Path {
    Path(protocol: "udp", localIp: local.0, localPort: local.1, remoteIp: remote.0, remotePort: remote.1)
}

/// Why a call is refused.
func refusal(_ call: () throws -> Void) -> FrazilError? {
    do {
        try call()
        return nil
    } catch {
        return error as? FrazilError
    }
}

func withBuffer<Result>(_ count: Int, _ call: (UnsafeMutableRawBufferPointer) throws -> Result) rethrows -> Result {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 8)
    defer { buffer.deallocate() }
    return try call(buffer)
}

extension Everything {
    @Suite struct Documents {
        @Test func theReadmeShowsAProgramThatRuns() throws {
            let folder = repository.appendingPathComponent("bindings/mobile/swift")
            let readme = try String(contentsOf: folder.appendingPathComponent("README.md"), encoding: .utf8)
            let source = folder.appendingPathComponent("Tests/Consumer/Sources/Consumer/main.swift")
            #expect(try Regex(#"\d+\.\d+\.\d+"#).prefixMatch(in: frazilVersion) != nil)
            #expect(readme.contains("```swift\n\(try String(contentsOf: source, encoding: .utf8))```\n"))
        }
    }
}
