import Foundation
import RetortCore
import Testing

@testable import RetortPython

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

/// Gives back what it gets.
private struct MirrorTool: Tool {
    let specification = ToolSpecification(
        name: "mirror", summary: "", parameters: [.init("value", type: "any", summary: "", isRequired: false)],
        returns: "any")

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue { arguments["value"] ?? .null }
}

/// Meets something that every task would meet.
private struct HaltingTool: Tool {
    struct Spent: RunHalting { var haltsRun: Bool { true } }

    let specification: ToolSpecification

    init(effect: ToolSpecification.Effect) {
        specification = ToolSpecification(
            name: "halt_\(effect)", summary: "", parameters: [], returns: "any", effect: effect)
    }

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue { throw Spent() }
}

/// Gives no result, and does not heed its cancellation.
private struct HangingTool: Tool {
    let specification: ToolSpecification

    init(effect: ToolSpecification.Effect) {
        specification = ToolSpecification(
            name: "hang_\(effect)", summary: "", parameters: [], returns: "any", effect: effect)
    }

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        await Task.detached { try? await Task.sleep(for: .seconds(20)) }.value
        return .null
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

    @Test("a fork is another session with the same state")
    func forked() async throws {
        let interpreter = try await Self.shared.value
        // snippet: A session
        let session = try await interpreter.session(tools: [])
        _ = try await session.perform(.code("x = 20"))
        let fork = try await session.fork()
        #expect(try await fork.perform(.code("x += 1\nprint(x)")).text == "21")
        #expect(try await session.perform(.code("print(x)")).text == "20")
        await fork.close()
        await session.close()
        // end snippet
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
            ("final_answer([1, (2, 3)])", [1, [2, 3]]), ("final_answer(float('inf'))", .number(.infinity)),
            ("final_answer(7.0)", .number(7)),
            ("final_answer([1.0, 1, True, 1e16])", [.number(1), 1, true, .number(1e16)]),
            ("final_answer(-0.0)", .number(-0.0)), ("final_answer({'$float': 'nan'})", ["$float": "nan"]),
            ("final_answer({'$int': '5'})", ["$int": "5"]), ("final_answer({1: {2.0}})", ["1": [.number(2)]]),
            ("final_answer(float('0.' + '0' * 130 + '1e147'))", .number(1e16)),
            ("import numpy\nfinal_answer(numpy.ma.array([1, 2], mask=[0, 1]))", [1, .null]),
            ("class S(str):\n    def encode(self, *_): raise OSError\nfinal_answer(S('a'))", "a"),
            ("class I(int):\n    __lt__ = __le__ = __int__ = __index__ = None\nfinal_answer(I(5))", 5),
            ("class L(list):\n    def __iter__(self): raise OSError\nfinal_answer(L([1]))", [1]),
            ("class D(dict):\n    def items(self): raise OSError\nfinal_answer(D(a=1))", ["a": 1]),
        ] as [(String, JSONValue)])
    func final(program: String, answer: JSONValue) async throws {
        let session = try await session()
        #expect(try await session.perform(.code(program)).outcome == .final(answer))
        await session.close()
    }

    @Test(
        "None and missing values are no final answers",
        arguments: [
            "None", "__import__('numpy').ma.masked", "__import__('numpy').datetime64('NaT')",
        ])
    func noneIsNotFinal(value: String) async throws {
        let session = try await session()
        let seen = try await session.perform(.code("final_answer(\(value))"))
        #expect(seen.outcome == .success)
        #expect(seen.text.contains("it is not an answer"))
        await session.close()
    }

    @Test("not a number is an answer of its own")
    func notANumber() async throws {
        let session = try await session()
        guard case .final(.number(let number)) = try await session.perform(.code("final_answer(float('nan'))")).outcome
        else {
            Issue.record("it is no number")
            return
        }
        #expect(number.isNaN)
        await session.close()
    }

    @Test(
        "an answer that cannot be read is an error of the program, whose variables stay",
        arguments: [
            "def __str__(self): raise ValueError('boom')", "def __repr__(self): raise KeyError('boom')",
            "def __str__(self): raise SystemExit('boom')", "def __str__(self): final_answer('boom')",
            "def __str__(self): return 5", "def __str__(self): return str(self)",
            "@property\n    def __class__(self): raise ValueError('boom')",
            "__class__ = str", "def __str__(self): raise Evil()",
        ])
    func hostile(method: String) async throws {
        let session = try await session()
        _ = try await session.perform(
            .code(
                """
                kept = 41
                class Meta(type):
                    __name__ = property(lambda cls: 1 / 0)
                class Evil(BaseException, metaclass=Meta):
                    def __str__(self): raise self
                    __traceback__ = property(lambda self: 1 / 0)
                class X:
                    \(method)
                """))
        for answer in ["X()", "[X()]", "{'a': X()}", "{X(): 1}", "{X(), 2}"] {
            let seen = try await session.perform(.code("final_answer(\(answer))"))
            #expect(seen.outcome.isFailure || seen.text.isEmpty, "\(answer): \(seen)")
            #expect(!seen.text.contains("worker.py") && !seen.text.contains("Traceback"))
        }
        #expect(try await session.perform(.code("kept + 1")).text == "Out: 42")
        await session.close()
    }

    @Test(
        "an answer too large to be one is an error that says so",
        arguments: [
            ("10**200000", "more than 100,000 digits"), ("[-10**200000]", "more than 100,000 digits"),
            ("'x' * (5 << 20)", "bytes as JSON"), ("list(range(2_000_000))", "bytes as JSON"),
        ])
    func giant(value: String, message: String) async throws {
        let session = try await session()
        _ = try await session.perform(.code("kept = 41"))
        let seen = try await session.perform(.code("final_answer(\(value))"))
        #expect(seen.outcome.isFailure && seen.text.contains(message), "\(seen.text.prefix(200))")
        #expect(try await session.perform(.code("kept + 1")).text == "Out: 42")
        await session.close()
    }

    @Test("an exception that lies about itself is still an observation")
    func lyingException() async throws {
        let session = try await session()
        let seen = try await session.perform(
            .code(
                """
                class Meta(type):
                    __name__ = property(lambda cls: 1 / 0)
                class Evil(Exception, metaclass=Meta):
                    def __str__(self): raise self
                    __traceback__ = property(lambda self: 1 / 0)
                raise Evil()
                """))
        #expect(seen.outcome == .executionError(type: "Evil", message: ""))
        await session.close()
    }

    @Test("values cross the bridge in both directions without changing their type")
    func bridge() async throws {
        let session = try await Self.shared.value.session(tools: [MirrorTool()])
        let program = """
            values = [2.0, 2, True, None, 1e300, -0.0, 2**70, float('inf'), 'a', {'$int': '5'}, {'$float': 'nan'}, {'$float': [1]}, [], {}]
            for value in values:
                back = mirror(value)
                print(repr(back) == repr(value) and type(back) is type(value), end=' ')
            """
        let seen = try await session.perform(.code(program))
        #expect(seen.text == Array(repeating: "True", count: 14).joined(separator: " "))
        #expect(seen.toolCalls.first?.arguments["value"] == .number(2))
        await session.close()
    }

    @Test("a valid number that Foundation cannot read does not end the host")
    func number() async throws {
        let python = try await Self.shared.value
        let session = try await python.session()
        let program = """
            import os, struct
            body = b'{"op":"done","final":0.' + b'0' * 130 + b'1e147}'
            for fd in range(3, 16):
                try: os.write(fd, struct.pack('<I', len(body)) + body)
                except OSError: pass
            """
        #expect(try await session.perform(.code(program)).outcome == .final(.number(1e16)))
        await session.close()
    }

    @Test(
        "pandas works where it is installed, in the strongest sandbox and in a weaker one",
        arguments: [SandboxLevel.isolated, .restricted])
    func pandas(level: SandboxLevel) async throws {
        let python = try await PythonInterpreter(requiring: level, atMost: level)
        let session = try await python.session()
        let program = """
            import io
            try:
                import pandas as pd
            except ModuleNotFoundError:
                pd = None
            else:
                frame = pd.read_csv(io.StringIO('town,year,n\\nTirn,1931-02-03,2\\nAmsel,1889-01-01,3\\nTirn,1890-05-06,4'), parse_dates=['year'])
                print(frame.groupby('town')['n'].sum().to_dict(), frame['year'].dt.year.max(), frame.describe().loc['mean', 'n'])
            pd is None
            """
        let seen = try await session.perform(.code(program))
        if !seen.text.hasSuffix("Out: True") {
            #expect(seen.text == "{'Amsel': 3, 'Tirn': 6} 1931 3.0\nOut: False")
            let answers: [(String, Observation.Outcome)] = [
                ("frame['n']", .final([2, 3, 4])), ("frame['n'].mean()", .final(.number(3))), ("pd.NA", .success),
                ("pd.NaT", .success), ("frame['n'].sum()", .final(9)), ("frame.index", .final([0, 1, 2])),
            ]
            for (value, outcome) in answers {
                #expect(try await session.perform(.code("final_answer(\(value))")).outcome == outcome, "\(value)")
            }
            let shown = try await session.perform(.code("final_answer(frame)"))
            guard case .final(.string(let text)) = shown.outcome else {
                Issue.record("a table is no text: \(shown)")
                return
            }
            #expect(text.contains("Amsel"))
        }
        await python.close()
    }

    @Test("calls beyond the limit are refused, and their arguments kept nowhere")
    func manyCalls() async throws {
        let session = try await session()
        let program =
            "for n in range(40):\n    try: shout('x' * 100_000)\n    except Exception as e: error = e\nprint(error)"
        let seen = try await session.perform(.code(program))
        #expect(seen.text == "a program may call tools 30 times")
        #expect(seen.toolCalls.count == 31 && seen.toolCalls.last?.arguments == [:])
        let large = try await session.perform(.code("shout('x' * (2 << 20))"))
        #expect(large.text.contains("bytes as JSON; 1,048,576 are allowed") && large.toolCalls.isEmpty)
        await session.close()
    }

    @Test("forged frames: notes of calls are kept up to 8 MiB, and a call longer than any real one ends the program")
    func forgedCalls() async throws {
        let session = try await session()
        _ = try await session.perform(
            .code(
                """
                import os, struct
                def forge(body):
                    for fd in range(3, 16):
                        try: os.write(fd, struct.pack('<I', len(body)) + body)
                        except OSError: pass
                """))
        // An answer of the host's between them, as refused calls get them, makes no difference.
        let notes = try await session.perform(
            .code(
                """
                for n in range(10):
                    forge(b'{"op":"called","name":"note","arguments":{},"value":"' + b'x' * (1 << 20) + b'"}')
                    forge(b'{"op":"call","name":"none","arguments":{}}')
                """))
        #expect(notes.outcome == .success)
        #expect(notes.toolCalls.count { $0.name == "note" } == 7)
        #expect(notes.toolCalls.count { $0.name == "none" && $0.error != nil } == 10)
        let call = #"b'{"op":"call","name":"none","arguments":{"x":"' + b'x' * (2 << 20) + b'"}}'"#
        let long = try await session.perform(.code("forge(\(call))\nprint('reached')"))
        #expect(long.outcome.isFailure && long.text.contains("channel") && long.toolCalls.isEmpty)
        #expect(try await session.perform(.code("1 + 1")).text.hasSuffix("Out: 2"))
        await session.close()
    }

    @Test("a flood of empty frames ends its program, and another session works on meanwhile")
    func flood() async throws {
        let (flooding, working) = (try await session(), try await session())
        let program = """
            import os
            for fd in range(3, 16):
                try: os.write(fd, bytes(1 << 20))
                except OSError: pass
            """
        async let flooded = flooding.perform(.code(program))
        for number in 0..<3 {
            #expect(try await working.perform(.code("print(shout('n\(number)'))")).text == "N\(number)")
        }
        let seen = try await flooded
        #expect(seen.outcome.isFailure && seen.text.contains("channel"), "\(seen.text)")
        await flooding.close()
        await working.close()
    }

    @Test(
        "threads are refused with a word on what to do",
        arguments: [
            "import threading\nthreading.Thread(target=print).start()",
            "import _thread\n_thread.start_new_thread(print, ())",
            "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as p: print(list(p.map(abs, [1])))",
            "import asyncio\nasyncio.run(asyncio.to_thread(print))",
            "import threading\nthreading.Timer(0, print).start()",
        ])
    func threads(program: String) async throws {
        let session = try await session()
        let seen = try await session.perform(.code(program))
        #expect(seen.text.contains("RuntimeError: can't start new thread: a program here runs in one thread"))
        await session.close()
    }

    @Test("an error that halts the run is no observation, in a step that counts and in one that is tried")
    func halting() async throws {
        let tools: [any Tool] = [HaltingTool(effect: .pure), HaltingTool(effect: .external)]
        let session = try await Self.shared.value.session(tools: tools)
        for name in ["halt_pure", "halt_external"] {
            let action = Action.code("try: \(name)()\nexcept BaseException: print('swallowed')")
            await #expect(throws: HaltingTool.Spent.self) { try await session.perform(action) }
            await #expect(throws: HaltingTool.Spent.self) { try await session.attempt(action).commit() }
        }
        #expect(try await session.perform(.code("1 + 1")).text == "Out: 2")
        await session.close()
    }

    @Test("a tool that hangs is an exception after its time, and a cancelled step does not wait for it")
    func hangingTool() async throws {
        var limits = PythonLimits(seconds: 30)
        limits.toolSeconds = 0.1
        let python = try await PythonInterpreter(limits: limits)
        let session = try await python.session(tools: [HangingTool(effect: .pure), HangingTool(effect: .external)])
        for name in ["hang_pure", "hang_external"] {
            let seen = try await session.perform(.code("try: \(name)()\nexcept Exception as e: print(e)"))
            #expect(seen.text == "\(name)() gave no result within 0.1 seconds")
        }
        await python.close()
        let patient = try await Self.shared.value.session(tools: [HangingTool(effect: .pure)])
        let (begun, begin) = AsyncStream.makeStream(of: Void.self)
        let step = Task {
            begin.finish()
            return try await patient.perform(.code("hang_pure()"))
        }
        for await _ in begun {}
        step.cancel()
        await #expect(throws: CancellationError.self) { try await step.value }
        await patient.close()
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

    @Test(
        "however it was damaged, the next step waits no longer than a fork may take",
        .timeLimit(.minutes(30)),
        arguments: [
            "import os, time\nos.register_at_fork(after_in_child=lambda: time.sleep(10**6))",
            "import os, time\nos.register_at_fork(before=lambda: time.sleep(10**6))",
            "import sys, time\nsys.modules['__main__'].Channel.receive = lambda self: time.sleep(10**6)",
            "import sys\nsys.modules['__main__'].Channel.receive = lambda self: exec('while True: pass')",
            "import os\nos.register_at_fork(after_in_child=lambda: [os.write(n, b'garbage') for n in range(3, 12)])",
            "import os\nos.fork = lambda: 10**6",
        ])
    func damagedForks(program: String) async throws {
        let session = try await session()
        _ = try await session.perform(.code(program))
        let next = try await session.perform(.code("1 + 1"))
        #expect(next.text.hasSuffix("Out: 2"), "\(next.text)")
        await session.close()
    }

    @Test("a fork is given up when all sleep or one works in vain, and never while it waits for the processor")
    func patience() {
        func spentAfter(_ looks: [(Bool, Double)]) -> Int? {
            var patience = ForkPatience()
            return looks.firstIndex { patience.isSpent(after: .init(isAtWork: $0.0, seconds: $0.1)) }
        }
        #expect(spentAfter(Array(repeating: (false, 0.1), count: 40)) == 11)
        // Waiting for the processor on a machine that is busy with something else, for ever so long.
        #expect(spentAfter(Array(repeating: (true, 0.1), count: 1000)) == nil)
        // Asleep in between, as while the host is asked.
        #expect(spentAfter((0..<1000).map { ($0 % 10 == 0, 0.1) }) == nil)
        // A loop.
        #expect(spentAfter((0..<100).map { (true, Double($0) * 0.25) }) == 21)
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
