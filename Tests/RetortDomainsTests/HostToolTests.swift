import Foundation
import Glibc
import RetortCore
import RetortPython
import Testing

@testable import RetortDomains

/// A domain whose tools run on the host.
private struct HostFolder {
    static let tools = """
        import dataclasses, os, sys, time
        COUNT = 0
        OWNER = None
        @dataclasses.dataclass
        class Size:
            width: int
            depth: float = 1.0
        def setup(task):
            global OWNER
            if task["question"] == "broken":
                raise KeyError("no such database")
            OWNER = task["id"]
        def count(by: int = 1) -> int:
            \"\"\"Counts.\"\"\"
            global COUNT
            COUNT += by
            return COUNT
        def owner() -> str:
            \"\"\"Whose it is.\"\"\"
            return OWNER
        def order(second: str, first: str) -> str:
            \"\"\"Joins.\"\"\"
            return second + first
        def area(size: Size) -> dict:
            \"\"\"Computes.\"\"\"
            print("noise on standard output")
            os.system("echo more of it")
            return {"area": size.width * size.depth, "nan": float("nan"), "big": 2 ** 80, "pid": os.getpid()}
        def refuse(why: str) -> None:
            \"\"\"Raises.\"\"\"
            raise ValueError(why)
        def die() -> None:
            \"\"\"Ends the process.\"\"\"
            print("the disk is full", file=sys.stderr, flush=True)
            os._exit(7)
        def hang() -> None:
            \"\"\"Never ends.\"\"\"
            while True:
                try:
                    time.sleep(600)
                except BaseException:
                    pass
        def secret() -> str:
            \"\"\"Tells a variable.\"\"\"
            return os.environ["HOME"]
        """

    static func files(_ keys: String = "", tools: String = tools) -> [String: String] {
        [
            "domain.yaml": """
            tasks: {test: {in: test.jsonl}}
            tools: [{python: far.py, place: host, \(keys)}]
            """,
            "far.py": tools,
            "test.jsonl": #"{"id": "a", "question": "one", "answer": "1"}"# + "\n"
                + #"{"id": "b", "question": "broken", "answer": "1"}"#,
        ]
    }

    /// Opens a domain, does something with it and ends it.
    static func with(
        _ files: [String: String] = files(), _ body: (FolderDomain) async throws -> Void
    ) async throws {
        let folder = try DomainFolder(files)
        defer { folder.remove() }
        let domain = try await folder.open()
        do {
            try await body(domain)
        } catch {
            await domain.close()
            throw error
        }
        await domain.close()
    }
}

@Suite("Tools on the host", .timeLimit(.minutes(30)))
struct HostToolTests {
    @Test("functions keep their order, values their kind; prints go astray; the environment is the user's")
    func values() async throws {
        try await HostFolder.with { domain in
            #expect(domain.tools.first { $0.name == "order" }?.parameters.map(\.name) == ["second", "first"])
            #expect(domain.tools.allSatisfy { $0.effect == .external && $0.name != "setup" })
            let session = try await domain.session(.code)
            let program = """
                print(order("a", "b"), secret() != "")
                found = area({"width": 3, "depth": 2.0})
                print(found["area"], type(found["area"]).__name__, found["nan"] != found["nan"], found["big"] == 2 ** 80)
                """
            let observation = try await session.perform(.code(program))
            #expect(observation.text == "ab True\n6.0 float True True")
            #expect(observation.toolCalls.map(\.name) == ["order", "secret", "area"])
            await session.close()
        }
    }

