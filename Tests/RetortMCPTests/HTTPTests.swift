import AsyncHTTPClient
import Foundation
import Glibc
import NIOCore
import RetortCore
import RetortMCP
import RetortProcesses
import ScriptedRetriever
import Testing

/// Both the client's way over HTTP, and what servers there do wrong.
@Suite("MCP client over HTTP")
struct HTTPTests {
    /// Runs the Python server for as long as `body` lasts.
    private func serving(_ body: (String) async throws -> Void) async throws {
        let script = URL(fileURLWithPath: ScriptedServer.script).deletingLastPathComponent()
            .appendingPathComponent("streamable.py").path
        let pipe = Pipe()
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin"
        let group = try ChildGroup(
            try ProgramSearch.find("python3", path: path), [script], environment: ["PATH=\(path)"],
            descriptors: [-1, pipe.fileHandleForWriting.fileDescriptor, -1])
        defer { group.signal(SIGKILL) }
        try pipe.fileHandleForWriting.close()
        let line = String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self)
        let port = try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines)))
        try await body("http://127.0.0.1:\(port)")
    }

    private func log(_ address: String) async throws -> [JSONValue] {
        let response = try await HTTPClient.shared.execute(
            HTTPClientRequest(url: "\(address)/log"), timeout: .seconds(20))
        let body = try await response.body.collect(upTo: 1 << 20)
        return try ExactJSON.value(of: body.readableBytesView)["log"]?.array ?? []
    }

    private func client(_ url: String, _ change: (inout MCPOptions) -> Void = { _ in }) -> MCPClient {
        var options = MCPOptions()
        change(&options)
        return MCPClient("h", .http(MCPAddress(url, headers: ["Authorization": "Bearer k"])), options: options)
    }

    @Test("a session: its name, the version and our headers go with each request, and it is ended")
    func session() async throws {
        try await serving { address in
            let client = client("\(address)/json")
            let text = try await client.call("echo", [:]).text
            #expect(text == "plain")
            await client.close()
            let log = try await log(address)
            #expect(log.allSatisfy { $0["key"] == "Bearer k" })
            #expect(log[0]["session"] == .null && log[0]["version"] == .null)
            let rest = log.dropFirst()
            #expect(rest.allSatisfy { $0["session"] == "s0" && $0["version"] == "2025-06-18" })
            #expect(log.last?["method"] == "DELETE")
        }
    }

    @Test("answers as events, with progress; a stream that breaks off is resumed after its last event")
    func events() async throws {
        try await serving { address in
            let words = Words()
            let streaming = client("\(address)/events")
            let text = try await streaming.call("echo", [:]) { words.add($0) }.text
            #expect(text == "events" && words.all.map(\.progress) == [1])
            await streaming.close()
            let resuming = client("\(address)/resume")
            let resumed = try await resuming.call("echo", [:]).text
            #expect(resumed == "resumed")
            await resuming.close()
            let places = try await log(address).filter { $0["path"] == "/resume" }.compactMap { $0["last"]?.string }
            #expect(places == ["1", "2", "3"])
        }
    }

    @Test("a session that the server forgot is begun anew, and the call made again")
    func forgotten() async throws {
        try await serving { address in
            let client = client("\(address)/forgets")
            let text = try await client.call("echo", [:]).text
            #expect(text == "plain")
            await client.close()
        }
    }

    @Test("when the server forgets a session, a call that it is still answering is not made twice")
    func forgottenMeanwhile() async throws {
        try await serving { address in
            let client = client("\(address)/forgets")
            async let slow = client.call("echo", ["slow": true]).text
            let quick = try await client.call("echo", ["after": true]).text
            #expect(try await (slow, quick) == ("slow", "plain"))
            await client.close()
            // Two introductions of two messages, the two calls, and the quick one again.
            #expect(try await log(address).count(where: { $0["method"] == "POST" }) == 7)
        }
    }

    @Test("what the server tells by itself is heard")
    func listening() async throws {
        try await serving { address in
            let client = client("\(address)/tells")
            _ = try await client.tools()
            for _ in 0..<3000 where await !client.hasChanged { try await Task.sleep(for: .milliseconds(10)) }
            #expect(await client.hasChanged)
            await client.close()
        }
    }

    @Test(
        "what goes wrong is told apart",
        arguments: [
            ("denies", "status 401: no key; it may want a header such as Authorization"),
            ("cut", "the stream ended before the answer was there"), ("html", "the type 'text/html'"),
            ("flood", "more than 1048576 bytes"), ("hang", "did not answer tools/call within 0.3 seconds"),
            ("wrong", "belongs to another request"), ("empty", "status 202 and nothing else"),
            ("fails", "status 500: the disk is full"),
        ])
    func faults(mode: String, text: String) async throws {
        try await serving { address in
            let client = client("\(address)/\(mode)") { options in
                options.maximumMessageBytes = 1 << 20
                if mode == "hang" { options.callSeconds = 0.3 }
            }
            let error = try #require(await error { try await client.call("echo", [:]) })
            #expect("\(error)".contains(text), "\(error)")
            await client.close()
        }
    }

    @Test("a server leads to no other: a redirect is told with its address, and no key goes there")
    func redirects() async throws {
        let other = try await ScriptedRetriever { _, _ in .answer(200, "{}") }
        let server = try await ScriptedRetriever { _, _ in .redirect("\(other.address)/mcp") }
        let error = try #require(await error { try await client("\(server.address)/mcp").start() })
        #expect("\(error)".contains("status 307") && "\(error)".contains("\(other.address)/mcp"), "\(error)")
        #expect(!server.requests.isEmpty && other.requests.isEmpty)
        try await server.close()
        try await other.close()
    }

    @Test("addresses that are none, and ones where nobody listens")
    func addresses() async throws {
        for (url, text) in [
            ("ftp://x/", "must be like http://"), ("x", "must be like http://"), ("http://", "must be like http://"),
            ("http://127.0.0.1:1/mcp", "cannot be reached"),
        ] {
            let error = try #require(await error { try await client(url).start() })
            #expect("\(error)".contains(text), "\(error)")
        }
    }
}
