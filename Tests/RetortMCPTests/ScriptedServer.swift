import Foundation
import RetortCore
import RetortMCP

/// The Python server of the tests, which behaves as its mode says.
enum ScriptedServer {
    static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Servers/scripted.py").path

    static func client(_ mode: String, _ change: (inout MCPOptions) -> Void = { _ in }) -> MCPClient {
        var options = MCPOptions()
        change(&options)
        return MCPClient(mode, .command(MCPCommand("python3", [script, mode])), options: options)
    }

    /// Does something with a server and ends it.
    static func with<Value: Sendable>(
        _ mode: String = "good", _ change: (inout MCPOptions) -> Void = { _ in },
        _ body: (MCPClient) async throws -> Value
    ) async throws -> Value {
        let client = client(mode, change)
        do {
            let value = try await body(client)
            await client.close()
            return value
        } catch {
            await client.close()
            throw error
        }
    }
}

extension MCPClient {
    /// The tool of that name, Python's.
    func tool(_ name: String) async throws -> MCPTool {
        let tools = try await tools()
        guard let tool = tools.first(where: { $0.specification.name == name }) else {
            throw MCPError.unknownTool(server: self.name, tool: name, known: tools.map(\.specification.name))
        }
        return tool
    }
}

/// The error that something throws; nil when it throws none.
func error<Value: Sendable>(of body: () async throws -> Value) async -> (any Error)? {
    do {
        _ = try await body()
        return nil
    } catch { return error }
}
