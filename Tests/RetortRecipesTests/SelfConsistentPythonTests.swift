import RetortAgents
import RetortCore
import RetortPython
import Synchronization
import Testing

/// Counts its calls; `effect` says whether they may be shared.
private final class CountingTool: Tool {
    let specification: ToolSpecification
    let calls = Mutex<[String]>([])

    init(_ name: String, effect: ToolSpecification.Effect) {
        specification = ToolSpecification(
            name: name, summary: "Counts.", parameters: [.init("text", type: "string", summary: "What.")],
            returns: "string", effect: effect)
    }

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        let text = arguments["text"]?.string ?? ""
        calls.withLock { $0.append(text) }
        return .string("did \(text)")
    }
}

/// Proposes given programs, all at once.
private struct Programs: Policy {
    let programs: [String]
    var name: String { "programs" }
    var modelIdentity: String { "none" }

    func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        programs.map { Proposal(thought: "", action: .code($0)) }
    }

    func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal? { nil }
}

@Suite("Self-consistent actions in the interpreter")
struct SelfConsistentPythonTests {
    private static let python = Task { try await PythonInterpreter() }
    private let search = CountingTool("search", effect: .pure)
    private let send = CountingTool("send", effect: .external)

    /// One step of several candidates, then what `after` prints in the session that stands.
    private func step(
        _ programs: [String], before: String = "x = 0", after: String = "x"
    ) async throws -> (step: Step, after: String) {
        let session = try await Self.python.value.session(tools: [search, send])
        _ = try await session.perform(.code(before))
        let trajectory = Trajectory(
            task: AgentTask(id: "t", question: "?", answers: [], family: .math),
            provenance: Provenance(policy: "programs", model: "none"))
        let advance = try await SelfConsistentSearch(samples: programs.count).advance(
            trajectory, policy: Programs(programs: programs), environment: session, seed: 1, emit: { _ in })
        let text = try await advance.environment.perform(.code(after)).text
        await advance.environment.close()
        return (advance.step, text)
    }

    @Test("x = x + 1 in eight candidates leaves x = 1 more")
    func isolation() async throws {
        let programs = (0..<8).map { "x = x + 1" + String(repeating: " ", count: $0) }
        #expect(try await step(programs).after == "Out: 1")
        #expect(try await step(Array(repeating: "x = x + 1", count: 8)).after == "Out: 1")
    }

    @Test("a search called by eight candidates reaches the retriever once")
    func pure() async throws {
        let programs = (0..<8).map { "print(search('swift'))  # \($0)" }
        let (step, _) = try await step(programs)
        #expect(search.calls.withLock { $0 } == ["swift"])
        #expect(step.observation.text == "did swift")
        #expect(step.candidates[0].votes >= 5)
    }

    @Test("an effect on the outside happens once, for the winner alone, and its program goes on with the answer")
    func external() async throws {
        let programs = [
            "print('no')", "r = send('a')\nx = 7\nprint(r)", "r = send('a')\nx = 8\nprint(r)",
            "r = send('b')\nprint(r)",
        ]
        let (step, after) = try await step(programs)
        #expect(send.calls.withLock { $0 } == ["a"])
        #expect(step.observation.text == "did a")
        #expect(step.observation.toolCalls.map(\.name) == ["send"])
        #expect(after == "Out: 7")
    }

    @Test("a loser's effect never happens")
    func loser() async throws {
        let (step, _) = try await step(["print(1)", "print(1.0)", "send('a')"])
        #expect(send.calls.withLock { $0 }.isEmpty)
        #expect(step.observation.text == "1")
    }

    @Test("candidates change the session's files only when they have won")
    func files() async throws {
        let write = { (text: String) in "f = open('/tmp/note', 'w')\nf.write('\(text)')\nf.close()\nprint('written')" }
        let (_, after) = try await step(
            [write("first"), write("second"), "print(0)"], after: "open('/tmp/note').read()")
        #expect(after == "Out: first")
        let (_, none) = try await step(
            ["print(0)", "print(0.0)", write("loser")], after: "import os\nos.path.exists('/tmp/note')")
        #expect(none == "Out: False")
    }

    @Test(
        "finals vote by value: 1, 2, 2, 2 choose 2",
        arguments: [
            ["1", "2", "2 ", "2  "], ["1", "2", "2.0", "'2'"], ["[1]", "{'a': 2.0}", "{'a': 2}", "dict(a=2)"],
        ])
    func finals(values: [String]) async throws {
        let (step, _) = try await step(values.map { "final_answer(\($0))" })
        #expect(step.candidates.map(\.chosen) == [false, true, false, false])
    }

    @Test("a candidate that crashes or never ends harms no other")
    func crash() async throws {
        let (step, after) = try await step([
            "import os\nos._exit(1)", "x = 5\nprint(x)", "x = 5\nprint(x) ", "import ctypes\nctypes.string_at(0)",
        ])
        #expect(step.observation.text == "5")
        #expect(after == "Out: 5")
    }
}
