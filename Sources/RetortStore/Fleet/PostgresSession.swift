import CPostgres
import Foundation

/// A session with a PostgreSQL server: one statement after the other, outside the threads of Swift's tasks.
final class PostgresSession: Sendable {
    /// Why a statement, or opening a session, failed.
    struct Failure: Error {
        /// The server's SQLSTATE; empty where the session was lost or the time ran out.
        let state: String
        let reason: String
    }

    typealias Rows = [[String?]]

    private let queue: DispatchQueue
    /// Used on the queue only.
    private nonisolated(unsafe) let session: OpaquePointer
    /// The server's place and the user, without any password.
    let place: String

    /// Why this build has no PostgreSQL; nil where it has.
    static var refusal: String? {
        let reason = String(cString: cp_refusal())
        return reason.isEmpty ? nil : reason
    }

    private init(_ session: OpaquePointer, _ queue: DispatchQueue) {
        (self.session, self.queue) = (session, queue)
        place = String(cString: cp_place(session))
    }

    deinit {
        nonisolated(unsafe) let session = session
        queue.async { cp_close(session) }
    }

    /// Opens a session.
    /// - Throws: `Failure`.
    static func open(_ address: String, seconds: Double) async throws -> PostgresSession {
        let queue = DispatchQueue(label: "retort.postgres")
        return try await withCheckedThrowingContinuation { continuation in
            queue.async {
                guard let session = cp_open(address, milliseconds(seconds)) else {
                    return continuation.resume(throwing: lastFailure())
                }
                continuation.resume(returning: PostgresSession(session, queue))
            }
        }
    }

    /// Executes a statement.
    /// - Parameter values: the values of `$1`, `$2`, …; nil is null. Without values, several statements may be given,
    ///   which form one transaction.
    /// - Returns: the rows, each value as text.
    /// - Throws: `Failure`.
    func rows(_ statement: String, _ values: [String?], seconds: Double) async throws -> Rows {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { [self] in
                continuation.resume(with: Result { try Self.ask(session, statement, values, seconds) })
            }
        }
    }

    /// Whether the session can still be used.
    func isOpen() async -> Bool {
        await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: cp_is_open(session)) }
        }
    }

    private static func ask(
        _ session: OpaquePointer, _ statement: String, _ values: [String?], _ seconds: Double
    ) throws -> Rows {
        let copies = values.map { $0.flatMap { strdup($0) } }
        defer { for copy in copies { free(copy) } }
        let pointers = copies.map { $0.map { UnsafePointer($0) } }
        guard let found = cp_do(session, statement, Int32(values.count), pointers, milliseconds(seconds)) else {
            throw lastFailure()
        }
        defer { cp_free(found) }
        return (0..<cp_row_count(found)).map { row in
            (0..<cp_column_count(found)).map { column in cp_value(found, row, column).map { String(cString: $0) } }
        }
    }

    private static func lastFailure() -> Failure {
        Failure(state: String(cString: cp_state()), reason: String(cString: cp_error()))
    }

    private static func milliseconds(_ seconds: Double) -> Int32 { Int32(min(seconds * 1000, 1e9)) }
}

extension PostgresSession.Failure {
    /// Whether the same statement may succeed later: the session was lost, the server restarts or has too many
    /// sessions, or two transactions conflicted.
    var mayPass: Bool {
        guard !state.isEmpty else { return !isRefusal }
        return ["08", "57P"].contains { state.hasPrefix($0) } || ["40001", "40P01", "53300", "25006"].contains(state)
    }

    /// Whether the server answered, but refused the connection: libpq gives no SQLSTATE for these cases.
    private var isRefusal: Bool {
        let passing = ["starting up", "shutting down", "recovery", "too many", "reserved", "not yet accepting"]
        let isTold = reason.contains("FATAL") && !passing.contains { reason.contains($0) }
        return isTold && !reason.contains("terminating connection")
    }
}
