import Foundation
import RetortCore
import RetortPython
import Testing

/// Answers with its query in capitals, and refuses the query `bad`.
private struct ShoutTool: Tool {
    let specification = ToolSpecification(
        name: "shout", summary: "Says it loudly.",
        parameters: [.init("text", type: "string", summary: "What to say.")], returns: "string")

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        let text = arguments["text"]?.string ?? ""
        if text == "bad" { throw ToolError.unknownTool("bad", known: []) }
        return .string(text.uppercased())
    }
}

@Suite("Python sessions")
struct PythonEnvironmentTests {
    /// One warmed interpreter for all tests that need no limits of their own.
    private static let shared = Task { try await PythonInterpreter() }

    private func session(_ limits: PythonLimits? = nil) async throws -> PythonEnvironment {
        let python =
            if let limits { try await PythonInterpreter(limits: limits) } else { try await Self.shared.value }
        return try await python.session(tools: [ShoutTool()])
    }

    @Test("state is kept between programs")
    func state() async throws {
        let session = try await session()
        #expect(try await session.perform(.code("x = 20\ndef f(n): return n + x")).text == "(no output)")
        #expect(try await session.perform(.code("print(f(22))")).text == "42")
        await session.close()
    }

    @Test(
        "printed text comes first, then the value of the last expression",
        arguments: [
            ("print('a'); print('b')\n1 + 1", "a\nb\nOut: 2"), ("'text'", "Out: text"), ("x = 1", "(no output)"),
            ("print(2**100)", "1267650600228229401496703205376"), ("None", "(no output)"),
        ])
    func output(program: String, text: String) async throws {
        let session = try await session()
        #expect(try await session.perform(.code(program)).text == text)
        await session.close()
    }

    @Test("an exception is an observation, and what came before it stays")
    func exception() async throws {
        let session = try await session()
        let failed = try await session.perform(.code("y = 5\nprint('so far')\nz"))
        #expect(failed.text == "so far\nNameError: name 'z' is not defined (line 3)")
        #expect(failed.outcome == .executionError(type: "NameError", message: "name 'z' is not defined"))
        #expect(try await session.perform(.code("y")).text == "Out: 5")
        await session.close()
    }

    @Test("tools are functions with positional and keyword arguments, and their errors are exceptions")
    func tools() async throws {
        let session = try await session()
        let seen = try await session.perform(.code("print(shout('hi'), shout(text='ho'))"))
        #expect(seen.text == "HI HO")
        #expect(seen.toolCalls.map(\.result) == ["HI", "HO"])
        let refused = try await session.perform(
            .code("try:\n    shout('bad')\nexcept Exception as e:\n    print('no:', e)"))
        #expect(refused.text.hasPrefix("no: there is no tool named bad"))
        #expect(try await session.perform(.code("shout(3)")).text.contains("'text' must be of type string"))
        #expect(try await session.perform(.code("shout()")).text.contains("missing a required argument: 'text'"))
        await session.close()
    }

    @Test(
        "a final answer ends the program at once and keeps its type",
        arguments: [
            ("final_answer(42)\nprint('never')", JSONValue.integer(42)),
            ("try:\n    final_answer('x')\nexcept Exception:\n    pass", "x"),
            ("final_answer(2**70)", ["$int": "1180591620717411303424"]),
            ("import numpy\nfinal_answer(numpy.float64(0.5))", 0.5),
            ("from sympy import Rational\nfinal_answer(Rational(1, 3))", "1/3"),
            ("final_answer([1, (2, 3)])", [1, [2, 3]]), ("final_answer(float('nan'))", ["$float": "nan"]),
        ] as [(String, JSONValue)])
    func final(program: String, answer: JSONValue) async throws {
        let session = try await session()
        #expect(try await session.perform(.code(program)).outcome == .final(answer))
        await session.close()
    }

    @Test("None is no final answer")
    func noneIsNotFinal() async throws {
        let session = try await session()
        #expect(try await session.perform(.code("final_answer(None)")).outcome == .success)
        await session.close()
    }

    @Test("a program that runs too long is stopped, and what it changed is undone")
    func timeout() async throws {
        let session = try await session(PythonLimits(seconds: 2))
        _ = try await session.perform(.code("x = 1"))
        let stopped = try await session.perform(.code("x = 2\nwhile True: pass"))
        #expect(stopped.outcome == .timeout(seconds: 2))
        #expect(try await session.perform(.code("x")).text == "Out: 1")
        await session.close()
    }

    @Test(
        "a crash is an observation, and the session goes on",
        arguments: ["os._exit(3)", "import ctypes; ctypes.string_at(0)"])
    func crash(program: String) async throws {
        let session = try await session()
        _ = try await session.perform(.code("import os\nx = 1"))
        let crashed = try await session.perform(.code("x = 2\n\(program)"))
        #expect(crashed.outcome.isFailure)
        #expect(try await session.perform(.code("x")).text == "Out: 1")
        await session.close()
    }

