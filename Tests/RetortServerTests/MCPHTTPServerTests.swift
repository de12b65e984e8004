import AsyncHTTPClient
import Foundation
import NIOCore
import RetortCore
import RetortMCP
import RetortServer
import Synchronization
import Testing

/// Counts words of progress.
private final class Words: Sendable {
    private let number = Mutex(0)
    func add() { number.withLock { $0 += 1 } }
    var count: Int { number.withLock { $0 } }
}

@Suite("MCP over HTTP")
struct MCPHTTPServerTests {
    private static let double = MCPServerTool(
        name: "double", summary: "Twice as much.",
        inputSchema: ["type": "object", "properties": ["x": ["type": "integer"]], "required": ["x"]]
    ) { arguments, reporter in
        for number in 1...3 { await reporter.report(MCPProgress(progress: Double(number))) }
        guard case .integer(let x) = arguments["x"] else { return .failure("no number") }
        return .text("\(2 * x)", structured: ["result": .integer(2 * x)])
    }

    /// Runs a server on a free port for as long as `body` lasts.
    private func serving(_ body: (String) async throws -> Void) async throws {
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let server = MCPHTTPServer(try MCPServer(name: "x", tools: [Self.double]), port: 0) {
            continuation.yield($0)
        }
        let work = Task {
            defer { continuation.finish() }
            try await server.run()
        }
        defer { work.cancel() }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        try await body("http://127.0.0.1:\(port)/mcp")
    }

    @Test("our client and our server understand each other, with progress")
    func both() async throws {
        try await serving { address in
            let client = MCPClient("near", .http(MCPAddress(address)))
            let words = Words()
            let result = try await client.call("double", ["x": 21]) { _ in words.add() }
            #expect(result.structured == ["result": 42] && words.count == 3)
            await client.close()
        }
    }

    @Test(
        "strangers are refused: other names, pages of elsewhere, undeclared bodies",
        arguments: [
            ("Host", "evil.example", 421), ("Origin", "https://evil.example", 403), ("Content-Type", "text/plain", 415),
            ("Origin", "http://localhost:3000", 200),
        ])
    func strangers(name: String, value: String, status: UInt) async throws {
        try await serving { address in
            var request = HTTPClientRequest(url: address)
            request.method = .POST
            request.headers = ["Content-Type": "application/json"]
            request.headers.replaceOrAdd(name: name, value: value)
            request.body = .bytes(
                ByteBuffer(
                    string: #"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#
                ))
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
            #expect(response.status.code == status)
        }
    }
}
