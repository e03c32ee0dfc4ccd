import Foundation
import FrazilNative

/// Why a call is refused. Unless the reason is ``Reason/panicked``, it has changed nothing.
public struct FrazilError: Error, Equatable, Sendable {
    /// What kind of thing is wrong.
    public enum Reason: String, CaseIterable, Sendable {
        /// The peer or connection is closed, or the channel.
        case closed
        /// The core has broken down, in this call or an earlier one. That is a fault of ours; the peer is of no use any
        /// more.
        case panicked
        /// An argument cannot be: no IP address, a seed of the wrong length, a buffer that is too small.
        case invalidArgument = "invalid-argument"
        /// The signalling state does not allow it (W3C `InvalidStateError`).
        case invalidState = "invalid-state"
        /// Something is wrong with the description.
        case invalidDescription = "invalid-description"
        /// Something is wrong with the candidate.
        case invalidCandidate = "invalid-candidate"
        /// The channel cannot be made.
        case invalidChannel = "invalid-channel"
        /// The message cannot be sent: it is too long, or a ``Peer``'s channel is not open yet.
        case notSent = "not-sent"
        /// The operating system refuses what was asked of it.
        case system
    }

    /// What kind of thing is wrong.
    public let reason: Reason
    /// What is wrong, and with which value.
    public let message: String

    /// Something is wrong for this reason.
    public init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    /// What the native library threw.
    init(_ error: any Error) {
        guard let native = error as? FrazilNative.FrazilError else {
            // The generated code has no other errors than those of a native library that broke down.
            self = error as? FrazilError ?? FrazilError(.panicked, error.localizedDescription)
            return
        }
        self =
            switch native {
            case .Closed(let message): FrazilError(.closed, message)
            case .Panicked(let message): FrazilError(.panicked, message)
            case .InvalidArgument(let message): FrazilError(.invalidArgument, message)
            case .InvalidState(let message): FrazilError(.invalidState, message)
            case .InvalidDescription(let message): FrazilError(.invalidDescription, message)
            case .InvalidCandidate(let message): FrazilError(.invalidCandidate, message)
            case .InvalidChannel(let message): FrazilError(.invalidChannel, message)
            case .NotSent(let message): FrazilError(.notSent, message)
            case .System(let message): FrazilError(.system, message)
            }
    }
}

extension FrazilError: LocalizedError, CustomStringConvertible {
    /// What is wrong, and with which value.
    public var description: String { message }
    /// What is wrong, and with which value.
    public var errorDescription: String? { message }
}

/// Has the native library do something, and says what it throws as a ``FrazilError``.
func guarded<Result>(_ call: () throws -> Result) throws(FrazilError) -> Result {
    do {
        return try call()
    } catch {
        throw FrazilError(error)
    }
}
