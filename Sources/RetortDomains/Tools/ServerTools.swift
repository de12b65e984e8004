import Foundation
import RetortCore
import RetortMCP

/// A server of the Model Context Protocol that answers for a domain's tools.
actor ServerTools: RunningTools {
    private let service: String
    private let client: MCPClient
    private let plan: DomainPlan.MCPServer
    /// The tools that agents were told of, by their names in Python.
    private let known: [String: MCPTool]
    private var tools: [String: MCPTool] = [:]
    private var told: Set<String>

    init(_ service: String, _ client: MCPClient, _ plan: DomainPlan.MCPServer, known: [MCPTool]) {
        (self.service, self.client, self.plan) = (service, client, plan)
        self.known = Dictionary(known.map { ($0.specification.name, $0) }, uniquingKeysWith: { first, _ in first })
        told = Set(known.map(\.listing.name))
    }

    func call(_ name: String, _ arguments: [String: JSONValue]) async throws -> JSONValue {
        do {
            try await look()
        } catch let error as MCPError {
            throw error.withoutCall(service)
        }
        guard let tool = tools[name] else { throw ToolError.unknownTool(name, known: tools.keys.sorted()) }
        do {
            return try await tool.call(arguments)
        } catch let error as MCPError {
            throw error.inCall(service, of: name)
        }
    }

    func close() async { await client.close() }

    /// Compares the server's tools with those that agents were told of, after a start or when the server reports a
    /// change.
    /// - Throws: `ToolServiceError.changed`, `MCPError`.
    private func look() async throws {
        let isNew = tools.isEmpty
        guard isNew ? true : await client.hasChanged else { return }
        let listings = try await client.listings()
        let now = Dictionary(listings.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let drift = known.values.sorted { $0.listing.name < $1.listing.name }.compactMap { tool -> String? in
            guard let other = now[tool.listing.name] else { return "'\(tool.listing.name)' is gone" }
            return tool.listing.differences(from: other)
        }
        guard drift.isEmpty else { throw ToolServiceError.changed(service: service, what: drift) }
        if plan.tools == nil { tell(listings.map(\.name)) }
        tools = Dictionary(
            try await client.tools(only: known.values.map(\.listing.name)).map { ($0.listing.name, $0) },
            uniquingKeysWith: { first, _ in first }
        ).reduce(into: [:]) { all, entry in
            // A new tool may have taken another one's Python name: agents keep the names that they were told.
            if let old = known.values.first(where: { $0.listing.name == entry.key }) {
                all[old.specification.name] = entry.value
            }
        }
    }

    /// Reports tools that were not there at first; agents do not get them.
    private func tell(_ names: [String]) {
        let new = names.filter { told.insert($0).inserted }
        guard !new.isEmpty else { return }
        let text = "\(service) now has \(new.joined(separator: ", "))\(new.count == 1 ? ", which" : ", which all")"
        FileHandle.standardError.write(Data("\(text) agents are not told of in this run\n".utf8))
    }
}

extension MCPListing {
    /// The differences, in words; nil for none.
    fileprivate func differences(from other: MCPListing) -> String? {
        var parts: [String] = []
        if summary != other.summary { parts.append("its description") }
        if inputSchema != other.inputSchema { parts.append("its parameters") }
        if outputSchema != other.outputSchema { parts.append("its result") }
        return parts.isEmpty ? nil : "'\(name)' has changed (\(parts.joined(separator: ", ")))"
    }
}

extension MCPError {
    /// A failure of a server before any call: it is not an agent's fault.
    fileprivate func withoutCall(_ service: String) -> ToolServiceError {
        switch self {
        case .unknownTool(_, let gone, _): .changed(service: service, what: ["'\(gone)' is gone"])
        case .unusableTool(_, let changed, let reason):
            .changed(service: service, what: ["'\(changed)' cannot be used any more (\(reason))"])
        default: .unavailable(service: service, reason: "\(self)")
        }
    }

    /// What an agent observes of a failed call, or what fails its run.
    fileprivate func inCall(_ service: String, of tool: String) -> ToolServiceError {
        switch self {
        case .cannotStart, .unreachable, .tooManyStarts, .closed, .badAddress, .unknownVersion, .noTools:
            .unavailable(service: service, reason: "\(self)")
        default: .failed(tool: tool, reason: "\(self)")
        }
    }
}

extension DomainPlan {
    /// Starts a server and asks for its tools.
    /// - Throws: `DomainError`, `MCPError`.
    func service(_ plan: MCPServer) async throws -> (ToolService, (any RunningTools)?) {
        let place = try place(of: plan)
        var options = MCPOptions()
        options.callSeconds = plan.seconds ?? options.callSeconds
        options.longestCallSeconds = max(options.longestCallSeconds, options.callSeconds)
        options.startSeconds = plan.startSeconds ?? options.startSeconds
        let limits = options
        let name = plan.title
        let client = MCPClient(name, place, options: limits)
        do {
            let server = try await client.start()
            let listed = Set(try await client.listings().map(\.name))
            var effects = plan.effects.filter { $0.key != "*" }
            if let usual = plan.effects["*"] {
                for tool in plan.tools ?? listed.sorted() where effects[tool] == nil { effects[tool] = usual }
            }
            let tools = try await client.tools(only: plan.tools, effects: effects)
            let service = "the MCP server '\(name)'"
            let said = "\(server.name) \(server.serverVersion), protocol \(server.version), \(plan.lifetime.words)"
            let start = { @Sendable (_: JSONValue?) async throws -> any RunningTools in
                ServerTools(service, MCPClient(name, place, options: limits), plan, known: tools)
            }
            let found = ToolService(
                name: service, lifetime: plan.lifetime, specifications: tools.map(\.specification), hasSetup: false,
                remark: "\(said), \(tools.count) of \(listed.count) tools", start: start)
            guard plan.lifetime == .run else {
                await client.close()
                return (found, nil)
            }
            return (found, ServerTools(service, client, plan, known: tools))
        } catch {
            await client.close()
            throw error
        }
    }

    private func place(of plan: MCPServer) throws -> MCPPlace {
        if let url = plan.url {
            return .http(MCPAddress(url, headers: try ExpandedVariables.of(plan.headers ?? [:], for: plan.title)))
        }
        return .command(
            MCPCommand(
                plan.command.first ?? "", Array(plan.command.dropFirst()),
                environment: try ExpandedVariables.of(plan.environment ?? [:], for: plan.title), folder: folder))
    }
}
