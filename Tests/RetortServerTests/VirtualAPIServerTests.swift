import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import RetortAgents
import RetortCore
import RetortRecipes
import RetortStore
import RetortTesting
import Testing

@testable import RetortServer

/// Replies with what it was asked; or never.
private struct EchoAPIs: VirtualAPIs {
    func reply(to call: VirtualCall) async throws -> VirtualReply {
        if call.api == "slow" { try await Task.sleep(for: .seconds(600)) }
        if call.api.contains("broken") { throw VirtualAPIError.unreadable("it") }
        guard let arguments = call.arguments else { return VirtualReply(error: "the input is not a JSON object") }
        return VirtualReply(response: ["api": .string(call.api), "arguments": .object(arguments)])
    }
}

@Suite("Server of virtual APIs")
struct VirtualAPIServerTests {
    /// Runs a server on a free port for as long as `body` lasts.
    private func serving(
        maximumRunning: Int = 8, seconds: Double = 30, keys: [String] = [],
        logger: Logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
        _ body: (String) async throws -> Void
    ) async throws {
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let server = VirtualAPIServer(
            EchoAPIs(), port: 0, maximumRunning: maximumRunning, seconds: seconds, keys: APIKeys(keys), logger: logger
        ) { continuation.yield($0) }
        let work = Task {
            defer { continuation.finish() }
            try await server.run()
        }
        defer { work.cancel() }
        var iterator = ports.makeAsyncIterator()
        let port = try #require(await iterator.next())
        try await body("http://127.0.0.1:\(port)")
    }

