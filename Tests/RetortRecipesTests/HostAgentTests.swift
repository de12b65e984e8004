import Foundation
import RetortCore
import RetortDomains
import RetortStore
import Testing

@testable import RetortRecipes

@Suite("Portable agents with tools on the host", .serialized, .timeLimit(.minutes(30)))
struct HostAgentTests {
    /// A domain whose tool on the host is made of many files.
    private func writeDomain(_ bench: AgentBench) throws {
        let files = [
            "domain.yaml": """
            name: desk
            tasks: {train: train.jsonl, test: {in: test.jsonl}}
            tools: [{python: code/far.py, place: host, files: [code/data/rooms.json]}]
            """,
            "code/far.py": """
            import pathlib, sys
            sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "shared"))
            import rooms
            from words import greeting
            def room(name: str) -> str:
                \"\"\"Tells who has a room.

                Args:
                    name: its name
                \"\"\"
                import closing
                from common import mark
                return greeting(rooms.owner(name)) + mark + closing.words()
            """,
            "code/rooms.py": """
            import json, pathlib
            OWNERS = json.loads((pathlib.Path(__file__).parent / "data/rooms.json").read_text())
            def owner(name): return OWNERS[name]
            """,
            "code/data/rooms.json": #"{"blue": "Rosa"}"#,
            "code/words/__init__.py": """
            import importlib.resources
            from .inner import put
            def greeting(name): return put((importlib.resources.files(__name__) / "form.txt").read_text(), name)
            """,
            "code/words/inner.py": "def put(form, name): return form.format(name)",
            "code/words/form.txt": "It is {}'s",
            "code/closing.py": "def words(): return ' Goodbye.'",
            "code/unused.py": "raise ValueError('never imported')",
            "shared/common.py": "mark = '.'",
            "train.jsonl": #"{"id": "a", "question": "Who has room blue?", "answer": "Rosa"}"# + "\n",
            "test.jsonl": #"{"id": "b", "question": "Please: who has room blue?", "answer": "Rosa"}"# + "\n",
        ]
        for (name, text) in files { try bench.write("desk/\(name)", text) }
        var trajectory = Trajectory(
            task: AgentTask(id: "a", question: "Who has room blue?", answers: ["Rosa"], family: .factual),
            provenance: Provenance(policy: "teacher", model: "m"))
        trajectory.append(
            Step(
                thought: "I look.", action: .code("final_answer(room('blue')[6:10])"),
                observation: Observation(text: "", outcome: .final("Rosa"))))
        trajectory.end(.answered("Rosa"))
        try bench.write("desk/taught.jsonl", String(decoding: try ExactJSON.encode(trajectory), as: UTF8.self) + "\n")
    }

    private func recipe(_ bench: AgentBench) throws -> Recipe {
        try Recipe(
            yaml: """
                name: desk
                domain: desk
                teacher: {trajectories: desk/taught.jsonl, format: trajectories}
                students: [{name: s, base: '\(bench.base.path)'}]
                training:
                  agent: {epochs: 1, validation: none, lora: {rank: 2, alpha: 4, targets: [q_proj]}}
                evaluation: {systems: [agent], tasks: 1, maxSteps: 2, maxTokens: 24, weights: float32}
                """, file: bench.url.appendingPathComponent("desk.yaml").path)
    }

    @Test("the agent acts from its copy: what its tools import and read came along, and the domain is gone")
    func copy() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        try writeDomain(bench)
        try await RecipeRun(recipe(bench), folder: bench.run).run(until: .train)
        let copy = try bench.copied("s/agent")
        let base = bench.elsewhere.appendingPathComponent("base")
        try FileManager.default.moveItem(at: bench.base, to: base)
        for gone in ["run", "desk"] { try FileManager.default.removeItem(at: bench.url.appendingPathComponent(gone)) }
        let named = try AgentFolder(copy).file.files.keys.filter { $0.hasPrefix("domain/") }.sorted()
        #expect(
            named == [
                "domain/code/closing.py", "domain/code/common.py", "domain/code/data/rooms.json", "domain/code/far.py",
                "domain/code/rooms.py", "domain/code/words/__init__.py", "domain/code/words/form.txt",
                "domain/code/words/inner.py",
            ])
        var options = bench.options(base: base)
        options.processes = .allowed
        let agent = try await Agent(contentsOf: copy, options: options)
        let session = try await agent.session(for: agent.task("Who has room blue?"))
        let seen = try await session.perform(.code("print(room('blue'))"))
        #expect(seen.text == "It is Rosa's. Goodbye.")
        await session.close()
        await agent.close()
        // A helper is held against its hash like every other file.
        try Data("def words(): return 'x'".utf8).write(to: copy.appendingPathComponent("domain/code/closing.py"))
        await #expect(throws: AgentError.self) { try await Agent(contentsOf: copy, options: options) }
    }

    @Test("another byte of what a tool imports or reads makes the agent anew; of what it does not, nothing")
    func dependence() async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        try writeDomain(bench)
        let recipe = try recipe(bench)
        try await RecipeRun(recipe, folder: bench.run).run(until: .train)
        func open() async throws -> [String] {
            try await RecipeRun(recipe, folder: bench.run).plan(until: .train).entries.filter { $0.action != .keep }
                .map(\.stage)
        }
        #expect(try await open().isEmpty)
        try bench.write("desk/code/unused.py", "1")
        #expect(try await open().isEmpty)
        let changes = [
            "code/closing.py": "def words(): return ' Bye.'", "code/words/form.txt": "Hers: {}",
            "code/data/rooms.json": #"{"blue": "Rosa", "red": "Tom"}"#, "shared/common.py": "mark = '!'",
        ]
        for (name, text) in changes {
            let kept = try String(contentsOf: bench.url.appendingPathComponent("desk/\(name)"), encoding: .utf8)
            try bench.write("desk/\(name)", text)
            #expect(try await open().contains("agent/s/agent"), "\(name)")
            try bench.write("desk/\(name)", kept)
            #expect(try await open().isEmpty)
        }
    }
}
