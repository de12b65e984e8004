import Foundation
import RetortCore
import RetortPython
import Testing

@testable import RetortDomains

/// A domain with a server of the Model Context Protocol.
private struct ServerFolder {
    /// A server that counts, and whose tools change.
    static let server = """
        import json, os, sys
        def tool(name, properties=None, required=(), **more):
            schema = {"type": "object", "properties": properties or {}, "required": list(required)}
            return {"name": name, "description": name + " it", "inputSchema": schema, **more}
        TOOLS = [tool("count"), tool("get-size", {"from": {"enum": ["S", "M"]}}, ["from"],
                                     outputSchema={"type": "object", "properties": {"cm": {"type": "integer"}}}),
                 tool("picture"), tool("variable"), tool("die"), tool("drop"), tool("alter"), tool("grow")]
        count = 0
        if os.path.exists(os.path.join(os.path.dirname(os.path.abspath(__file__)), "closed")):
            sys.exit("closed for today")
        def send(message):
            print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
        def call(name, arguments):
            global count
            if name == "count":
                count += 1
                return {"content": [{"type": "text", "text": str(count)}]}
            if name == "get-size":
                return {"content": [], "structuredContent": {"cm": {"S": 3, "M": 4}[arguments["from"]]}}
            if name == "picture":
                return {"content": [{"type": "image", "data": "AAAA", "mimeType": "image/png"}]}
            if name == "variable":
                return {"content": [{"type": "text", "text": os.environ.get("TOKEN", "none")}]}
            if name == "die":
                os._exit(9)
            if name == "drop":
                TOOLS[:] = [one for one in TOOLS if one["name"] != "count"]
            elif name == "alter":
                TOOLS[0]["inputSchema"]["properties"]["by"] = {"type": "integer"}
            else:
                TOOLS.append(tool("new"))
            send({"method": "notifications/tools/list_changed"})
            return {"content": [{"type": "text", "text": "done"}]}
        for line in sys.stdin:
            message = json.loads(line)
            method, id = message.get("method"), message.get("id")
            if method == "initialize":
                send({"id": id, "result": {"protocolVersion": message["params"]["protocolVersion"],
                    "capabilities": {"tools": {"listChanged": True}}, "serverInfo": {"name": "counter", "version": "2"}}})
            elif method == "tools/list":
                send({"id": id, "result": {"tools": TOOLS}})
            elif method == "tools/call":
                send({"id": id, "result": call(message["params"]["name"], message["params"].get("arguments", {}))})
        """

    static func files(_ keys: String = "", more: String = "") -> [String: String] {
        [
            "domain.yaml": """
            tasks: {test: {in: test.jsonl}}
            tools:
              - {mcp: [python3, server.py], name: counter, \(keys)}
            \(more)
            """,
            "server.py": server,
            "test.jsonl": #"{"id": "a", "question": "one", "answer": "1"}"# + "\n"
                + #"{"id": "b", "question": "two", "answer": "1"}"#,
        ]
    }

    /// Opens a domain, does something with it and ends it.
    static func with(
        _ keys: String = "", more: String = "", _ body: (FolderDomain, DomainFolder) async throws -> Void
    ) async throws {
        let folder = try DomainFolder(files(keys, more: more))
        defer { folder.remove() }
        let domain = try await folder.open()
        do {
            try await body(domain, folder)
        } catch {
            await domain.close()
            throw error
        }
        await domain.close()
    }
}

@Suite("A domain's MCP servers", .timeLimit(.minutes(30)))
struct ServerToolTests {
    @Test("tools are Python functions and JSON tools, with schemas, structured results, and pictures by name")
    func tools() async throws {
        try await ServerFolder.with("functions: [count, get-size, picture]") { domain, _ in
            #expect(domain.tools.map(\.name) == ["count", "get_size", "picture"])
            let size = try #require(domain.tools.first { $0.name == "get_size" })
            #expect(size.parameters.map(\.name) == ["from_"] && size.parameters[0].typeText == #"one of "S", "M""#)
            #expect(size.argumentSchema["properties"]?["from_"]?["enum"] == ["S", "M"])
            let code = try await domain.session(.code)
            let program = "print(get_size('M')['cm'] + 1, get_size(from_='S'), picture(), count())"
            let shown = "5 {'cm': 3} [image, image/png, 3 bytes, not shown] 1"
            #expect(try await code.perform(.code(program)).text == shown)
            await code.close()
            let json = try await domain.session()
            #expect(try await json.call("get_size", ["from_": "S"]).text == #"{"cm":3}"#)
            #expect(try await json.call("get_size", ["from_": "L"]).outcome.isFailure)
            #expect(try await json.call("die").text.contains("there is no tool named die"))
            await json.close()
        }
    }

