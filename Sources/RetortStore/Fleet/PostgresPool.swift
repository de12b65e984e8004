import RetortCore

/// A few sessions with one server, opened when they are first needed and used by one caller at a time.
actor PostgresPool {
    private let address: String
    private let most: Int
    private let seconds: Double
    private var idle: [PostgresSession] = []
    private var lent = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// - Parameters:
    ///   - most: the most sessions at the same time.
    ///   - seconds: the longest time for opening one.
    init(_ address: String, most: Int, seconds: Double) {
        (self.address, self.most, self.seconds) = (address, most, seconds)
    }

    /// Runs the body with a session. A broken session is not used again.
    /// - Throws: what the body throws; `PostgresSession.Failure` when no session can be opened.
    func with<Value: Sendable>(
        _ body: @Sendable (PostgresSession) async throws -> Value
    ) async throws -> Value {
        // Every user of a session returns it within the time limit of a statement.
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
