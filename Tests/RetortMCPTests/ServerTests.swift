import Foundation
import Glibc
import RetortCore
import Synchronization
import Testing

@testable import RetortMCP

/// A transport that a test holds both ends of.
private final class ScriptedTransport: MCPTransport {
    let mail = Mailbox<MCPArrival>(limit: 100)
    let answer: @Sendable (JSONRPCMessage, ScriptedTransport) async -> Void
    let isClosed = Mutex(false)

    init(_ answer: @escaping @Sendable (JSONRPCMessage, ScriptedTransport) async -> Void) { self.answer = answer }

    func send(_ message: JSONRPCMessage) async throws { await answer(message, self) }
    func receive() async throws -> MCPArrival {
        guard let next = await mail.take() else { throw MCPError.closed(server: "scripted") }
        return next
    }
    func close() async {
        isClosed.withLock { $0 = true }
        mail.close()
    }

    /// A client of a server in this process.
    static func client(of server: MCPServer, _ options: MCPOptions = MCPOptions()) -> MCPClient {
        MCPClient(
            "near",
            .transport {
                let session = MCPServerSession(server)
                return ScriptedTransport { message, transport in
                    guard let work = session.take(message) else { return }
                    Task { await work { await transport.mail.put(.message($0)) } }
                }
            }, options: options)
    }
}

// snippet: A server's tool
private let echo = MCPServerTool(
    name: "echo", summary: "Gives back.",
    inputSchema: ["type": "object", "properties": ["x": ["type": "integer"]], "required": ["x"]]
) { arguments, reporter in
    for number in 1...3 { await reporter.report(MCPProgress(progress: Double(number), total: 3)) }
    if arguments["x"] == 13 { throw MCPToolFailure(tool: "echo", message: "unlucky") }
    return .text("x", structured: .object(arguments))
}
// end snippet

private func hang(_ ended: @escaping @Sendable () -> Void) -> MCPServerTool {
    MCPServerTool(name: "hang", summary: "", inputSchema: ["type": "object"]) { _, _ in
        defer { ended() }
        try await Task.sleep(for: .seconds(600))
        return .text("late")
    }
}

/// Messages as they are sent.
private final class Sent: Sendable {
    private let messages = Mutex<[JSONRPCMessage]>([])
    func add(_ message: JSONRPCMessage) { messages.withLock { $0.append(message) } }
    var all: [JSONRPCMessage] { messages.withLock { $0 } }
}

