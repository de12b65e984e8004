import RetortCore

/// A few sessions with one server, opened when they are first needed and lent to one user at a time.
actor PostgresPool {
    private let address: String
    private let most: Int
    private let seconds: Double
    private var idle: [PostgresSession] = []
    private var lent = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// - Parameters:
    ///   - most: sessions at once.
    ///   - seconds: the longest that opening one may take.
    init(_ address: String, most: Int, seconds: Double) {
        (self.address, self.most, self.seconds) = (address, most, seconds)
    }

    /// Lends a session. One that broke is not lent again.
    /// - Throws: what the body throws; `PostgresSession.Failure` where none can be opened.
    func with<Value: Sendable>(
        _ body: @Sendable (PostgresSession) async throws -> Value
    ) async throws -> Value {
        // Whoever has one gives it back within the time limit of a statement.
        while lent >= most { await withCheckedContinuation { waiting.append($0) } }
        lent += 1
        defer {
            lent -= 1
            if !waiting.isEmpty { waiting.removeFirst().resume() }
        }
        let session: PostgresSession
        if let last = idle.popLast() {
            session = last
        } else {
            session = try await PostgresSession.open(address, seconds: seconds)
        }
        do {
            let value = try await body(session)
            idle.append(session)
            return value
        } catch {
            if await session.isOpen() { idle.append(session) }
            throw error
        }
    }
}
