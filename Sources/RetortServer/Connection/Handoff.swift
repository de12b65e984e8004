import Synchronization

/// Hands values from one task to another, one at a time: who gives waits until the value is taken, so nothing piles up.
final class Handoff<Value: Sendable>: Sendable {
    private struct State {
        /// A value that was not taken yet, and who gave it.
        var offer: (value: Value, giver: CheckedContinuation<Void, any Error>)?
        var taker: CheckedContinuation<Value?, any Error>?
        var end: Result<Value?, any Error>?
        var isGiverCancelled = false
        var isTakerCancelled = false
    }

    /// Who or what is there for the other side.
    private enum Found {
        case taker(CheckedContinuation<Value?, any Error>)
        case offer(Value, giver: CheckedContinuation<Void, any Error>)
        case end(Result<Value?, any Error>)
        /// Nobody yet.
        case nobody
    }

    private let state = Mutex(State())

    /// Gives a value, and waits until it is taken.
    /// - Throws: `CancellationError`.
    func give(_ value: Value) async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { giver in
                let found: Found = state.withLock { state in
                    if state.isGiverCancelled || state.isTakerCancelled { return .end(.success(nil)) }
                    guard let taker = state.taker else {
                        state.offer = (value, giver)
                        return .nobody
                    }
                    state.taker = nil
                    return .taker(taker)
                }
                switch found {
                case .taker(let taker):
                    taker.resume(returning: value)
                    giver.resume()
                case .end: giver.resume(throwing: CancellationError())
                case .offer, .nobody: break
                }
            }
        } onCancel: {
            refuse(.giver)
        }
    }

    /// Waits for the next value.
    /// - Returns: nil after the last.
    /// - Throws: what the giver ended with, `CancellationError`.
    func take() async throws -> Value? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { taker in
                let found: Found = state.withLock { state in
                    if state.isTakerCancelled { return .end(.failure(CancellationError())) }
                    if let offer = state.offer {
                        state.offer = nil
                        return .offer(offer.value, giver: offer.giver)
                    }
                    if let end = state.end { return .end(end) }
                    state.taker = taker
                    return .nobody
                }
                switch found {
                case .offer(let value, let giver):
                    taker.resume(returning: value)
                    giver.resume()
                case .end(let end): taker.resume(with: end)
                case .taker, .nobody: break
                }
            }
        } onCancel: {
            refuse(.taker)
        }
    }

    /// Says that nothing more comes.
    /// - Parameter error: why, where it is not the good end.
    func end(throwing error: (any Error)? = nil) {
        let end: Result<Value?, any Error> = error.map { .failure($0) } ?? .success(nil)
        let taker = state.withLock { state in
            state.end = end
            defer { state.taker = nil }
            return state.taker
        }
        taker?.resume(with: end)
    }

    /// Says that nobody takes any more: who gives is cancelled.
    func leave() { refuse(.taker) }

    private enum Side { case giver, taker }

    private func refuse(_ side: Side) {
        let (giver, taker) = state.withLock { state in
            let (giver, taker) = (state.offer?.giver, side == .taker ? state.taker : nil)
            state.offer = nil
            switch side {
            case .giver: state.isGiverCancelled = true
            case .taker:
                state.isTakerCancelled = true
                state.taker = nil
            }
            return (giver, taker)
        }
        giver?.resume(throwing: CancellationError())
        taker?.resume(throwing: CancellationError())
    }
}