    @Test("too much memory is an exception")
    func memory() async throws {
        let session = try await session(PythonLimits(memoryBytes: 1 << 30))
        let refused = try await session.perform(.code("b = bytearray(4 << 30)"))
        #expect(refused.outcome == .executionError(type: "MemoryError", message: ""))
        await session.close()
    }

    @Test("forks start from the same state and do not see each other")
    func forks() async throws {
        let session = try await session()
        _ = try await session.perform(.code("x = 41"))
        for _ in 0..<3 {
            let fork = try await session.fork()
            #expect(try await fork.perform(.code("x = x + 1\nx")).text == "Out: 42")
            await fork.close()
        }
        #expect(try await session.perform(.code("x")).text == "Out: 41")
        await session.close()
    }

    @Test("a copy made ahead has rehearsed, and nothing of that is left in it")
    func rehearsal() async throws {
        let session = try await session()
        _ = try await session.perform(.code("import random\nx = 1"))
        // While a model writes, a copy is made and rehearses.
        try await Task.sleep(for: .milliseconds(300))
        let names = "sorted(name for name in globals() if not name.startswith('__'))"
        #expect(
            try await session.perform(.code(names)).text == "Out: ['final_answer', 'random', 'shout', 'x']")
        try await Task.sleep(for: .milliseconds(300))
        #expect(try await session.perform(.code("print(shout('still here'))")).text == "STILL HERE")
        await session.close()
    }

    @Test("a program that would hang every rehearsal does not hang the next step")
    func spoiltRehearsal() async throws {
        let session = try await session()
        _ = try await session.perform(
            .code("import builtins, time\nbuiltins.print = lambda *words: time.sleep(60)"))
        try await Task.sleep(for: .milliseconds(100))
        #expect(try await session.perform(.code("1 + 1")).text == "Out: 2")
        await session.close()
    }

    @Test("long output is cut with a mark that counts what is missing")
    func outputLimit() async throws {
        let session = try await session(PythonLimits(outputCharacters: 100))
        let text = try await session.perform(.code("print('a' * 250)")).text
        #expect(text == String(repeating: "a", count: 100) + "… [151 characters left out]")
        await session.close()
    }

    @Test("the program sees none of the host's environment variables")
    func environment() async throws {
        let session = try await session()
        #expect(try await session.perform(.code("import os\nprint(dict(os.environ))")).text == "{}")
        await session.close()
    }

    @Test("the same program draws the same random numbers")
    func determinism() async throws {
        let program = "import random, numpy\nprint(random.random(), numpy.random.rand(), {'b', 'a', 'c'})"
        let first = try await session().perform(.code(program)).text
        #expect(try await session().perform(.code(program)).text == first)
    }

    @Test("with a fixed clock time stands still, wherever it is read")
    func clock() async throws {
        var limits = PythonLimits()
        limits.clock = 1_000_000_000
        let session = try await session(limits)
        let program = """
            import time, datetime
            from datetime import date
            now = datetime.datetime.now(datetime.timezone.utc)
            print(time.time(), now.isoformat(), date.today().year, time.gmtime().tm_mon, isinstance(now, datetime.datetime))
            """
        #expect(
            try await session.perform(.code(program)).text == "1000000000.0 2001-09-09T01:46:40+00:00 2001 9 True")
        await session.close()
    }

    @Test("files of a session's own /tmp stay from step to step, and no other session sees them")
    func files() async throws {
        let (session, other) = (try await session(), try await session())
        _ = try await session.perform(.code("with open('/tmp/a', 'w') as f: f.write('kept')"))
        #expect(try await session.perform(.code("open('/tmp/a').read()")).text == "Out: kept")
        #expect(try await other.perform(.code("import os\nos.listdir('/tmp')")).text == "Out: []")
        await session.close()
        await other.close()
    }

    @Test("a session that a program has damaged is replaced by a new one")
    func damaged() async throws {
        let session = try await session()
        _ = try await session.perform(.code("import os\nos.fork = None"))
        let next = try await session.perform(.code("1 + 1"))
        #expect(next.text.hasPrefix("Note: an earlier program damaged the session"))
        #expect(next.text.hasSuffix("Out: 2"))
        #expect(try await session.perform(.code("1 + 1")).text == "Out: 2")
        await session.close()
    }

    @Test("a tool's function has a signature and a docstring")
    func signature() async throws {
        let session = try await session()
        let program = "import inspect\nprint(inspect.signature(shout))\nprint(shout.__doc__)"
        #expect(
            try await session.perform(.code(program)).text
                == "(text: str) -> str\nSays it loudly.\n    text: What to say.")
        await session.close()
    }

    @Test("forty sessions work at once")
    func concurrency() async throws {
        let python = try await PythonInterpreter()
        let texts = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let session = try await python.session()
                    _ = try await session.perform(.code("n = \(number)"))
                    let text = try await session.perform(.code("print(n * n)")).text
                    await session.close()
                    return text
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(texts == Set((0..<40).map { String($0 * $0) }))
    }
}