    private func post(
        _ address: String, _ body: String, headers: [(String, String)] = []
    ) async throws -> (status: UInt, reply: JSONValue) {
        var request = HTTPClientRequest(url: "\(address)/virtual")
        request.method = .POST
        request.headers = HTTPHeaders([("Content-Type", "application/json")] + headers)
        request.body = .bytes(ByteBuffer(string: body))
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(120))
        let bytes = try await response.body.collect(upTo: 1 << 20)
        return (response.status.code, try ExactJSON.value(of: bytes.readableBytesView))
    }

    @Test("our client and our server understand each other, values keep their types")
    func roundTrip() async throws {
        try await serving { address in
            let client = try VirtualAPIClient("\(address)/")
            let call = VirtualCall(category: "C", tool: "T", api: "find", input: ["x": 2.0, "y": ["é 🧪", .null]])
            let reply = try await client.reply(to: call)
            #expect(reply == VirtualReply(response: ["api": "find", "arguments": ["x": 2.0, "y": ["é 🧪", .null]]]))
        }
    }

    @Test("a page in a browser cannot ask without leave, whatever it sends and under whatever name")
    func strangers() async throws {
        try await serving { address in
            for (name, value, status) in [
                ("Content-Type", "text/plain", 415), ("Content-Type", "application/x-www-form-urlencoded", 415),
                ("Host", "evil.example", 421), ("Host", "localhost:9", 200),
            ] as [(String, String, UInt)] {
                var request = HTTPClientRequest(url: "\(address)/virtual")
                request.method = .POST
                request.headers = ["Content-Type": "application/json"]
                request.headers.replaceOrAdd(name: name, value: value)
                request.body = .bytes(
                    ByteBuffer(string: #"{"category":"C","tool_name":"T","api_name":"a","tool_input":{}}"#))
                let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
                #expect(response.status.code == status, "\(name): \(value)")
                let text = String(buffer: try await response.body.collect(upTo: 1 << 20))
                #expect(try ExactJSON.value(of: text)["error"]?.string?.isEmpty == (status == 200))
            }
        }
    }

    @Test("a server with keys answers those who show one, and tells everybody its health")
    func keys() async throws {
        try await serving(keys: ["sesame", "poppy"]) { address in
            let body = #"{"category": "C", "tool_name": "T", "api_name": "find"}"#
            for (header, status) in [
                (("Authorization", "Bearer sesame"), 200), (("authorization", "bearer poppy"), 200),
                (("x-api-key", "sesame"), 200), (("Authorization", "Bearer sesam"), 401),
                (("Authorization", "sesame"), 401), (("Authorization", "Bearer "), 401), (("x-key", "sesame"), 401),
            ] as [((String, String), UInt)] {
                let answer = try await post(address, body, headers: [header])
                #expect(answer.status == status, "\(header)")
                #expect((answer.reply["error"] == "") == (status == 200) && answer.reply["response"] != nil)
            }
            let health = try await HTTPClient.shared.execute(
                HTTPClientRequest(url: "\(address)/health"), timeout: .seconds(60))
            #expect(health.status == .ok)
            _ = try await health.body.collect(upTo: 1 << 20)
        }
    }

    @Test("what a client says is logged in one short line")
    func log() async throws {
        let book = LogBook()
        try await serving(logger: book.logger) { address in
            for name in [String(repeating: "x", count: 100_000), "a\nlevel=info forged\u{1b}[31m\u{2028}b"] {
                let call: JSONValue = ["category": "C", "tool_name": "T", "api_name": .string("broken \(name)")]
                let answer = try await post(address, call.jsonText)
                #expect(answer.status == 500)
            }
        }
        let lines = book.lines.filter { $0.contains("a virtual call failed") }
        #expect(lines.count == 2)
        for line in lines {
            #expect(line.count < 4000)
            #expect(!line.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x2028 })
        }
    }

    @Test("bodies as ToolBench's clients send them: inputs as texts or objects, empty ones too")
    func bodies() async throws {
        try await serving { address in
            for input in [#""{\"a\": 1}""#, #"{"a": 1}"#] {
                let body =
                    #"{"category": "C", "tool_name": "T", "api_name": "f", "tool_input": \#(input), "strip": "", "toolbench_key": ""}"#
                let (status, reply) = try await post(address, body)
                #expect(status == 200)
                #expect(reply == ["error": "", "response": ["api": "f", "arguments": ["a": 1]]])
            }
            let (status, reply) = try await post(
                address, #"{"category": "C", "tool_name": "T", "api_name": "f", "tool_input": ""}"#)
            #expect(status == 200)
            #expect(reply["response"]?["arguments"] == [:])
            let (_, broken) = try await post(
                address, #"{"category": "C", "tool_name": "T", "api_name": "f", "tool_input": "{oops"}"#)
            #expect(broken == ["error": "the input is not a JSON object", "response": ""])
        }
    }

    @Test("what cannot be read or breaks is told in the protocol's own form")
    func errors() async throws {
        try await serving { address in
            for body in ["", "{", "[]", "{}", String(repeating: " ", count: 2 << 20)] {
                let (status, reply) = try await post(address, body)
                #expect(status == 422)
                #expect(reply["response"] == "")
            }
            func call(_ api: String) -> String { #"{"category": "C", "tool_name": "T", "api_name": "\#(api)"}"# }
            #expect(try await post(address, call("broken")).status == 500)
            #expect(try await post(address, call("find")).status == 200)
        }
    }

    @Test("a call that takes too long is told so")
    func slow() async throws {
        try await serving(seconds: 0.1) { address in
            let body = #"{"category": "C", "tool_name": "T", "api_name": "slow"}"#
            let (status, _) = try await post(address, body)
            #expect(status == 504)
        }
    }

    @Test("a run on a server that is down, or is another, ends and keeps nothing: its queries are not answered wrongly")
    func outage() async throws {
        var task = AgentTask(id: "t", question: "Show bird 1.", answers: [], family: .factual)
        task.tools = [ToolDocument(name: "getBird", function: "Gets one.", input: ["id": "integer"])]
        task.virtualAPIs = ["getBird": VirtualAPIReference(category: "Animals", tool: "Birds", api: "getBird")]
        let policy = RolePolicy(
            planner: RoleModel(ScriptedModel(always: "I look.\n Next: caller.")),
            caller: RoleModel(ScriptedModel(always: "Action: getBird\nAction Input: {\"id\": 1}")),
            summarizer: RoleModel(ScriptedModel(always: "A robin.")), instructions: .full)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-apis-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try TrajectoryStore(folder.appendingPathComponent("store.sqlite"))
        // Without it the client waits some seconds for a server that may be starting.
        var impatient = HTTPClient.Configuration()
        impatient.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: impatient)
        try await serving { address in
            for place in ["http://127.0.0.1:1", "\(address)/health"] {
                let run = VirtualAPIRun(
                    policy: policy, apis: try VirtualAPIClient(place, client: client), maximumSteps: 3)
                let error = await #expect(throws: VirtualAPIError.self) {
                    try await run.run([task], store: store, set: "s")
                }
                #expect(error?.haltsRun == true, "\(place): \(String(describing: error))")
                #expect(try await store.count(in: "s") == 0)
            }
            let run = VirtualAPIRun(policy: policy, apis: try VirtualAPIClient(address), maximumSteps: 1)
            _ = try await run.run([task], store: store, set: "s")
            #expect(try await store.count(in: "s") == 1)
        }
        try await client.shutdown()
        #expect(!VirtualAPIError.broken("http://x", "reset").haltsRun && !VirtualAPIError.status(500, "").haltsRun)
    }

    @Test("a client without a server, or with a stranger's, tells so")
    func clientErrors() async throws {
        #expect(throws: VirtualAPIError.address("nowhere")) { try VirtualAPIClient("nowhere") }
        try await serving { address in
            let lost = try VirtualAPIClient("\(address)/health")
            await #expect(throws: VirtualAPIError.self) {
                try await lost.reply(to: VirtualCall(category: "", tool: "", api: "", input: ""))
            }
        }
    }
}