    @Test("one server is for all tasks, or one for each, as declared", arguments: ["run", "task"])
    func lifetimes(lifetime: String) async throws {
        try await ServerFolder.with("lifetime: \(lifetime)") { domain, _ in
            let (first, second) = (try await domain.session(), try await domain.session(task: 1))
            #expect(try await first.call("count").text == "1")
            #expect(try await second.call("count").text == (lifetime == "run" ? "2" : "1"))
        }
    }

    @Test("a server that dies in a call is an observation, and is there again for the next")
    func death() async throws {
        try await ServerFolder.with { domain, _ in
            let session = try await domain.session()
            #expect(try await session.call("count").text == "1")
            #expect(try await session.call("die").text.contains("ended (exit code 9)"))
            #expect(try await session.call("count").text == "1")
        }
    }

    @Test("tools that changed end the run by name, and more tools do not", arguments: ["drop", "alter", "grow"])
    func drift(change: String) async throws {
        try await ServerFolder.with { domain, _ in
            let session = try await domain.session()
            #expect(try await session.call(change).text == "done")
            guard change != "grow" else {
                #expect(try await session.call("count").text == "1")
                return
            }
            let error = await #expect(throws: ToolServiceError.self) {
                // The server's word of it may come behind its answer.
                for _ in 0..<200 {
                    _ = try await session.call("get_size", ["from_": "S"])
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
            let found = try #require(error)
            #expect(found.haltsRun)
            #expect("\(found)".contains("the MCP server 'counter'"))
            #expect("\(found)".contains(change == "drop" ? "'count' is gone" : "'count' has changed (its parameters)"))
        }
    }

    @Test("a server that is not to be had any more fails the task's run, and is nobody's wrong answer")
    func gone() async throws {
        try await ServerFolder.with("lifetime: task") { domain, folder in
            try Data().write(to: folder.url.appendingPathComponent("closed"))
            let session = try await domain.session(.code)
            let error = await #expect(throws: ToolServiceError.self) {
                _ = try await session.perform(.code("try:\n    count()\nexcept Exception:\n    pass"))
            }
            #expect("\(try #require(error))".contains("closed for today"))
            await session.close()
        }
    }

    @Test("variables of the environment reach the server where they are declared, and are no input by value")
    func environment() async throws {
        try await ServerFolder.with("environment: {TOKEN: 'x${HOME}'}") { domain, _ in
            let home = ProcessInfo.processInfo.environment["HOME"] ?? ""
            #expect(try await domain.session().call("variable").text == "x\(home)")
            let parts = try domain.content(of: .tools) { _ in "digest" }
            #expect(parts.contains { $0.value.contains("x${HOME}") })
            #expect(parts.contains { $0.name == "server.py" && $0.value == "sha256:digest" })
        }
        let folder = try DomainFolder(ServerFolder.files("environment: {TOKEN: '${NO_SUCH_VARIABLE}'}"))
        defer { folder.remove() }
        await #expect(throws: DomainError.noVariable("NO_SUCH_VARIABLE", server: "counter")) {
            _ = try await folder.open()
        }
    }

    @Test(
        "what cannot be used is refused by name",
        arguments: [
            ("functions: [nope]", "has no tool 'nope'; it has alter, count"),
            ("effect: {nope: pure}", "has no tool 'nope'"), ("seconds: 0", "'seconds' must be from"),
            ("headers: {A: b}", "'headers' is for a server's address"), ("lifetme: task", "did you mean 'lifetime'?"),
            ("url: 'http://127.0.0.1:1/mcp'", "either a command"),
        ])
    func refusals(keys: String, words: String) async throws {
        let folder = try DomainFolder(ServerFolder.files(keys))
        defer { folder.remove() }
        let error = await #expect(throws: (any Error).self) { _ = try await folder.open() }
        #expect("\(try #require(error))".contains(words))
    }

    @Test(
        "a command that is not there, and two tools of one name, are named with their places",
        arguments: [
            ("- {mcp: [no-such-command]}", "there is no program 'no-such-command'"),
            ("- {mcp: no-such-command --port 3}", "mcp: [no-such-command, --port, 3]"),
            ("- {mcp: {command: x}}", "its address is 'url: …'"),
            ("- {url: 'http://127.0.0.1:1/mcp', startSeconds: 5}", "cannot be reached"),
            ("- {python: own.py}", "two tools are named 'count' (own.py and the MCP server 'counter')"),
        ])
    func places(tool: String, words: String) async throws {
        var files = ServerFolder.files(more: "  \(tool)")
        files["own.py"] = "def count() -> int:\n    \"\"\"Counts.\"\"\"\n"
        let folder = try DomainFolder(files)
        defer { folder.remove() }
        let error = await #expect(throws: (any Error).self) { _ = try await folder.open() }
        #expect("\(try #require(error))".contains(words), "\(String(describing: error))")
    }
}
