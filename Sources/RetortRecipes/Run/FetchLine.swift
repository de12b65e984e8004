import Foundation
import RetortHub
import Synchronization

/// How far a fetch is, on standard error: in megabytes, with rate and time left, a line a file.
public final class FetchLine: Sendable {
    private struct State {
        var path: String?
        var line: ProgressLine?
        var first: Int64 = 0
    }

    private let name: String
    // The line is only ever touched inside the lock.
    private let state = Mutex(State())

    public init(_ name: String) { self.name = name }

    public func show(_ progress: FetchProgress) {
        switch progress {
        case .waiting(let name): ProgressLine(name).note("waits for another process that fetches it")
        case .package(let requirement): ProgressLine(name).note("fetching the Python package \(requirement)")
        case .file(let path, let bytes, let size):
            guard let size, size >= 1_000_000 else { return }
            state.withLock { state in
                if state.path != path { state = State(path: path, line: ProgressLine("\(name)/\(path)"), first: bytes) }
                // Only what is fetched now counts: the rate is not that of an earlier attempt.
                let (done, total) = (bytes - state.first, size - state.first)
                state.line?.show(Int(done / 1_000_000), of: Int(max(total, 1) / 1_000_000), "MB")
            }
        }
    }
}