@Suite("MCP server")
struct ServerTests {
    @Test("our client and our server understand each other")
    func both() async throws {
        let server = try MCPServer(name: "shop", instructions: "Be kind.", tools: [echo])
        let client = ScriptedTransport.client(of: server)
        let information = try await client.start()
        #expect(
            information.name == "shop" && information.instructions == "Be kind." && information.version == "2025-11-25")
        let words = Words()
        let tool = try await client.tool("echo")
        let value = try await tool.call(["x": 7]) { words.add($0) }
        #expect(value == ["x": 7])
        #expect(words.all.map(\.progress) == [1, 2, 3])
        let failure = await error { try await tool.call(["x": 13]) }
        #expect(failure as? MCPToolFailure == MCPToolFailure(tool: "echo", message: "unlucky"))
        let wrong = try await client.call("echo", ["x": "seven"])
        #expect(wrong.isError && wrong.text == "echo: 'x' must be a whole number")
        let unknown = try #require(await error { try await client.call("gone", [:]) })
        #expect("\(unknown)".contains("there is no tool \"gone\"; there is echo"))
        await client.close()
    }

    @Test("a call that is taken back ends, and gets no answer")
    func cancellation() async throws {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        let session = MCPServerSession(try MCPServer(name: "x", tools: [hang { end.yield() }]))
        let sent = Sent()
        func take(_ text: String) async throws {
            let message = try JSONRPCMessage(try ExactJSON.value(of: text))
            if let work = session.take(message) { await work { sent.add($0) } }
        }
        try await take(#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05"}}"#)
        let call = try JSONRPCMessage(
            try ExactJSON.value(of: #"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"hang"}}"#))
        let work = try #require(session.take(call))
        let running = Task { await work { sent.add($0) } }
        try await take(#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#)
        await running.value
        _ = ends
        #expect(sent.all.count == 1)
    }

    @Test(
        "requests that make no sense are refused by name",
        arguments: [
            (#"{"method":"tools/list"}"#, -32600), (#"{"method":"initialize"}"#, -32602),
            (#"{"method":"prompts/list"}"#, -32601), (#"{"method":"tools/call","params":{"name":"echo"}}"#, -32600),
        ])
    func refusals(text: String, code: Int) async throws {
        let session = MCPServerSession(try MCPServer(name: "x", tools: [echo]))
        var members = try #require(try ExactJSON.value(of: text).object)
        members["jsonrpc"] = "2.0"
        members["id"] = 1
        let work = try #require(session.take(try JSONRPCMessage(.object(members))))
        let sent = Sent()
        await work { sent.add($0) }
        guard case .failure(_, let error) = sent.all.first else {
            Issue.record("no failure")
            return
        }
        #expect(error.code == code)
    }

    @Test("tools that cannot be offered are named")
    func badTools() {
        func tool(_ name: String, _ schema: JSONValue = ["type": "object"]) -> MCPServerTool {
            MCPServerTool(name: name, summary: "", inputSchema: schema) { _, _ in .text("") }
        }
        #expect(throws: MCPServerError.twice("a")) { try MCPServer(name: "x", tools: [tool("a"), tool("a")]) }
        #expect(throws: MCPServerError.badName("a b")) { try MCPServer(name: "x", tools: [tool("a b")]) }
        #expect(throws: MCPServerError.self) {
            try MCPServer(name: "x", tools: [tool("a", ["type": "object", "minProperties": 2])])
        }
    }

    /// Serves what a text asks and gives the lines that come back.
    private func serve(_ input: String, _ limits: MCPServer.Limits = .init()) async throws -> [JSONValue] {
        let (asked, answered) = (Pipe(), Pipe())
        let server = try MCPServer(name: "x", tools: [echo], limits: limits)
        let writing = asked.fileHandleForWriting
        DispatchQueue.global().async {
            try? writing.write(contentsOf: Data(input.utf8))
            try? writing.close()
        }
        let work = Task {
            try await MCPStdioServer(
                server, input: asked.fileHandleForReading.fileDescriptor,
                output: dup(answered.fileHandleForWriting.fileDescriptor)
            ).run()
        }
        let result = await work.result
        try answered.fileHandleForWriting.close()
        let data = try answered.fileHandleForReading.readToEnd() ?? Data()
        withExtendedLifetime(asked) {}
        try result.get()
        return try data.split(separator: UInt8(ascii: "\n")).map { try ExactJSON.value(of: $0) }
    }

    @Test("over stdio: what is no message is answered with an error, and the rest goes on")
    func stdio() async throws {
        let lines = try await serve(
            """
            nonsense
            [1, {"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}]

            {"jsonrpc":"2.0","method":"notifications/initialized"}
            {"jsonrpc":"2.0","id":{},"method":"ping"}
            {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"x":1}}}
            """)
        let codes = lines.compactMap { $0["error"]?["code"] }
        #expect(codes.count == 3 && codes.contains(-32700) && codes.filter { $0 == -32600 }.count == 2)
        let call = lines.first { $0["id"] == 2 }
        #expect(call?["result"]?["structuredContent"] == ["x": 1])
        let introduction = lines.first { $0["id"] == 1 }
        #expect(introduction?["result"]?["protocolVersion"] == "2025-03-26")
    }

    @Test("over stdio: a message that is too long ends the connection")
    func flood() async throws {
        var limits = MCPServer.Limits()
        limits.maximumMessageBytes = 1000
        await #expect(throws: MCPServerError.tooLong(limit: 1000)) {
            try await serve(String(repeating: "x", count: 5000), limits)
        }
    }

    // MARK: HTTP

    private func ask(
        _ handler: MCPHTTPHandler, _ method: String = "POST", _ headers: [String: String] = [:], _ body: String = ""
    ) async -> (status: Int, headers: [String: String], body: String) {
        let all = ["content-type": "application/json"].merging(headers) { $1 }
        switch await handler.answer(method: method, header: { all[$0] }, body: Array(body.utf8)) {
        case .plain(let status, let headers, let body):
            return (status, Dictionary(headers.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 }), body ?? "")
        case .events(let events):
            var lines: [String] = []
            for await event in events { lines.append(event) }
            return (200, ["content-type": "text/event-stream"], lines.joined(separator: "\n"))
        }
    }

    private static let hello =
        #"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#
    private static let call =
        #"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"x":1},"_meta":{"progressToken":5}}}"#

    @Test("over HTTP: sessions begin, call, and end")
    func http() async throws {
        let handler = MCPHTTPHandler(try MCPServer(name: "x", tools: [echo]))
        let hello = await ask(handler, "POST", [:], Self.hello)
        let session = try #require(hello.headers["mcp-session-id"])
        let headers = ["mcp-session-id": session, "mcp-protocol-version": "2025-11-25"]
        let told = await ask(handler, "POST", headers, #"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
        #expect(told.status == 202 && told.body.isEmpty)
        let plain = await ask(handler, "POST", headers, Self.call)
        #expect(
            plain.headers["content-type"] == "application/json" && plain.body.contains(#""structuredContent":{"x":1}"#))
        let accepting = headers.merging(["accept": "application/json, text/event-stream"]) { $1 }
        let events = await ask(handler, "POST", accepting, Self.call).body.split(separator: "\n")
        #expect(
            events.count == 4 && events[0].contains("notifications/progress") && events[3].contains("structuredContent")
        )
        let listening = await ask(handler, "GET", headers)
        #expect(listening.status == 405)
        let ended = await ask(handler, "DELETE", headers)
        #expect(ended.status == 204)
        let lost = await ask(handler, "POST", headers, Self.call)
        #expect(lost.status == 404)
    }

    @Test(
        "over HTTP: strangers and nonsense are refused",
        arguments: [
            (["origin": "https://evil.example"], 403), (["origin": "http://localhost.evil.example"], 403),
            (["origin": "null"], 403), (["origin": "http://[::1]evil"], 403),
            (["origin": "http://localhost:3000"], 200),
            (["origin": "http://[::1]:80"], 200), (["content-type": "text/plain"], 415),
            (["mcp-protocol-version": "1999-01-01"], 400), ([:], 200),
        ] as [([String: String], Int)])
    func strangers(headers: [String: String], status: Int) async throws {
        let handler = MCPHTTPHandler(try MCPServer(name: "x", tools: [echo]))
        let answer = await ask(handler, "POST", headers, Self.hello)
        #expect(answer.status == status)
        let garbage = await ask(handler, "POST", [:], "{")
        #expect(garbage.status == 400 && garbage.body.contains("-32700"))
        let unnamed = await ask(handler, "POST", [:], Self.call)
        #expect(unnamed.status == 400)
    }

    @Test("over HTTP: sessions are bounded, and idle ones make room")
    func bounds() async throws {
        var limits = MCPServer.Limits()
        limits.maximumSessions = 2
        let handler = MCPHTTPHandler(try MCPServer(name: "x", tools: [echo], limits: limits))
        var statuses: [Int] = []
        for _ in 0..<3 { statuses.append(await ask(handler, "POST", [:], Self.hello).status) }
        #expect(statuses == [200, 200, 503])
        limits.idleSeconds = -1
        let forgetful = MCPHTTPHandler(try MCPServer(name: "x", tools: [echo], limits: limits))
        statuses = []
        for _ in 0..<3 { statuses.append(await ask(forgetful, "POST", [:], Self.hello).status) }
        #expect(statuses == [200, 200, 200])
    }
}
