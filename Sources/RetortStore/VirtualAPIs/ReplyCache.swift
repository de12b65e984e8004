import Foundation
import GRDB
import RetortAgents
import RetortCore

/// Caches the replies of virtual APIs, so that a run sees the same world again: in an SQLite file, and after it,
/// read-only, in a cache folder of StableToolBench (`category/tool/api.json`).
public struct ReplyCache: VirtualAPIs {
    private let database: DatabaseQueue
    private let path: String
    private let published: URL?
    private let source: any VirtualAPIs

    /// How many earlier replies are shown to a model that imitates a function.
    private static let exampleCount = 5

    /// - Parameters:
    ///   - file: is created when it does not exist; nil keeps replies in memory only.
    ///   - published: a cache folder of StableToolBench; nil for none.
    ///   - source: makes the APIs that are asked when a reply is not cached.
    /// - Throws: `StoreError` for a file that is something else.
    public init(_ file: URL?, published: URL? = nil, before source: (Examples) -> any VirtualAPIs) throws {
        path = file?.path ?? ":memory:"
        self.published = published
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)
        do {
            let database =
                try file.map { try DatabaseQueue(path: $0.path, configuration: configuration) } ?? DatabaseQueue()
            var migrator = DatabaseMigrator()
            migrator.registerMigration("replies1") { database in
                try database.create(table: "reply") { table in
                    table.column("category", .text).notNull()
                    table.column("tool", .text).notNull()
                    table.column("api", .text).notNull()
                    table.column("input", .text).notNull()
                    table.column("reply", .text).notNull()
                    table.primaryKey(["category", "tool", "api", "input"])
                }
            }
            try migrator.migrate(database)
            self.database = database
            self.source = source(Examples(database: database, published: published))
        } catch let error as DatabaseError {
            throw StoreError.of(error, file: path)
        }
    }

    /// Earlier replies of a function, the first ones cached.
    public struct Examples: Sendable {
        let database: DatabaseQueue
        let published: URL?

        /// Up to five replies with their inputs: cached ones first, then published ones.
        /// - Throws: SQLite's errors, and decoding errors of a damaged reply.
        public func callAsFunction(_ name: VirtualAPIName) async throws -> [(input: JSONValue, reply: VirtualReply)] {
            let rows = try await database.read { database in
                try Row.fetchAll(
                    database,
                    sql: """
                        SELECT input, reply FROM reply WHERE category = ? AND tool = ? AND api = ? ORDER BY rowid
                        LIMIT \(ReplyCache.exampleCount)
                        """, arguments: [name.category, name.tool, name.api]
                ).map { (input: $0["input"] as String, reply: $0["reply"] as String) }
            }
            let own = try rows.map {
                (
                    input: try ExactJSON.value(of: $0.input),
                    reply: try ExactJSON.decode(VirtualReply.self, from: $0.reply.utf8)
                )
            }
            return own + PublishedReplies.of(name, in: published).prefix(ReplyCache.exampleCount - own.count)
        }
    }

    /// The cached reply, or the source's, which is then cached unless it is an error.
    public func reply(to call: VirtualCall) async throws -> VirtualReply {
        guard let arguments = call.arguments else { return try await source.reply(to: call) }
        let name = VirtualAPIName(call)
        let input = JSONValue.object(arguments)
        if let known = try await remembered(name, input) { return known }
        if let published = PublishedReplies.of(name, in: published).first(where: { $0.input == input })?.reply {
            return published
        }
        let reply = try await source.reply(to: call)
        if reply.error.isEmpty { try await remember(reply, name, input) }
        return reply
    }

    /// The number of replies cached in the database.
    public func count() async throws -> Int {
        try await database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM reply") ?? 0 }
    }

    private func remembered(_ name: VirtualAPIName, _ input: JSONValue) async throws -> VirtualReply? {
        let text = try await database.read { database in
            try String.fetchOne(
                database, sql: "SELECT reply FROM reply WHERE category = ? AND tool = ? AND api = ? AND input = ?",
                arguments: [name.category, name.tool, name.api, input.jsonText])
        }
        return try text.map { try ExactJSON.decode(VirtualReply.self, from: $0.utf8) }
    }

    /// The first reply is kept: two simultaneous calls must not see two worlds.
    private func remember(_ reply: VirtualReply, _ name: VirtualAPIName, _ input: JSONValue) async throws {
        try await database.write { database in
            try database.execute(
                sql: "INSERT OR IGNORE INTO reply (category, tool, api, input, reply) VALUES (?, ?, ?, ?, ?)",
                arguments: [name.category, name.tool, name.api, input.jsonText, reply.json.jsonText])
        }
    }
}

/// StableToolBench's cache files: `{"str(input)": {"error", "response"}}`, with the input as Python writes it.
enum PublishedReplies {
    static func of(_ name: VirtualAPIName, in folder: URL?) -> [(input: JSONValue, reply: VirtualReply)] {
        // A name that is a path would lead outside the folder.
        let parts = [name.category, name.tool, name.api]
        guard let folder, !parts.contains(where: { $0.isEmpty || $0.hasPrefix(".") || $0.contains("/") }) else {
            return []
        }
        for tool in ["\(name.tool)_for_\(name.category)", name.tool] {
            let file = folder.appendingPathComponent("\(name.category)/\(tool)/\(name.api).json")
            guard let data = try? Data(contentsOf: file), let records = try? ExactJSON.value(of: data).object else {
                continue
            }
            return records.sorted { $0.key < $1.key }.compactMap { key, value in
                guard let input = PythonText.value(of: key), let response = value["response"] else { return nil }
                return (input, VirtualReply(error: value["error"]?.string ?? "", response: response))
            }
        }
        return []
    }
}
