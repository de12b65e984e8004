import RetortCore
import Synchronization

/// A client of one server's tools (Model Context Protocol 2025-11-25 and the three versions before it).
///
/// ```swift
/// let client = MCPClient("time", .command(MCPCommand("uvx", ["mcp-server-time"])))
/// let tools = try await client.tools()
/// let now = try await tools[0].call(["timezone": "Europe/Berlin"])
/// await client.close()
/// ```
///
/// The server is started when it is first needed. A server that died is started again for the next call, a limited
/// number of times in a row; the call during which it died fails, because nobody knows what it had done by then.
/// Every wait has a limit. Releasing a client without `close` also ends its server.
public actor MCPClient {
    /// The name that the user gave the server; errors mention it.
    public nonisolated let name: String
    private let place: MCPPlace
    private let options: MCPOptions
    private var connection: MCPConnection?
    private var server: MCPServerInformation?
    private var starting: Task<(MCPConnection, MCPServerInformation), any Error>?
    /// How often the server was started since it last answered a call.
    private var starts = 0
    private var lastEnding = ""
    private var isClosed = false
    private var listings: (list: [MCPListing], change: Int)?
    private let changes = Changes()

    /// Counts how often the server said that its tools have changed.
    private final class Changes: Sendable {
        let count = Atomic(0)
    }

    /// - Parameters:
    ///   - name: the name of the server in errors.
    ///   - place: how the server is reached.
    public init(_ name: String, _ place: MCPPlace, options: MCPOptions = MCPOptions()) {
        self.name = name
        self.place = place
        self.options = options
    }

    deinit {
        guard let connection else { return }
        Task { await connection.close() }
    }

    /// Starts the server unless it is running.
    /// - Returns: the server's introduction.
    /// - Throws: `MCPError`.
    @discardableResult
    public func start() async throws -> MCPServerInformation { try await open().1 }

    /// Checks that the server answers.
    /// - Throws: `MCPError`.
    public func ping() async throws {
        let (connection, _) = try await open()
        _ = try await connection.request(
            "ping", [:], seconds: options.startSeconds, longest: options.startSeconds)
    }

    /// Ends the connection, and the server's process if this client started it.
    public func close() async {
        isClosed = true
        starting?.cancel()
        let ended = connection
        connection = nil
        await ended?.close()
    }

    // MARK: Tools

    /// The server's own list of its tools. It is asked for again only when the server says that it has changed.
    /// - Throws: `MCPError`.
    public func listings() async throws -> [MCPListing] {
        let (connection, server) = try await open()
        let change = changes.count.load(ordering: .relaxed)
        if let listings, listings.change == change { return listings.list }
        guard server.offersTools else { throw MCPError.noTools(server: name) }
        let list = try await list(connection)
        listings = (list, change)
        return list
    }

    /// Whether the server's tools have changed since they were last asked for.
    public var hasChanged: Bool {
        listings.map { $0.change != changes.count.load(ordering: .relaxed) } ?? false
    }

    /// The server's tools.
    /// - Parameters:
    ///   - only: the server's names of the tools to take; nil takes all.
    ///   - effects: what repeating a call does, by the server's name of the tool; tools not named here are
    ///     `external`. The server's own hints about this are not trusted.
    /// - Throws: `MCPError.unusableTool` for a tool that cannot be expressed as a function (use `only` to leave it
    ///   out), and `MCPError.unknownTool` for a tool that is named here but that the server does not have.
    public func tools(
        only: [String]? = nil, effects: [String: ToolSpecification.Effect] = [:]
    ) async throws -> [MCPTool] {
        let listings = try await listings()
        let known = listings.map(\.name)
        for tool in (only ?? []) + effects.keys.sorted() where !known.contains(tool) {
            throw MCPError.unknownTool(server: name, tool: tool, known: known)
        }
        // Names must not depend on which tools are taken.
        return try zip(listings, PythonNames.names(for: known)).filter { only?.contains($0.0.name) ?? true }.map {
            try MCPTool($0, name: $1, effect: effects[$0.name] ?? .external, client: self)
        }
    }

    private func list(_ connection: MCPConnection) async throws -> [MCPListing] {
        var listings: [MCPListing] = []
        var cursors: Set<String> = []
        var cursor: String?
        repeat {
            let page = try await connection.request(
                "tools/list", cursor.map { ["cursor": .string($0)] } ?? [:], seconds: options.startSeconds,
                longest: options.startSeconds)
            guard let tools = page["tools"]?.array else { throw broken("tools/list gives no list of tools") }
            do throws(MCPListingFault) {
                for tool in tools { listings.append(try MCPListing(tool)) }
            } catch {
                throw broken(error.reason)
            }
            cursor = page["nextCursor"]?.string
            if let cursor, !cursors.insert(cursor).inserted { throw broken("tools/list gives one page over and over") }
            guard listings.count <= options.maximumTools, cursors.count <= options.maximumTools else {
                throw broken("it has more than \(options.maximumTools) tools")
            }
        } while cursor != nil
        let names = Dictionary(grouping: listings, by: \.name)
        if let twice = names.first(where: { $0.value.count > 1 }) {
            throw broken("two tools are called '\(twice.key)'")
        }
        return listings
    }

    /// Calls a tool by the server's own name, without checking the arguments.
    /// - Parameter progress: called with the server's progress reports, each of which extends the call's time.
    /// - Throws: `MCPError`, `CancellationError`; a failure that the tool itself reports is a result.
    public func call(
        _ tool: String, _ arguments: [String: JSONValue], progress: (@Sendable (MCPProgress) -> Void)? = nil
    ) async throws -> MCPResult {
        let params: [String: JSONValue] = ["name": .string(tool), "arguments": .object(arguments)]
        var answer: JSONValue
        do {
            answer = try await request("tools/call", params, progress)
        } catch MCPError.sessionLost {
            // The server says that it did not process the call.
            answer = try await request("tools/call", params, progress)
        }
        starts = 0
        guard let result = MCPResult(answer) else { throw broken("the result of '\(tool)' has no content") }
        return result
    }

    private func request(
        _ method: String, _ params: [String: JSONValue], _ progress: (@Sendable (MCPProgress) -> Void)?
    ) async throws -> JSONValue {
        try await open().0.request(
            method, params, seconds: options.callSeconds, longest: options.longestCallSeconds, progress: progress)
    }

    private func broken(_ reason: String) -> MCPError { .protocolBroken(server: name, reason: reason) }

    // MARK: Starting

    /// The current connection, or a new one if there is none.
    private func open() async throws -> (MCPConnection, MCPServerInformation) {
        guard !isClosed else { throw MCPError.closed(server: name) }
        if let connection, let server {
            guard let ending = connection.ending else { return (connection, server) }
            lastEnding = "\(ending)"
            self.connection = nil
        }
        let task = try starting ?? newStart()
        // Several callers may wait for the same start, and each may leave.
        let limit = options.startSeconds * 2 + options.closeSeconds + 5
        guard let opened = try await withDeadline(seconds: limit, grace: 0, { try await task.value }) else {
            throw MCPError.late(server: name, what: "the start", seconds: limit, remarks: "")
        }
        return opened
    }

    private func newStart() throws -> Task<(MCPConnection, MCPServerInformation), any Error> {
        guard starts < options.maximumStarts else {
            throw MCPError.tooManyStarts(server: name, starts: starts, last: lastEnding)
        }
        starts += 1
        let task = Task { [changes, name, place, options] in
            let result: Result<(MCPConnection, MCPServerInformation), any Error>
            do {
                result = .success(
                    try await Self.connect(name, place, options) {
                        changes.count.add(1, ordering: .relaxed)
                    })
            } catch {
                result = .failure(error)
            }
            return try await started(result)
        }
        starting = task
        return task
    }

    private func started(
        _ result: Result<(MCPConnection, MCPServerInformation), any Error>
    ) async throws -> (MCPConnection, MCPServerInformation) {
        starting = nil
        switch result {
        case .failure(let error):
            lastEnding = "\(error)"
            throw error
        case .success(let (opened, information)):
            guard !isClosed else {
                await opened.close()
                throw MCPError.closed(server: name)
            }
            // A restarted server may have other tools.
            if server != nil { changes.count.add(1, ordering: .relaxed) }
            (connection, server) = (opened, information)
            return (opened, information)
        }
    }

    private static func connect(
        _ name: String, _ place: MCPPlace, _ options: MCPOptions, listChanged: @escaping @Sendable () -> Void
    ) async throws -> (MCPConnection, MCPServerInformation) {
        let transport: any MCPTransport =
            switch place {
            case .command(let command): try StdioTransport(name, command, options)
            case .http(let address): try HTTPTransport(name, address, options)
            case .transport(let make): try await make()
            }
        let connection = MCPConnection(name, transport, options, listChanged: listChanged)
        do {
            return (connection, try await connection.introduce())
        } catch {
            let ending = connection.ending
            await connection.close()
            // A broken connection says more than the request that was pending when it broke.
            if let ending, !(error is CancellationError) { throw ending }
            throw error
        }
    }
}
