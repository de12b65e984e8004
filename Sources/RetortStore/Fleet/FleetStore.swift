import Foundation
import RetortCore

/// A PostgreSQL database that a run's processes share: the open tasks, who works on which, and their results.
///
/// Every statement is a transaction of its own and may be repeated: a commit whose reply was lost is recognised. All
/// times are the server's, so the clocks of the hosts do not matter. The store waits for a server that restarts, or a
/// network that is interrupted.
///
/// ```swift
/// let store = try await FleetStore("postgresql://retort@db/fleet")
/// for claim in try await store.claim(8, in: part, by: "host:1", lease: 60) { … }
/// ```
public final class FleetStore: Sendable {
    /// Its name in messages: the address without user and password.
    public let name: String
    private let pool: PostgresPool
    /// How long to wait for a server that does not answer, in seconds.
    private let patience: Double

    /// The longest time for a statement, or for opening a session, in seconds.
    private static let statementSeconds = 60.0
    private static let openingSeconds = 10.0

    /// Opens a store, and creates its tables where there are none.
    /// - Parameters:
    ///   - address: `postgresql://USER@HOST:PORT/DATABASE`, or a socket's folder as `?host=/folder`.
    ///   - sessions: the most sessions with the server.
    ///   - patience: how long to wait later for a server that does not answer, in seconds.
    ///   - opening: how long to try to open the first session, in seconds.
    /// - Throws: `FleetError`.
    public init(_ address: String, sessions: Int = 4, patience: Double = 600, opening: Double = 10) async throws {
        guard ["postgresql://", "postgres://"].contains(where: address.hasPrefix) else {
            throw FleetError.address(Self.shown(address))
        }
        if let refusal = PostgresSession.refusal { throw FleetError.noPostgres(refusal) }
        name = Self.shown(address)
        pool = PostgresPool(address, most: sessions, seconds: Self.openingSeconds)
        self.patience = patience
        try await prepare(patience: opening)
    }

    /// An address without user, password and options.
    static func shown(_ address: String) -> String {
        guard let scheme = address.range(of: "://") else { return address }
        let rest = address[scheme.upperBound...].prefix { $0 != "?" }
        let place = rest.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        return "\(address[..<scheme.upperBound])\(place)"
    }

    /// Executes a statement, repeatedly while the server cannot be reached.
    /// - Throws: `FleetError`, `CancellationError`.
    func rows(_ statement: String, _ values: [String?] = [], patience: Double? = nil) async throws -> [FleetRow] {
        let end = ContinuousClock.now + .seconds(patience ?? self.patience)
        var pause = 0.05
        while true {
            try Task.checkCancellation()
            do {
                return try await pool.with { session in
                    try await session.rows(statement, values, seconds: Self.statementSeconds)
                }.map { FleetRow(values: $0) }
            } catch let failure as PostgresSession.Failure {
                guard failure.mayPass, ContinuousClock.now < end else { throw error(failure) }
            }
            try await Task.sleep(for: .seconds(pause * Double.random(in: 0.5...1)))
            pause = min(pause * 2, 2)
        }
    }

    /// The number of rows that a statement returned.
    func count(_ statement: String, _ values: [String?]) async throws -> Int {
        try await rows(statement, values).count
    }

    private func error(_ failure: PostgresSession.Failure) -> FleetError {
        switch failure.state {
        case "":
            failure.mayPass
                ? .unreachable(store: name, reason: failure.text) : .refused(store: name, reason: failure.text)
        case "42501": .noRights(store: name, reason: failure.text)
        case "25006": .noRights(store: name, reason: "the server takes nothing: \(failure.text)")
        case let state where failure.mayPass: .unreachable(store: name, reason: "\(failure.text) (\(state))")
        case let state: .failed(store: name, state: state, reason: failure.text)
        }
    }
}

extension PostgresSession.Failure {
    /// The reason on one line.
    fileprivate var text: String { reason.split(whereSeparator: \.isNewline).joined(separator: "; ") }
}

/// A row of values as text.
struct FleetRow: Sendable {
    let values: [String?]

    subscript(column: Int) -> String { values[column] ?? "" }
    func integer(_ column: Int) -> Int { Int(self[column]) ?? 0 }
    func number(_ column: Int) -> Double { Double(self[column]) ?? 0 }
    func flag(_ column: Int) -> Bool { self[column] == "t" }
}
