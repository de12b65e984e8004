import ArgumentParser
import Foundation
import RetortCore
import RetortMCP

/// `retort mcp`
struct MCPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mcp", abstract: "Offer a distilled agent to MCP clients, and try the servers of others.",
        discussion: """
            As a server, for any assistant, over standard input and output or over HTTP:

              retort mcp runs/quickstart
              retort mcp hotel-agent --http --port 8931

            As a client, to see what a server offers before a domain names it:

              retort mcp list -- uvx mcp-server-time
              retort mcp call get_current_time '{"timezone": "Europe/Berlin"}' -- uvx mcp-server-time
              retort mcp list --url http://127.0.0.1:8931/mcp
            """,
        subcommands: [MCPServeCommand.self, MCPListCommand.self, MCPCallCommand.self],
        defaultSubcommand: MCPServeCommand.self)
}

/// How `list` and `call` reach the server.
struct MCPServerOptions: ParsableArguments {
    @Option(help: "The server's address, of streamable HTTP.") var url: String?
    @Option(
        name: .customLong("header"), parsing: .singleValue,
        help: ArgumentHelp("A header for the address.", valueName: "name: value"))
    var headers: [String] = []
    @Option(
        name: .customLong("env"), parsing: .singleValue,
        help: ArgumentHelp(
            "A variable for the command, which otherwise gets HOME, PATH and few others.", valueName: "name=value"))
    var variables: [String] = []
    @Option(help: "Where the command starts.") var folder: String?
    @Option(help: "The longest a start or a call may take, in seconds.") var seconds = 60.0
    @Argument(parsing: .postTerminator, help: "The server's command, after --.") var command: [String] = []

    func validate() throws {
        guard command.isEmpty != (url == nil) else {
            throw ValidationError("name one server: a command after --, or an address with --url")
        }
        guard seconds > 0 else { throw ValidationError("--seconds must be above 0") }
        for header in headers where !header.contains(":") {
            throw ValidationError("--header must be 'NAME: VALUE', not '\(header)'")
        }
        for variable in variables where !variable.contains("=") {
            throw ValidationError("--env must be NAME=VALUE, not '\(variable)'")
        }
    }

    /// Runs work with the server, and ends the server.
    func with(_ body: (MCPClient) async throws -> Void) async throws {
        var limits = MCPOptions()
        (limits.startSeconds, limits.callSeconds) = (seconds, seconds)
        limits.longestCallSeconds = max(seconds, limits.longestCallSeconds)
        let client = MCPClient(url ?? command.first ?? "", place, options: limits)
        do {
            try await body(client)
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    private var place: MCPPlace {
        func pairs(_ texts: [String], _ separator: Character) -> [String: String] {
            let split = texts.map { $0.split(separator: separator, maxSplits: 1, omittingEmptySubsequences: false) }
            return Dictionary(
                split.map { (String($0[0]), $0[1].trimmingCharacters(in: .whitespaces)) }, uniquingKeysWith: { $1 })
        }
        if let url { return .http(MCPAddress(url, headers: pairs(headers, ":"))) }
        return .command(
            RetortMCP.MCPCommand(
                command.first ?? "", Array(command.dropFirst()), environment: pairs(variables, "="), folder: folder))
    }
}

/// `retort mcp list`
struct MCPListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show a server's tools as agents see them.")

    @OptionGroup var server: MCPServerOptions
    @Flag(help: "Also print each tool's schema.") var schemas = false

    func run() async throws {
        try await server.with { client in
            let information = try await client.start()
            print("\(information.name) \(information.serverVersion), protocol \(information.version)")
            for listing in try await client.listings() {
                do {
                    try show(try await client.tools(only: [listing.name]))
                } catch MCPError.unusableTool(_, let tool, let reason) {
                    print("\n\(tool): cannot be used: \(reason)")
                }
            }
        }
    }

    private func show(_ tools: [MCPTool]) throws {
        for tool in tools {
            let specification = tool.specification
            let head = specification.parameters.map { parameter in
                "\(parameter.name): \(parameter.typeText)\(parameter.isRequired ? "" : " = None")"
            }
            print("\n\(specification.name)(\(head.joined(separator: ", "))) -> \(specification.returns)")
            if !specification.summary.isEmpty { print("  \(specification.summary.replacing("\n", with: "\n  "))") }
            for parameter in specification.parameters where !parameter.summary.isEmpty {
                print("    \(parameter.name): \(parameter.summary)")
            }
            if schemas { print("  \(ExactJSON.text(tool.schema))") }
        }
    }
}

/// `retort mcp call`
struct MCPCallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "call", abstract: "Call a server's tool and print its result.",
        discussion: """
            The result is printed as agents get it: a text unchanged, anything else as JSON. Progress reports go to \
            standard error. A failure ends with code 1.

              retort mcp call convert_time '{"source_timezone": "UTC", "time": "12:00", "target_timezone": \
            "Asia/Tokyo"}' -- uvx mcp-server-time
            """)

    @Argument(help: "The tool's name, the server's or Python's.") var tool: String
    @Argument(help: "Its arguments, as a JSON object.") var arguments = "{}"
    @OptionGroup var server: MCPServerOptions

    func run() async throws {
        guard let members = try ExactJSON.value(of: arguments.utf8, marks: .asTheyAre).object else {
            throw ValidationError("the arguments must be a JSON object, not \(arguments)")
        }
        try await server.with { client in
            let listings = try await client.listings()
            let listed = listings.first { $0.name == tool }?.name
            let found = try await client.tools(only: listed.map { [$0] }).first {
                $0.listing.name == tool || $0.specification.name == tool
            }
            guard let found else {
                throw MCPError.unknownTool(server: client.name, tool: tool, known: listings.map(\.name))
            }
            let result = try await found.call(members) { word in
                let total = word.total.map { "/\($0)" } ?? ""
                FileHandle.standardError.write(Data("\(word.progress)\(total) \(word.message ?? "")\n".utf8))
            }
            print(result.string ?? ExactJSON.text(result, marks: .asTheyAre))
        }
    }
}
