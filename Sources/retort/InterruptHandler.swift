@preconcurrency import Dispatch
import Foundation
import Synchronization

/// Turns the first SIGINT or SIGTERM into a cancellation; a second one ends the process at once.
final class InterruptHandler: Sendable {
    private let action = Mutex<(@Sendable () -> Void)?>(nil)
    private let sources: [any DispatchSourceSignal]

    init() {
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        for source in sources {
            source.setEventHandler { [weak self] in
                let cancel = self?.action.withLock { action in
                    defer { action = nil }
                    return action
                }
                if let cancel { cancel() } else { _exit(130) }
            }
            source.resume()
        }
    }

    func cancels(_ action: @escaping @Sendable () -> Void) { self.action.withLock { $0 = action } }
}
