import Synchronization

/// An assembly that the reading task fills and the asking task reads when that one has ended or was cut off.
final class SharedAssembly: Sendable {
    private let state: Mutex<ReplyAssembly>

    init(_ assembly: ReplyAssembly) { state = Mutex(assembly) }

    var value: ReplyAssembly { state.withLock { $0 } }

    /// Notes that the endpoint took the request.
    func begin() { state.withLock { $0.hasBegun = true } }

    func add(_ part: ReplyPart) -> [(choice: Int, text: String)] { state.withLock { $0.add(part) } }
}
