import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import Testing

@testable import RetortDomains
@testable import RetortPython

/// A small domain in a folder of its own.
struct DomainFolder {
    let url: URL

    init(_ files: [String: String]) throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("retort-domain-\(UUID().uuidString)")
        for (name, text) in files {
            let file = url.appendingPathComponent(name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
    }

    func open() async throws -> FolderDomain {
        try await FolderDomain(DomainPlan(url), keepingIndexIn: url.appendingPathComponent("index"))
    }

    func remove() { try? FileManager.default.removeItem(at: url) }

    static let desk = """
        import enum
        from typing import Literal
        SHELF = {"B1": "in", "B2": "in"}
        def lend(book: str, weeks: Literal[1, 2] = 1) -> str:
            \"\"\"Lends a book.

            Args:
                book: its number
            \"\"\"
            if SHELF[book] != "in":
                raise ValueError(f"{book} is out")
            SHELF[book] = f"out for {weeks}"
            return f"{book} lent"
        def setup(task):
            for book in task.get("out", []):
                SHELF[book] = "out"
        def state():
            return SHELF
        def grade(task, answer, state):
            if answer == "crash":
                raise RuntimeError("no grade")
            return state["B1"] == task["wanted"], "as it stands"
        """

    static func shop(_ extra: String = "") -> [String: String] {
        [
            "domain.yaml": """
            name: desk
            instructions: You lend books.
            tasks: {train: train.jsonl, test: {in: test.jsonl}}
            tools: [{python: desk.py}]
            documents: {path: rules, tool: rules, results: 1}
            grader: python
            \(extra)
            """,
            "desk.py": desk,
            "train.jsonl": #"{"id": "a", "question": "Lend B1.", "wanted": "out for 1"}"#,
            "test.jsonl": #"{"id": "b", "question": "Lend B1 for two weeks.", "wanted": "out for 2", "out": ["B2"]}"#,
            "rules/hours.md": "# Hours\n\nOpen from 9 to 5.\n",
        ]
    }
}

@Suite("A user's domain")
struct DomainTests {
    @Test("functions are tools with schemas, documents are searched, tasks are read")
    func opening() async throws {
        let folder = try DomainFolder(DomainFolder.shop())
        defer { folder.remove() }
        let domain = try await folder.open()
        #expect(domain.tools.map(\.name) == ["lend", "rules"])
        #expect(domain.tools[0].parameters.map(\.typeText) == ["string", "one of 1, 2"])
        #expect(domain.tools[0].parameters[0].summary == "its number")
        #expect(domain.tests[0].metadata["wanted"] == "out for 2")
        // snippet: A folder
        let session = try await domain.session(for: domain.tests[0], form: .code, tools: domain.hostTools) {
            throw PythonError.closed
        }
        let seen = try await session.perform(.code("print(lend('B1'))"))
        #expect(seen.text == "B1 lent")
        await session.close()
        // end snippet
        let found = try await domain.retriever?.call(["query": "when open"])
        #expect(found?.string?.contains("Open from 9 to 5.") == true)
        await domain.close()
    }

    @Test("a branch's state is its own, and the state that is left is the winner's", arguments: ActionForm.allCases)
    func branches(form: ActionForm) async throws {
        let folder = try DomainFolder(DomainFolder.shop())
        defer { folder.remove() }
        let domain = try await folder.open()
        func lend(_ book: String, _ weeks: Int) -> Action {
            form == .code
                ? .code("print(lend('\(book)', \(weeks)))")
                : .toolCall(name: "lend", arguments: ["book": .string(book), "weeks": .integer(weeks)])
        }
        let session = try await domain.session(for: domain.tests[0], form: form, tools: domain.hostTools) {
            throw PythonError.closed
        }
        #expect(try await session.state() == ["B1": "in", "B2": "out"])
        let branch = try await session.fork()
        let observation = try await branch.perform(lend("B1", 2))
        #expect(observation.text == "B1 lent")
        #expect(observation.toolCalls.map(\.name) == ["lend"])
        #expect(observation.toolCalls.first?.arguments["weeks"] == 2)
        #expect(try await branch.state() == ["B1": "out for 2", "B2": "out"])
        #expect(try await session.state() == ["B1": "in", "B2": "out"])
        // Two candidates: one is chosen, the other never happened.
        let first = try await session.attempt(lend("B1", 1))
        let second = try await session.attempt(lend("B1", 2))
        await second.discard()
        let (_, after) = try await first.commit()
        #expect(try await after.state() == ["B1": "out for 1", "B2": "out"])
        let refused = try await after.perform(lend("B2", 1))
        #expect(refused.outcome == .executionError(type: "ValueError", message: "B2 is out"))
        await branch.close()
        await after.close()
        await domain.close()
    }

