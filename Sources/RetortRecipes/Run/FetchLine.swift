import Foundation
import RetortHub
import Synchronization

/// The progress of a fetch on standard error: in megabytes, with rate and time left, one line per file.
package final class FetchLine: Sendable {
    private struct State {
        var path: String?
        var line: ProgressLine?
        var first: Int64 = 0
    }

    private let name: String
    // The line is used only inside the lock.
    private let state = Mutex(State())

    /// - Parameter name: what is fetched, for the lines' beginnings.
    package init(_ name: String) { self.name = name }

    /// Shows an event of a fetch, except for files below one megabyte or of unknown size.
    package func show(_ progress: FetchProgress) {
        switch progress {
        case .waiting(let name): ProgressLine(name).note("waits for another process that fetches it")
        case .package(let requirement): ProgressLine(name).note("fetching the Python package \(requirement)")
        case .file(let path, let bytes, let size):
            guard let size, size >= 1_000_000 else { return }
            state.withLock { state in
                if state.path != path { state = State(path: path, line: ProgressLine("\(name)/\(path)"), first: bytes) }
                // Only what is fetched now counts, so that the rate is not that of an earlier attempt.
                let (done, total) = (bytes - state.first, size - state.first)
                state.line?.show(Int(done / 1_000_000), of: Int(max(total, 1) / 1_000_000), "MB")
            }
        }
    }
}
