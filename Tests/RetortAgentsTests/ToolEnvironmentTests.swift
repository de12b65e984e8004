import RetortAgents
import RetortCore
import RetortTesting
import Synchronization
import Testing

/// What a tool does when it is called.
struct ScriptedTool: Tool {
    let specification: ToolSpecification
    let body: @Sendable (String) async throws -> JSONValue

    init(
        _ name: String = "act", effect: ToolSpecification.Effect = .pure,
        _ body: @escaping @Sendable (String) async throws -> JSONValue
    ) {
        specification = ToolSpecification(
            name: name, summary: "", parameters: [.init("what", type: "string", summary: "")], returns: "string",
            effect: effect)
        self.body = body
    }

    func call(_ arguments: [String: JSONValue]) async throws -> JSONValue {
        try await body(arguments["what"]?.string ?? "")
    }
}

/// Says nothing about the task at hand.
struct Halting: RunHalting {
    var haltsRun = true
}

func act(_ what: String) -> Action { .toolCall(name: "act", arguments: ["what": .string(what)]) }

@Suite("An environment of tools")
struct ToolEnvironmentTests {
    @Test("what a tool refuses is observed, what halts the run is thrown")
    func errors() async throws {
        struct Refusal: Error, CustomStringConvertible { let description = "no" }
        let tools = ToolEnvironment([
            ScriptedTool { what in
                switch what {
                case "halt": throw Halting()
                case "soft": throw Halting(haltsRun: false)
                case "cancel": throw CancellationError()
                default: throw Refusal()
                }
            }
        ])
        #expect(try await tools.perform(act("x")).text == "Error: no")
        #expect(try await tools.perform(act("soft")).outcome.isFailure)
        // Nobody cancelled anything: it is the tool's own way to fail.
        #expect(try await tools.perform(act("cancel")).outcome.isFailure)
        await #expect(throws: Halting.self) { try await tools.perform(act("halt")) }
    }

    @Test("a run ends with what halts it, and a tool's own cancellation ends no run")
    func runs() async throws {
        func run(_ what: String) async throws -> Trajectory {
            let call = "Action: act\nAction Input: {\"what\": \"\(what)\"}"
            let model = ScriptedModel([["I act.\n\(call)"], ["I know.\nconclusion: 7"]])
            return try await Rollout(policy: ToolAgent(model: RoleModel(model))) {
                ToolEnvironment([
                    ScriptedTool { what in
                        guard what != "halt" else { throw Halting() }
                        throw CancellationError()
                    }
                ])
            }.trajectory(for: task)
        }
        await #expect(throws: Halting.self) { try await run("halt") }
        #expect(try await run("cancel").ending == .answered("7"))
    }

    @Test("a tool that hangs is left at its time limit, whether it listens or not")
    func late() async throws {
        let (never, end) = AsyncStream.makeStream(of: Void.self)
        let tools = ToolEnvironment(
            [
                ScriptedTool { what in
                    if what == "deaf" {
                        await Task.detached { for await _ in never {} }.value
                    } else {
                        try await Task.sleep(for: .seconds(600))
                    }
                    return "late"
                }
            ], seconds: 0.05)
        for what in ["deaf", "listening"] {
            let seen = try await tools.perform(act(what))
            #expect(seen.outcome == .timeout(seconds: 0.05))
            #expect(seen.text.contains("no result within"))
        }
        end.finish()
    }

    @Test("a call with effects outside happens once, for the candidate that is chosen")
    func effects() async throws {
        let done = Mutex<[String]>([])
        let tools = ToolEnvironment([
            ScriptedTool(effect: .external) { what in
                done.withLock { $0.append(what) }
                return .string(what)
            }
        ])
        let (first, second) = (try await tools.attempt(act("a")), try await tools.attempt(act("b")))
        #expect(done.withLock { $0 } == [])
        guard case .held(_, let effect) = first.progress else {
            Issue.record("the call was made")
            return
        }
        #expect(effect == ToolCall(name: "act", arguments: ["what": "a"]))
        await second.discard()
        #expect(try await first.commit().observation.text == "a")
        #expect(done.withLock { $0 } == ["a"])
        // What is refused needs no leave.
        let refused = try await tools.attempt(.toolCall(name: "act", arguments: [:]))
        guard case .finished(let observation) = refused.progress else { return }
        #expect(observation.outcome.isFailure)
    }
}

@Suite("Depth-first search and the world outside")
final class DepthFirstEffectTests: Sendable {
    private let done = Mutex<[String]>([])

    private func search(_ script: [String], pure: Set<String> = [], steps: Int = 5) async throws -> Trajectory {
        let model = ScriptedModel(
            script.map { word in
                let call = "Action: \(pure.contains(word) ? "look" : "act")\nAction Input: {\"what\": \"\(word)\"}"
                return [word.hasPrefix("conclusion") ? "So.\n\(word)" : "I go on.\n\(call)"]
            })
        let policy = ToolAgent(model: RoleModel(model))
        return try await Rollout(policy: policy, search: DepthFirstSearch(width: 2), maximumSteps: steps) { [self] in
            ToolEnvironment([
                ScriptedTool("look") { .string($0) },
                ScriptedTool(effect: .external) { what in
                    if what == "halt" { throw Halting() }
                    self.done.withLock { $0.append(what) }
                    return .string(what)
                },
            ])
        }.trajectory(for: task)
    }

    private func words(_ trajectory: Trajectory) -> [String] {
        trajectory.steps.map(\.observation.text).filter { !$0.isEmpty }
    }

    @Test("after an effect the search goes on from there, and never back before it")
    func forwards() async throws {
        let trajectory = try await search(
            ["a", "pay", "conclusion: give up", "b", "conclusion: 7"], pure: ["a", "b"])
        #expect(trajectory.ending == .answered("7"))
        #expect(words(trajectory) == ["a", "pay", "b"])
        #expect(done.withLock { $0 } == ["pay"])
    }

    @Test("without an answer the record is a chain with all that was done")
    func record() async throws {
        let trajectory = try await search(
            ["a", "conclusion: give up", "pay", "send", "conclusion: give up", "conclusion: give up"], pure: ["a"])
        #expect(trajectory.ending == .gaveUp(""))
        #expect(words(trajectory) == ["pay", "send"])
        #expect(done.withLock { $0 } == ["pay", "send"])
    }

    @Test("a search that breaks keeps its steps and their cost")
    func broken() async throws {
        let trajectory = try await search(["a", "b"], pure: ["a", "b"])
        #expect(trajectory.ending == .failed("\(ScriptEnded(replies: 2))"))
        #expect(words(trajectory) == ["a", "b"])
        #expect(trajectory.usage.completionTokens > 0)
        await #expect(throws: Halting.self) { try await search(["a", "halt"], pure: ["a"]) }
    }
}