    @Test("what raises, dies or hangs is an exception in the program, and the next call is answered")
    func failures() async throws {
        // Short for what hangs, and long enough for a new process on a busy machine.
        try await HostFolder.with(HostFolder.files("seconds: 10")) { domain in
            let session = try await domain.session(.code)
            let program = """
                count(5)
                for wrong in (lambda: refuse("not on Sundays"), die, hang, lambda: count("x")):
                    try:
                        wrong()
                    except Exception as error:
                        print(type(error).__name__, error)
                print(count(), owner())
                """
            let lines = try await session.perform(.code(program)).text.split(separator: "\n").map(String.init)
            try #require(lines.count == 5)
            #expect(lines[0].hasPrefix("ToolError refuse(): ValueError: not on Sundays (far.py, line "))
            #expect(lines[1].contains("the process of far.py ended (exit code 7)"))
            #expect(lines[1].contains("the disk is full"))
            #expect(lines[1].contains("with the task's state made anew"))
            #expect(lines[2].contains("no result within 10.0 seconds"))
            #expect(lines[3].contains("'by' must be of type integer"))
            // The process is a new one, and the task's state was made anew.
            #expect(lines[4] == "1 a")
            await session.close()
        }
    }

    @Test("no state passes from task to task unless it is declared", arguments: ["task", "run"])
    func lifetimes(lifetime: String) async throws {
        let tools = HostFolder.tools.replacing("def setup(task)", with: "def _setup(task)")
        try await HostFolder.with(HostFolder.files("lifetime: \(lifetime)", tools: tools)) { domain in
            let first = try await domain.session(.json)
            let second = try await domain.session(.json, task: 1)
            #expect(try await first.call("count").text == "1")
            // A branch shares what is outside.
            let branch = try await first.fork()
            #expect(try await branch.call("count").text == "2")
            #expect(try await second.call("count").text == (lifetime == "run" ? "3" : "1"))
        }
    }

    @Test("a task whose state cannot be made fails by name, and is no wrong answer")
    func setup() async throws {
        try await HostFolder.with { domain in
            let error = await #expect(throws: ToolServiceError.self) { _ = try await domain.session(.json, task: 1) }
            let text = "\(try #require(error))"
            #expect(text.contains("setup() of") && text.contains("KeyError") && text.contains("far.py, line "))
        }
    }

    @Test("of several candidates only the chosen one's call is made")
    func effects() async throws {
        try await HostFolder.with { domain in
            for form in ActionForm.allCases {
                let session = try await domain.session(form)
                let action: Action = form == .code ? .code("print(count())") : .toolCall(name: "count", arguments: [:])
                var trials: [any Attempt] = []
                for _ in 0..<3 { trials.append(try await session.attempt(action)) }
                for trial in trials.dropFirst() { await trial.discard() }
                let (observation, after) = try await trials[0].commit()
                #expect(observation.text == "1")
                #expect(try await after.perform(action).text == "2")
                await after.close()
            }
        }
    }

    @Test("a pure function is asked once for all candidates")
    func pure() async throws {
        try await HostFolder.with(HostFolder.files("effect: {count: pure}")) { domain in
            let session = try await domain.session(.code)
            for _ in 0..<3 {
                let trial = try await session.attempt(.code("print(count(7))"))
                guard case .finished(let observation) = trial.progress else { throw PythonError.closed }
                #expect(observation.text == "7")
                await trial.discard()
            }
            await session.close()
        }
    }

    @Test("processes end with their task's session, and with the domain")
    func ends() async throws {
        var pids: [pid_t] = []
        try await HostFolder.with { domain in
            func pid(_ session: any Environment) async throws -> pid_t {
                let text = try await session.call("area", ["size": ["width": 1]]).text
                guard case .integer(let pid) = JSONValue.read(text)["pid"] else { throw PythonError.closed }
                return pid_t(pid)
            }
            pids.append(try await pid(domain.session(.json)))
            try await gone(pids[0])
            let kept = try await domain.session(.json)
            pids.append(try await pid(kept))
            #expect(kill(pids[1], 0) == 0)
            await domain.close()
            try await gone(pids[1])
            await kept.close()
        }
    }

    /// Waits until a process is no more.
    private func gone(_ pid: pid_t) async throws {
        for _ in 0..<600 where kill(pid, 0) == 0 { try await Task.sleep(for: .milliseconds(50)) }
        #expect(kill(pid, 0) != 0)
    }