    @Test("a call that does not fit its schema is refused before it happens")
    func schemas() async throws {
        let folder = try DomainFolder(DomainFolder.shop())
        defer { folder.remove() }
        let domain = try await folder.open()
        let session = try await domain.session(for: domain.tests[0], form: .json, tools: []) {
            throw PythonError.closed
        }
        for arguments: JSONValue in [["book": "B1", "weeks": 3], ["weeks": 1], ["book": 1], ["book": "B1", "x": 1]] {
            let observation = try await session.perform(.toolCall(name: "lend", arguments: arguments))
            #expect(observation.outcome.isFailure)
        }
        #expect(try await session.perform(.toolCall(name: "nope", arguments: [:])).text.contains("lend"))
        #expect(try await session.state() == ["B1": "in", "B2": "out"])
        await session.close()
        await domain.close()
    }

    @Test("the domain's own function grades from the facts, and breaks loudly")
    func grading() async throws {
        let folder = try DomainFolder(DomainFolder.shop())
        defer { folder.remove() }
        let domain = try await folder.open()
        let grader = try #require(domain.grader(symbolic: nil, judge: nil))
        func trajectory(_ answer: JSONValue, _ state: JSONValue) -> Trajectory {
            var trajectory = Trajectory(task: domain.tests[0], provenance: Provenance(policy: "p", model: "m"))
            trajectory.end(.answered(answer))
            trajectory.state = state
            return trajectory
        }
        #expect(try await grader.grade(trajectory("ok", ["B1": "out for 2"])).isCorrect)
        #expect(
            try await grader.grade(trajectory("ok", ["B1": "in"])) == Verdict(isCorrect: false, reason: "as it stands"))
        await #expect(throws: PythonError.self) { _ = try await grader.grade(trajectory("crash", ["B1": "in"])) }
        // A session that has ended is no fault of the answer.
        let ended = try #require(await domain.interpreter?.grading)
        try await ended.value.close()
        #expect(try await grader.grade(trajectory("ok", ["B1": "out for 2"])).isCorrect)
        // Nor does one grade without end: its limit of processor time counts all of them.
        let session = try #require(await domain.interpreter?.grading)
        #expect(session != ended)
        let right = trajectory("ok", ["B1": "out for 2"])
        try await withThrowingTaskGroup(of: Bool.self) { group in
            let each = PythonInterpreter.mostGradings / 4
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<each where try await !grader.grade(right).isCorrect { return false }
                    return true
                }
            }
            for try await areCorrect in group { #expect(areCorrect) }
        }
        #expect(await domain.interpreter?.grading != session)
        await domain.close()
    }

    @Test(
        "a check puts reference answers to the domain's own function",
        arguments: [
            ("return answer == task['answer']", true, "grade() accepts 2 of 2 reference answers"),
            (
                "return task['id'] == 'b', 'not this one'", true,
                "grade() accepts 1 of 2 reference answers; it refuses 'a', for one (not this one)"
            ),
            (
                "return False, 'never'", false,
                "grade() accepts 0 of 2 reference answers; it refuses 'a', for one (never)"
            ),
            ("return {}['x']", false, "grade() fails on 'a'"),
        ])
    func checkedReferences(body: String, holds: Bool, text: String) async throws {
        let folder = try DomainFolder([
            "domain.yaml": "tasks: {test: {in: t.jsonl}}\ntools: [{python: tools.py}]\ngrader: python\n",
            "t.jsonl": #"{"id": "a", "question": "q", "answer": 1}"# + "\n"
                + #"{"id": "b", "question": "r", "answer": "x y"}"#,
            "tools.py": "def f(x: int) -> int:\n    \"\"\"F.\"\"\"\n    return x\n\n\n"
                + "def grade(task, answer, state):\n    \(body)\n",
        ])
        defer { folder.remove() }
        let domain = try await folder.open()
        let findings = try await DomainCheck(domain).findings.filter { $0.name == "references" }
        await domain.close()
        #expect(findings.map(\.holds) == [holds])
        #expect(findings.allSatisfy { $0.detail.hasPrefix(text) }, "\(findings)")
    }

    @Test(
        "what cannot be a tool is named with its file and line",
        arguments: [
            ("def f(x) -> int:\n    \"\"\"F.\"\"\"\n", "has no annotation"),
            ("def f(x: int): return x\n", "no docstring"),
            ("def f(*x: int):\n    \"\"\"F.\"\"\"\n", "name every parameter"),
            ("class C: pass\ndef f(x: C):\n    \"\"\"F.\"\"\"\n", "make it a dataclass"),
            ("def f(x: dict[int, str]):\n    \"\"\"F.\"\"\"\n", "keys must be str"),
            ("import nothing_of_the_kind\n", "ModuleNotFoundError"),
            (
                "def f(x: int):\n    \"\"\"F.\"\"\"\ndef f(y: int):\n    \"\"\"G.\"\"\"\n",
                "desk.py:3: f(): it is defined twice"
            ),
            ("def f(:\n", "SyntaxError"), ("raise SystemExit(3)\n", "SystemExit"),
            ("def print(x: int):\n    \"\"\"F.\"\"\"\n", "which it would hide"),
            (
                "import functools\n@functools.cache\ndef f(x: list[int]):\n    \"\"\"F.\"\"\"\n",
                "a function with a cache cannot take"
            ),
        ])
    func faults(source: String, words: String) async throws {
        var files = DomainFolder.shop()
        files["desk.py"] = source + "\ndef grade(task, answer, state): return True\n"
        let folder = try DomainFolder(files)
        defer { folder.remove() }
        let error = await #expect(throws: (any Error).self) { _ = try await folder.open() }
        #expect("\(try #require(error))".contains(words))
        #expect("\(try #require(error))".contains("desk.py"))
    }

    @Test("a domain's file is refused by key and line, never in part")
    func keys() throws {
        let folder = try DomainFolder([
            "domain.yaml": "name: x\ntasks: {train: a.jsonl}\ngrader: {kind: number, tolerence: 1}\ntool: []\n"
        ])
        defer { folder.remove() }
        let error = #expect(throws: RecipeError.self) { _ = try DomainPlan(folder.url) }
        #expect(error?.faults.map(\.line) == [3, 4])
        #expect(error?.description.contains("tolerance") == true)
    }

    @Test("what its tasks and its search are made of is known by content")
    func content() async throws {
        func parts(_ change: (inout [String: String]) -> Void) async throws -> [String] {
            var files = DomainFolder.shop()
            change(&files)
            let folder = try DomainFolder(files)
            defer { folder.remove() }
            let domain = try await folder.open()
            defer { Task { await domain.close() } }
            let parts = try [DomainPart.train, .tests, .tools, .grading].flatMap { part in
                try domain.content(of: part) { String(try String(contentsOf: $0, encoding: .utf8).hashValue) }
            }
            return parts.map { "\($0.name) \($0.value)" }
        }
        let before = try await parts { _ in }
        #expect(try await parts { _ in } == before)
        for (file, old, new) in [
            ("domain.yaml", "results: 1", "results: 2"),
            ("domain.yaml", "grader: python", "grader: python\nfields: {id: number}"),
            ("desk.py", "is out", "is away"), ("train.jsonl", "Lend B1.", "Lend B1!"), ("rules/hours.md", "9", "8"),
        ] {
            #expect(try await parts { $0[file] = $0[file]?.replacing(old, with: new) } != before, "\(file): \(new)")
        }
    }

    @Test("a record's own answer reaches setup and grade as it is")
    func records() throws {
        let folder = try DomainFolder([
            "domain.yaml": "tasks: {train: t.jsonl}\ngrader: json\n",
            "t.jsonl": #"{"id": "a", "question": "q", "answer": "Paris"}"# + "\n"
                + #"{"id": "b", "question": "r", "answer": [1, "x"]}"#,
        ])
        defer { folder.remove() }
        let plan = try DomainPlan(folder.url)
        var taken: [String: String] = [:]
        let tasks = try plan.tasks(#require(plan.train), split: "train", taken: &taken)
        #expect(tasks.map { DomainPlan.record($0, answer: "answer")["answer"] } == ["Paris", [1, "x"]])
        #expect(tasks.map(\.answers) == [[#""Paris""#], [#"[1,"x"]"#]])
    }

    @Test("functions are given the whole record, with the members that make the question")
    func wholeRecord() throws {
        let folder = try DomainFolder([
            "domain.yaml": "tasks: {train: t.jsonl}\nfields: {id: number, question: [context, ask]}\n",
            "t.jsonl": #"{"number": null, "context": "In Rome.", "ask": "Where?", "answer": "Rome"}"#,
        ])
        defer { folder.remove() }
        let plan = try DomainPlan(folder.url)
        var taken: [String: String] = [:]
        let file = try #require(plan.train)
        let task = try #require(plan.tasks(file, split: "train", taken: &taken).first)
        let record = DomainPlan.record(task, answer: "answer")
        #expect(record["context"] == "In Rome." && record["ask"] == "Where?")
        #expect(record["question"] == "In Rome. Where?")
        #expect(task.id == "t-1")
    }

    @Test("tasks in another encoding, and a folder in a file's place, are told as what they are")
    func encodings() throws {
        let folder = try DomainFolder([
            "domain.yaml": "tasks: {train: t.jsonl, test: {in: more}}\n", "more/t.jsonl": "{}",
        ])
        defer { folder.remove() }
        let file = folder.url.appendingPathComponent("t.jsonl")
        let plan = try DomainPlan(folder.url)
        func read(_ tasks: DomainPlan.TaskFile?) throws {
            var taken: [String: String] = [:]
            _ = try plan.tasks(#require(tasks), split: "train", taken: &taken)
        }
        for encoding in [String.Encoding.isoLatin1, .utf16] {
            try #require("{\"question\": \"caf\u{E9}?\"}\n".data(using: encoding)).write(to: file)
            let error = #expect(throws: (any Error).self) { try read(plan.train) }
            #expect("\(error as Any)".contains("not UTF-8"), "\(encoding): \(error as Any)")
        }
        #expect(throws: DomainError.self) { try read(plan.tests.first?.tasks) }
    }

    @Test(
        "a key without a value is refused by name",
        arguments: ["instructions: null", "name: ~", "tasks: {train: }", "documents: {path: a, tool: null}"])
    func emptyKeys(line: String) throws {
        let folder = try DomainFolder(["domain.yaml": line + "\n"])
        defer { folder.remove() }
        let error = #expect(throws: RecipeError.self) { _ = try DomainPlan(folder.url) }
        #expect(error?.description.contains("has no value") == true, "\(error as Any)")
    }

    @Test("a word of Python's own is no name for the documents' search", arguments: ["class", "print"])
    func reservedNames(name: String) throws {
        let folder = try DomainFolder(["domain.yaml": "documents: {path: docs, tool: \(name)}\n"])
        defer { folder.remove() }
        let error = #expect(throws: RecipeError.self) { _ = try DomainPlan(folder.url) }
        #expect(error?.description.contains("'\(name)' is a") == true)
    }

    @Test("types of a union, parameters by position and kept results work as they are declared")
    func declaredForms() async throws {
        var files = DomainFolder.shop()
        files["desk.py"] =
            "\u{FEFF}" + #"""
                import dataclasses, enum, functools
                class Color(enum.Enum):
                    RED = "red"
                @dataclasses.dataclass
                class Train:
                    number: int
                @dataclasses.dataclass
                class Bus:
                    line: str
                    stop: str = ""
                def ride(by: Train | Bus, color: Color | str, /, price: int | float = 1) -> str:
                    """Rides.

                    Parameters
                    ----------
                    by : Train or Bus
                        what takes you
                    color : str
                        its color
                    """
                    return f"{by} {color} {price}"
                @functools.cache
                def twice(x: int) -> int:
                    """Doubles."""
                    return 2 * x
                def grade(task, answer, state):
                    return True
                """#
        let folder = try DomainFolder(files)
        defer { folder.remove() }
        let domain = try await folder.open()
        #expect(domain.tools.map(\.name) == ["ride", "twice", "rules"])
        #expect(domain.tools[0].summary == "Rides.")
        #expect(domain.tools[0].parameters.map(\.summary) == ["what takes you", "its color", ""])
        let session = try await domain.session(for: domain.tests[0], form: .json, tools: []) {
            throw PythonError.closed
        }
        func call(_ name: String, _ arguments: JSONValue) async throws -> String {
            try await session.perform(.toolCall(name: name, arguments: arguments)).text
        }
        #expect(try await call("ride", ["by": ["line": "5"], "color": "blue"]) == "Bus(line='5', stop='') blue 1")
        #expect(
            try await call("ride", ["by": ["number": 7], "color": "red", "price": 2]) == "Train(number=7) Color.RED 2")
        #expect(try await call("twice", ["x": 4]) == "8")
        await session.close()
        await domain.close()
    }

    @Test("a module without a tool and a hook is refused, and one that imports its neighbour is told how")
    func modules() async throws {
        for (source, words) in [("X = 1\n", "no tool and no hook"), ("import helper\n", "name it under 'files'")] {
            var files = DomainFolder.shop()
            files["desk.py"] = source
            files["helper.py"] = "Y = 1\n"
            let folder = try DomainFolder(files)
            defer { folder.remove() }
            let error = await #expect(throws: PythonError.self) { _ = try await folder.open() }
            #expect("\(try #require(error))".contains(words))
        }
    }

    @Test("a question that is trained on and tested is refused")
    func overlap() async throws {
        var files = DomainFolder.shop()
        files["test.jsonl"] = #"{"id": "b", "question": "Lend B1.", "wanted": "x"}"#
        let folder = try DomainFolder(files)
        defer { folder.remove() }
        await #expect(throws: DomainError.taughtTests(split: "in", count: 1, example: "Lend B1.")) {
            _ = try await folder.open()
        }
    }
}

@Suite("Graders of domains")
struct DomainGraderTests {
    @Test(
        "each grader accepts its own and refuses others",
        arguments: [
            (GraderPlan(.number), "The total is 1,250 dollars.", ["1250"], true),
            (GraderPlan(.number), "12.5", ["12"], false),
            (GraderPlan(.number, tolerance: 0.1), "105", ["100"], true), (GraderPlan(.choice), "(B) 12", ["B"], true),
            (GraderPlan(.choice), "The answer is C", ["B"], false),
            (GraderPlan(.overlap, threshold: 0.6), "the red house", ["red house"], true),
            (GraderPlan(.json), #"{"b": 1.0, "a": [1, 2]}"#, [#"{"a": [1, 2], "b": 1}"#], true),
            (GraderPlan(.json), #"{"a": [2, 1]}"#, [#"{"a": [1, 2]}"#], false),
            (GraderPlan(.rows), #"[["x", 1], ["y", 2.0000001]]"#, [#"[["y", 2], ["x", 1]]"#], true),
            (GraderPlan(.rows, ordered: true), #"[["x", 1], ["y", 2]]"#, [#"[["y", 2], ["x", 1]]"#], false),
            (GraderPlan(.rows), "3", ["[[3]]"], true), (GraderPlan(.rows), "[[1], [1]]", ["[[1]]"], false),
            (GraderPlan(.contains), "It is Paris, of course.", ["paris"], true),
            (GraderPlan(.contains), "Parisian", ["paris"], false),
            (GraderPlan(.regex), "order A-17 sent", [#"A-\d+"#], true),
            (GraderPlan(.regex), "order sent", [#"A-\d+"#], false),
        ])
    func verdicts(plan: GraderPlan, answer: String, references: [String], isRight: Bool) async throws {
        let task = AgentTask(id: "t", question: "", answers: references, family: plan.family)
        let grader = try #require(plan.grader())
        #expect(await grader.grade(answer, for: task).isCorrect == isRight)
        #expect(await grader.grade(nil, for: task).isCorrect == false)
    }
}
