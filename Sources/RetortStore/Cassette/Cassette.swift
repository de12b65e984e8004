import Foundation
import GRDB
import RetortCore

/// Every reply of models and tools in a run, on tape: a run that was recorded can be repeated without either.
///
/// A reply is found by the whole of its request: for a model the chat, the settings and the seed; for a tool its name and
/// arguments. The interpreter is not on tape, for it computes the same again. While recording, a request that is on the
/// tape already is answered from it, so that a run that was killed goes on with the replies it had; only tools with effects
/// outside are asked anew.
///
/// ```swift
/// let cassette = try Cassette(folder.appendingPathComponent("cassette.sqlite"), .record)
/// let model = cassette.model(teacher.identity, teacher)
/// let tools = tools.map { cassette.tool($0) }
/// ```
public final class Cassette: Sendable {
    /// What is done about a request.
    public enum Mode: String, Codable, Sendable, CaseIterable {
        /// Asked once, and answered from the tape from then on.
        case record
        /// Answered from the tape; one that is not on it is an error.
        case replay
    }

    public let mode: Mode
    let path: String
    private let database: DatabaseQueue

    /// Opens a tape. One that is to be replayed must be there.
    /// - Throws: `CassetteError`.
    public init(_ file: URL, _ mode: Mode) throws {
        self.mode = mode
        path = file.path
        guard mode == .record || FileManager.default.fileExists(atPath: path) else {
            throw CassetteError.absent(file: path)
        }
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        configuration.readonly = mode == .replay
        if mode == .record { configuration.journalMode = .wal }
        do {
            database = try DatabaseQueue(path: path, configuration: configuration)
            guard mode == .record else { return }
            try database.write { database in
                try database.execute(
                    sql: """
                        CREATE TABLE IF NOT EXISTS reply (
                            hash INTEGER NOT NULL, occurrence INTEGER NOT NULL, speaker TEXT NOT NULL,
                            request TEXT NOT NULL, reply TEXT NOT NULL, failed BOOLEAN NOT NULL);
                        CREATE UNIQUE INDEX IF NOT EXISTS reply_request ON reply (hash, occurrence, request);
                        """)
            }
        } catch let error as DatabaseError {
            throw CassetteError.unreadable(file: path, reason: error.message ?? "\(error)")
        }
    }

    /// A model whose replies go through the tape.
    /// - Parameter inner: is asked what is not on the tape; nil for replaying alone.
    public func model(_ identity: String, _ inner: (any LanguageModel)?) -> some LanguageModel {
        CassetteModel(identity: identity, inner: inner, cassette: self)
    }

    /// A tool whose results go through the tape.
    public func tool(_ inner: any Tool) -> some Tool { CassetteTool(inner: inner, cassette: self) }

    /// How many replies are on the tape.
    public func count() async throws -> Int {
        try await using { database in
            try await database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM reply") ?? 0 }
        }
    }

    /// What is on the tape.
    struct Entry: Sendable {
        var text: String
        var isFailure: Bool
    }

    /// The reply to a request, or nil when it is not on the tape.
    /// - Parameter occurrence: which of several replies to the same request, from 0.
    func entry(_ request: String, occurrence: Int) async throws -> Entry? {
        try await using { database in
            try await database.read { database in
                try Row.fetchOne(
                    database,
                    sql: "SELECT reply, failed FROM reply WHERE hash = ? AND occurrence = ? AND request = ?",
                    arguments: [Self.hash(request), occurrence, request]
                ).map { Entry(text: $0["reply"], isFailure: $0["failed"]) }
            }
        }
    }

    /// Puts a reply on the tape. The first one stays, but a failure gives way.
    /// - Parameter occurrence: nil puts it behind all replies to the same request.
    func save(_ entry: Entry, to request: String, of speaker: String, occurrence: Int?) async throws {
        try await using { database in
            try await database.write { database in
                let next = try Int.fetchOne(
                    database, sql: "SELECT max(occurrence) + 1 FROM reply WHERE hash = ? AND request = ?",
                    arguments: [Self.hash(request), request])
                let occurrence = occurrence ?? next ?? 0
                try database.execute(
                    sql: """
                        INSERT INTO reply (hash, occurrence, speaker, request, reply, failed) VALUES (?, ?, ?, ?, ?, ?)
                        ON CONFLICT (hash, occurrence, request) DO UPDATE
                            SET reply = excluded.reply, failed = excluded.failed WHERE failed
                        """,
                    arguments: [Self.hash(request), occurrence, speaker, request, entry.text, entry.isFailure])
            }
        }
    }

    private static func hash(_ request: String) -> Int64 { Int64(bitPattern: StableHash.of(request)) }

    private func using<Value>(_ access: (DatabaseQueue) async throws -> Value) async throws -> Value {
        do {
            return try await access(database)
        } catch let error as DatabaseError {
            throw CassetteError.unreadable(file: path, reason: error.message ?? "\(error)")
        }
    }
}

/// A tape that cannot be used, or that lacks something.
public enum CassetteError: Error, CustomStringConvertible, RunHalting {
    case absent(file: String)
    case unreadable(file: String, reason: String)
    /// Nothing on the tape answers a request.
    case missing(file: String, speaker: String, request: String)
    /// What was recorded is that the request failed.
    case recordedFailure(String)

    /// A hole in the tape is no task's failure; a failure on it is.
    public var haltsRun: Bool {
        if case .recordedFailure = self { false } else { true }
    }

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .absent(let file): "\(file) is not there; record a cassette first"
        case .unreadable(let file, let reason): "the cassette \(file) cannot be used: \(reason)"
        case .missing(let file, let speaker, let request):
            "the cassette \(file) holds no reply of \(speaker) to this request: \(request); "
                + "record it with the mode 'record', or replay with the recipe, seed and version it was recorded with"
        case .recordedFailure(let reason): reason
        }
    }
}