    @Test("calls that were cancelled before their turn are not made, and a run that is cancelled does not wait")
    func cancellation() async throws {
        let tools = HostFolder.tools.replacing("def setup(task)", with: "def _setup(task)")
        try await HostFolder.with(HostFolder.files("seconds: 10, lifetime: run", tools: tools)) { domain in
            let session = try await domain.session(.json)
            let hanging = Task { try await session.call("hang") }
            try await Task.sleep(for: .milliseconds(300))
            let waiting = Task { try await session.call("count", ["by": 100]) }
            try await Task.sleep(for: .milliseconds(100))
            waiting.cancel()
            await #expect(throws: CancellationError.self) { _ = try await waiting.value }
            #expect(try await hanging.value.text.contains("no result within 10.0 seconds"))
            #expect(try await session.call("count").text == "1")
        }
    }

    @Test("what a module imports of the user's is known, wherever it says so, and its bytes are the tools'")
    func companions() async throws {
        var files = HostFolder.files(
            "files: [rooms.json]",
            tools: """
                import json, os, sys
                sys.path.append(os.path.join(os.path.dirname(__file__), "lib"))
                import numpy_of_mine, again
                from desk.inner import rule
                def count(by: int) -> int:
                    \"\"\"Counts.\"\"\"
                    import lazy.one
                    from outside import thing
                    import far, nothing_of_the_kind
                    return by
                """)
        let sources = [
            "numpy_of_mine.py": "import second", "second.py": "import far as itself", "again.py": "import second",
            "desk/__init__.py": "", "desk/inner.py": "from . import other\nrule = 1", "desk/other.py": "",
            "desk/words.txt": "a", "lazy/one.py": "import late", "late.py": "", "lib/outside.py": "thing = 1",
            "never.py": "", "rooms.json": "{}", "json_of_mine.py": "", ".venv/lib/hidden.py": "",
        ]
        files.merge(sources) { $1 }
        try await HostFolder.with(files) { domain in
            let found = domain.companions(of: "far.py")
            let places = ["again.py", "desk", "late.py", "lazy/one.py", "numpy_of_mine.py", "outside.py", "second.py"]
            #expect(found.map(\.place) == places)
            #expect(found.first { $0.place == "outside.py" }?.file.path.hasSuffix("/lib/outside.py") == true)
            let content = try domain.content(of: .tools) { try String(contentsOf: $0, encoding: .utf8) }.map(\.name)
            #expect(
                content == [
                    "far.py", "rooms.json", "again.py", "desk/__init__.py", "desk/inner.py", "desk/other.py",
                    "desk/words.txt", "late.py", "lazy/one.py", "numpy_of_mine.py", "lib/outside.py", "second.py",
                ])
        }
    }

    @Test(
        "what cannot be on the host is refused with its name",
        arguments: [
            ("", "def state(): return 1\n", "state(): it is called in the session only"),
            ("", "def grade(task, answer, state): return True\n", "grade(): it is called in the session only"),
            ("lifetime: run", "def setup(task): pass\n", "'lifetime: run' has one process for all tasks"),
            ("effect: {nope: pure}", "", "no public function 'nope'"), ("functions: [nope]", "", "function 'nope'"),
            ("", "def f(x): return x\n", "f(): the function has no docstring"),
            ("", "import nothing_of_the_kind\n", "ModuleNotFoundError"), ("", "raise SystemExit(3)\n", "SystemExit"),
            ("interpreter: no-such-python", "", "no program 'no-such-python'"),
            ("files: [none.json]", "", "none.json"), ("files: [../x.json]", "", "x.json"),
            ("", "import os; os._exit(4)\n", "ended (exit code 4)"),
            ("", "def final_answer(x: int) -> int:\n    \"\"\"F.\"\"\"\n", "is the function that ends a task"),
        ])
    func refusals(keys: String, source: String, words: String) async throws {
        let folder = try DomainFolder(HostFolder.files(keys, tools: "def g() -> int:\n    \"\"\"G.\"\"\"\n" + source))
        defer { folder.remove() }
        let error = await #expect(throws: (any Error).self) { _ = try await folder.open() }
        #expect("\(try #require(error))".contains(words))
    }
}
