import Foundation
import Glibc
import RetortCore
import RetortMCP
import Synchronization
import Testing

@Suite("MCP client")
struct ClientTests {
    @Test("a server introduces itself and its tools")
    func introduction() async throws {
        try await ScriptedServer.with { client in
            let server = try await client.start()
            #expect(server.version == "2025-11-25" && server.name == "scripted" && server.instructions == "Be kind.")
            let tools = try await client.tools(effects: ["add": .pure])
            #expect(tools.count == 20)
            let record = try #require(tools.first { $0.listing.name == "get-record" }).specification
            #expect(record.name == "get_record")
            #expect(record.parameters.map(\.name) == ["from_", "limit"])
            #expect(record.parameters.map(\.isRequired) == [true, false])
            #expect(record.parameters[1].summary == "default 3")
            #expect(record.returns == "object")
            let add = try #require(tools.first { $0.listing.name == "add" }).specification
            #expect(add.effect == .pure && record.effect == .external)
            #expect(add.returns == "number" && add.pythonHead == "add(a: number, b: number)")
            try await client.ping()
        }
    }

    @Test("results: structured ones as values, a wrapped value as itself, others as their text")
    func results() async throws {
        try await ScriptedServer.with { client in
            let result1 = try await client.tool("add").call(["a": 1, "b": 2.5])
            #expect(result1 == 3.5)
            let record: JSONValue = try await client.tool("get_record").call(["from_": "é", "limit": .null])
            #expect(record == ["rows": [["from": "é"]]])
            #expect(
                try await client.tool("parts").call([:])
                    == .string(
                        """
                        one
                        [image, image/png, 3 bytes, not shown]
                        [audio, audio/wav, 2 bytes, not shown]
                        [a: file:///a] the first
                        inside
                        [file:///c, x/y, 3 bytes, not shown]
                        [content of the kind 'hologram', not shown]
                        """))
        }
    }

    @Test(
        "values keep their types there and back",
        arguments: [
            .null, 2.0, 2, 1e300, ["$float": "nan"], ["a": [.null, true, "\u{1F9EA}\n\u{2028}\""]], [], [:],
            .string(String(repeating: "long ", count: 100_000)), ["$int": "123456789012345678901234567890"],
        ] as [JSONValue])
    func values(value: JSONValue) async throws {
        try await ScriptedServer.with { client in
            let result2 = try await client.call("echo", ["value": value]).structured
            #expect(result2 == ["value": value])
        }
    }

    @Test("failures of tools are observations: their own word, arguments that do not fit, results that do not")
    func failures() async throws {
        try await ScriptedServer.with { client in
            func text(_ tool: String, _ arguments: [String: JSONValue]) async throws -> String {
                let tool = try await client.tool(tool)
                let error = await error { try await tool.call(arguments) }
                let failure = try #require(error as? MCPToolFailure)
                return "\(failure)"
            }
            let result3 = try await text("fails", [:])
            #expect(result3 == "no such row")
            let result4 = try await text("add", ["a": 1])
            #expect(result4 == "add(): 'b' is missing")
            let result5 = try await text("add", ["a": 1, "b": "x"])
            #expect(result5 == "add(): 'b' must be a number")
            let result6 = try await text("add", ["a": 1, "b": 2, "c": 3])
            #expect(result6 == "add(): there is no 'c'")
            let notFinite = try await text("add", ["a": 1, "b": .number(.nan)])
            #expect(notFinite.contains("finite"))
            let lie = try await text("lie", [:])
            #expect(lie.contains("'x' must be a whole number"))
            let refused = await error { try await client.call("nothing", [:]) }
            #expect("\(try #require(refused))".contains("no tool nothing (code -32602)"))
            #expect(await error { try await client.call("empty", [:]) } is MCPError)
        }
    }

    @Test("answers may come in any order")
    func order() async throws {
        try await ScriptedServer.with { client in
            try await client.start()
            let calls = (0..<2).map { _ in Task { try await client.call("hold", [:]) } }
            let done = Task { try await (calls[0].value.text, calls[1].value.text) }
            // The calls are made in their tasks' own time.
            let release = Task {
                while !Task.isCancelled { _ = try await client.call("release", [:]) }
            }
            let texts = try await done.value
            release.cancel()
            #expect(texts.0.hasPrefix("held ") && texts.1.hasPrefix("held ") && texts.0 != texts.1)
        }
    }

    @Test("words of progress arrive in order")
    func progress() async throws {
        try await ScriptedServer.with { client in
            let words = Words()
            let result = try await client.call("steps", ["count": 3]) { words.add($0) }
            #expect(result.text == "walked")
            #expect(words.all.map(\.message) == ["step 1", "step 2", "step 3"])
            #expect(words.all.map(\.progress) == [1, 2, 3] && words.all[0].total == 3)
        }
    }

    @Test("a call that hangs ends at its limit, and the server is told")
    func hang() async throws {
        try await ScriptedServer.with("good", { $0.callSeconds = 3 }) { client in
            let error = await error { try await client.call("hang", [:]) }
            guard case MCPError.late(_, "tools/call", 3, _) = try #require(error) else {
                Issue.record("\(String(describing: error))")
                return
            }
            // Ids count from 1: introduction, then the call. On a busy machine the question may be late, too, and asked again.
            var told = ""
            for _ in 0..<100 where !told.hasPrefix("[2") {
                told = (try? await client.call("cancelled", [:]).text) ?? ""
            }
            #expect(told.hasPrefix("[2"))
        }
    }

    @Test("a cancelled call ends at once, and the server is told")
    func cancellation() async throws {
        try await ScriptedServer.with { client in
            try await client.start()
            let call = Task { try await client.call("hang", [:]) }
            try await client.ping()
            call.cancel()
            let result = await call.result
            #expect(throws: CancellationError.self) { try result.get() }
            // The word may come after this call's; it is on its way.
            var told = "[]"
            for _ in 0..<100 where told == "[]" { told = try await client.call("cancelled", [:]).text }
            #expect(told != "[]")
        }
    }

    @Test("a server that dies in a call: its last words; it is started again for the next, until it has died too often")
    func death() async throws {
        try await ScriptedServer.with("good", { $0.maximumStarts = 3 }) { client in
            for _ in 0..<2 {
                let death = await error { try await client.call("die", [:]) }
                #expect(
                    death as? MCPError == .ended(server: "good", how: "exit code 7", errors: "the disk is full"))
            }
            // A call that is answered makes up for it.
            let result8 = try await client.tool("add").call(["a": 1, "b": 1])
            #expect(result8 == 2)
            // It died, and was started three times in vain.
            for _ in 0..<4 { #expect(await error { try await client.call("die", [:]) } is MCPError) }
            let last = try #require(await error { try await client.call("add", ["a": 1, "b": 1]) })
            #expect("\(last)".contains("was started 3 times in a row") && "\(last)".contains("the disk is full"))
        }
    }

    @Test(
        "a server that does not become one is told apart by its fault",
        arguments: [
            ("dies", "ended (exit code 3); it wrote: cannot open the database"),
            ("silent", "did not answer"),
            ("garbage", "(21 lines, the first: 'Listening on port 80 …')"),
            ("whispers", "(1 line, the first: 'Traceback: no')"), ("future", "speaks version 2099-01-01"),
            ("closes", "it closed its standard output and went on"),
        ])
    func faults(mode: String, text: String) async throws {
        try await ScriptedServer.with(
            mode,
            { options in
                // The others answer when Python has started.
                if mode == "silent" { options.startSeconds = 0.5 }
                options.closeSeconds = 0.2
            }
        ) { client in
            let error = try #require(await error { try await client.tools() })
            #expect("\(error)".contains(text), "\(error)")
        }
    }

    @Test("commands that are not there, or none, are named")
    func commands() async throws {
        for (command, text) in [
            (MCPCommand("no-such-command"), "there is no program 'no-such-command' (looked in "),
            (MCPCommand("/etc/passwd"), "/etc/passwd could not be started: it is not an executable file"),
            (MCPCommand("./server", folder: "/"), "there is no program './server' (looked in /"),
            (MCPCommand("sh", folder: "/no/such"), "there is no folder '/no/such'"),
        ] {
            let client = MCPClient("x", .command(command))
            let error = try #require(await error { try await client.start() })
            #expect("\(error)".contains(text), "\(error)")
        }
    }

    @Test("a flood ends the server, not us")
    func flood() async throws {
        try await ScriptedServer.with("good", { $0.maximumMessageBytes = 1 << 20 }) { client in
            let flooded = await error { try await client.call("flood", [:]) }
            #expect(flooded as? MCPError == .tooLong(server: "good", limit: 1 << 20))
            let result9 = try await client.tool("add").call(["a": 1, "b": 1])
            #expect(result9 == 2)
        }
    }

    @Test("a greeting is passed over; a server that goes on babbling is ended")
    func babble() async throws {
        try await ScriptedServer.with("banner") { client in
            let result10 = try await client.tool("add").call(["a": 1, "b": 1])
            #expect(result10 == 2)
            let babbled = try #require(await error { try await client.call("babble", [:]) })
            #expect("\(babbled)".contains("(21 lines, the first: 'Welcome to my server!')"), "\(babbled)")
        }
    }

    @Test("older versions are spoken, offered or named", arguments: [("old", "2024-11-05"), ("picky", "2025-03-26")])
    func versions(mode: String, version: String) async throws {
        try await ScriptedServer.with(mode) { client in
            let result11 = try await client.start().version
            #expect(result11 == version)
            let result12 = try await client.tool("add").call(["a": 1, "b": 1])
            #expect(result12 == 2)
        }
    }

    @Test("tools come in pages, and are asked for again when they change")
    func lists() async throws {
        try await ScriptedServer.with("pages") { client in
            let result13 = try await client.tools().count
            #expect(result13 == 20)
            #expect(await client.hasChanged == false)
            _ = try await client.call("change", [:])
            #expect(await client.hasChanged)
            let result14 = try await client.tools().map(\.specification.name).last
            #expect(result14 == "new")
            #expect(await client.hasChanged == false)
        }
    }

    @Test(
        "lists that make no sense are refused",
        arguments: [
            ("circle", "one page over and over"), ("twins", "two tools are called 'a'"), ("nameless", "has no name"),
            ("toolless", "offers no tools"),
            (
                "strange",
                "the tool 'odd' of the MCP server 'strange' cannot be used: the JSON schema at #/properties/x: 'uniqueItems'"
            ),
        ])
    func badLists(mode: String, text: String) async throws {
        try await ScriptedServer.with(mode) { client in
            let error = try #require(await error { try await client.tools() })
            #expect("\(error)".contains(text), "\(error)")
        }
    }

    @Test("what cannot be used may be left out; what is named must be there")
    func choice() async throws {
        try await ScriptedServer.with("strange") { client in
            let result15 = try await client.tools(only: ["fine"]).map(\.specification.name)
            #expect(result15 == ["fine"])
            #expect(
                await error { try await client.tools(only: ["gone"]) } as? MCPError
                    == .unknownTool(server: "strange", tool: "gone", known: ["fine", "odd", "task"]))
            let task = try #require(await error { try await client.tools(only: ["task"]) })
            #expect("\(task)".contains("must be called as a task"))
        }
    }

    @Test("a server's own requests are answered: we are there, and offer no models, people or folders")
    func requests() async throws {
        try await ScriptedServer.with { client in
            let answers = try await client.call("ask", [:]).text
            #expect(
                try ExactJSON.value(of: answers)
                    == [
                        "s-ping": [:], "s-sampling/createMessage": -32601, "s-elicitation/create": -32601,
                        "s-roots/list": -32601,
                    ])
        }
    }

    @Test("a server gets its folder and variables, a group of its own, and none of our secrets")
    func surroundings() async throws {
        setenv("RETORT_TEST_SECRET", "x", 1)
        let command = MCPCommand(
            "python3", [ScriptedServer.script, "good"], environment: ["SHOP": "open"], folder: "/usr")
        let client = MCPClient("x", .command(command))
        let place = try ExactJSON.value(of: try await client.call("where", [:]).text)
        await client.close()
        #expect(place["folder"] == "/usr" && place["group"] == true)
        let variables = (place["variables"]?.array ?? []).compactMap(\.string)
        #expect(variables.contains("SHOP") && variables.contains("PATH"))
        #expect(!variables.contains("RETORT_TEST_SECRET"))
    }

    @Test(
        "closing ends the server and what it started, also one that does not want to", arguments: ["good", "stubborn"])
    func closing(mode: String) async throws {
        let client = ScriptedServer.client(mode) { $0.closeSeconds = 0.2 }
        let child = try #require(pid_t(try await client.call("child", [:]).text))
        #expect(kill(child, 0) == 0)
        await client.close()
        // Its end is the kernel's business, and another process's to take.
        for _ in 0..<500 where Self.runs(child) { try await Task.sleep(for: .milliseconds(10)) }
        #expect(!Self.runs(child))
        #expect(await error { try await client.ping() } as? MCPError == .closed(server: mode))
    }

    /// Whether a process is there and no zombie.
    private static func runs(_ pid: pid_t) -> Bool {
        guard let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
        return status.split(separator: ")").last?.split(separator: " ").first != "Z"
    }

    @Test("many calls at once, each its own answer; more than allowed are refused")
    func crowd() async throws {
        try await ScriptedServer.with("good", { $0.maximumRequests = 100 }) { client in
            let add = try await client.tool("add")
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<100 {
                    group.addTask { try await add.call(["a": .integer(number), "b": 1]) == .integer(number + 1) }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
        try await ScriptedServer.with("good", { $0.maximumRequests = 1 }) { client in
            try await client.start()
            // Whoever comes first takes the only place.
            let call = Task {
                while !Task.isCancelled {
                    if await !(RetortMCPTests.error { try await client.call("hang", [:]) } is MCPError) { return }
                }
            }
            var error: (any Error)?
            for _ in 0..<1000 where error == nil { error = await RetortMCPTests.error { try await client.ping() } }
            #expect(error as? MCPError == .busy(server: "good", limit: 1))
            call.cancel()
        }
    }
}

/// Words of progress as they come.
final class Words: Sendable {
    private let words = Mutex<[MCPProgress]>([])
    func add(_ word: MCPProgress) { words.withLock { $0.append(word) } }
    var all: [MCPProgress] { words.withLock { $0 } }
}

extension ToolSpecification {
    fileprivate var pythonHead: String {
        "\(name)(\(parameters.map { "\($0.name): \($0.type)" }.joined(separator: ", ")))"
    }
}
