import Synchronization

/// A bounded queue from many senders to one receiver; a sender waits while it is full.
final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var taker: CheckedContinuation<Element?, Never>?
        var bringers: [Int: CheckedContinuation<Void, Never>] = [:]
        var order: [Int] = []
        var number = 0
        var isClosed = false

        mutating func nextBringer() -> CheckedContinuation<Void, Never>? {
            order.isEmpty ? nil : bringers.removeValue(forKey: order.removeFirst())
        }
    }

    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// Waits for room and adds an element. Does nothing once the box is closed or the sender cancelled.
    func put(_ element: Element) async {
        while !Task.isCancelled {
            let (isDone, taker) = state.withLock { state -> (Bool, CheckedContinuation<Element?, Never>?) in
                if state.isClosed { return (true, nil) }
                if let taker = state.taker {
                    state.taker = nil
                    return (true, taker)
                }
                guard state.elements.count < limit else { return (false, nil) }
                state.elements.append(element)
                return (true, nil)
            }
            taker?.resume(returning: element)
            if isDone { return }
            await room()
        }
    }

    /// Adds an element without waiting, even if the box is full.
    func force(_ element: Element) {
        let taker = state.withLock { state -> CheckedContinuation<Element?, Never>? in
            guard !state.isClosed else { return nil }
            guard let taker = state.taker else {
                state.elements.append(element)
                return nil
            }
            state.taker = nil
            return taker
        }
        taker?.resume(returning: element)
    }

    private func room() async {
        let number = state.withLock { state in
            state.number += 1
            return state.number
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isFree = state.withLock { state in
                    guard !state.isClosed, state.elements.count >= limit, !Task.isCancelled else { return true }
                    state.bringers[number] = continuation
                    state.order.append(number)
                    return false
                }
                if isFree { continuation.resume() }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                state.order.removeAll { $0 == number }
                return state.bringers.removeValue(forKey: number)
            }
            waiting?.resume()
        }
    }

    /// The next element; nil once the box is closed or the receiver cancelled. Only one receiver at a time.
    func take() async -> Element? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (element, isNow, next) = state.withLock { state in
                    if !state.elements.isEmpty {
                        let element = state.elements.removeFirst()
                        return (element as Element?, true, state.nextBringer())
                    }
                    if state.isClosed || Task.isCancelled { return (nil, true, nil) }
                    state.taker = continuation
                    return (nil, false, nil)
                }
                next?.resume()
                if isNow { continuation.resume(returning: element) }
            }
        } onCancel: {
            let taker = state.withLock { state in
                defer { state.taker = nil }
                return state.taker
            }
            taker?.resume(returning: nil)
        }
    }

    /// Closes the box. Elements in it can still be taken; everybody who waits is released.
    func close() {
        let (taker, bringers) = state.withLock { state in
            state.isClosed = true
            defer { (state.taker, state.bringers, state.order) = (nil, [:], []) }
            return (state.taker, state.bringers.values)
        }
        taker?.resume(returning: nil)
        for bringer in bringers { bringer.resume() }
    }
}
