import Frazil

// Both ends in one program; elsewhere, what goes from one to the other goes through your signalling.
let caller = try Connection(loopback: true)
let callee = try Connection(loopback: true)

/// Hands the candidates of one to the other, and the channels that it is given to `use`.
func follow(_ one: Connection, _ other: Connection, use: @escaping @Sendable (Channel) async throws -> Void) {
    Task {
        for await event in one.events {
            switch event {
            case .iceCandidate(let candidate): try await other.addIceCandidate(candidate)
            case .channel(let channel): Task { try await use(channel) }
            case .connectionStateChange(.failed, let why): print("failed:", why ?? "")
            default: break
            }
        }
    }
}

let chat = try await caller.createDataChannel("chat")
try await caller.setLocalDescription(try await caller.createOffer())
try await callee.setRemoteDescription(try await caller.localDescription()!)
try await callee.setLocalDescription(try await callee.createAnswer())
try await caller.setRemoteDescription(try await callee.localDescription()!)

follow(caller, callee) { _ in }
follow(callee, caller) { channel in
    for await message in channel.messages {
        // This waits while the channel's buffer is full.
        try await channel.send(message)
    }
}

try await chat.send("hello")
if case .text(let text)? = await chat.receive() {
    print(text)
}
await caller.close()
await callee.close()
