import Foundation
import RetortAgents
import RetortCore
import RetortWorld
import Testing

/// A model whose every output is broken in some way.
private struct BrokenModel: LanguageModel {
    let identity = "broken"
    let seed: UInt64

    private static let tricks = [
        "\u{202E}txeN", "N\u{200B}ext: caller.", "🧑‍🚀\u{FE0F}", "\0\0", "e\u{301}\u{301}\u{301}", "\u{FEFF}", "ｃａｌｌｅｒ",
        String(repeating: "𝕏", count: 200), "\r\n\r\n", "<|im_end|>",
    ]

    private static func plan(_ generator: inout SeededGenerator) -> String {
        let thoughts = ["", "I think.", "Next:", "Action: x", tricks.randomElement(using: &generator) ?? ""]
        let thought = thoughts.randomElement(using: &generator) ?? ""
        return switch Int.random(in: 0..<9, using: &generator) {
        case 0: thought
        case 1: "\(thought)\n Next: caller. Next: conclusion."
        case 2: "\(thought)\n Next: conclusion. Next: give up."
        case 3: "\(thought)\n Next: dance."
        case 4: "\(thought)\n next: CALLER"
        case 5: String(repeating: "so ", count: 5000)
        case 6: ""
        case 7: "\(thought)\n Next: give up."
        default: "\(thought)\n Next: caller."
        }
    }

    private static func call(_ name: String, _ generator: inout SeededGenerator) -> String {
        let trick = tricks.randomElement(using: &generator) ?? ""
        return switch Int.random(in: 0..<14, using: &generator) {
        case 0: ""
        case 1: "Action: \(name)"
        case 2: "Action: \(name)\nAction Input: {\"city\": "
        case 3: "Action: \(name)\nAction Input: [1, 2]"
        case 4: "Action: \(name)\nAction Input: {\"city\": NaN}"
        case 5: "Action: \(name)\nAction Input: {\"city\": \"\(String(repeating: "x", count: 200_000))\"}"
        case 6:
            "Action: \(name)\nAction Input: \(String(repeating: "{\"a\":", count: 300))1\(String(repeating: "}", count: 300))"
        case 7: "Action: made_up_\(trick)\nAction Input: {}"
        case 8: "Action: \(name)\(trick)\nAction Input: {\"\(trick)\": \"\(trick)\"}"
        case 9: "Action Input: {}\nAction: \(name)"
        case 10: "Action: \(name)\nAction Input: {\"day\": 1e999}"
        case 11: "Action: \(name)\nAction Input: {\"day\": 123456789012345678901234567890, \"day\": 2}"
        case 12: "```json\n{\"name\": \"\(name)\"}\n```"
        default: "Action: \(name)\nAction Input: {\"city\": \"\\ud800\"}"
        }
    }

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        let prompt = request.messages.map(\.text).joined(separator: "\n")
        var generator = SeededGenerator(seed: seed ^ request.sampling.seed ^ StableHash.of(prompt))
        let name = prompt.prefix { $0 != "(" }
        let text =
            switch prompt.split(separator: "\n").last {
            case "Plan.": Self.plan(&generator)
            case "Call.": Self.call(String(name), &generator)
            case "Act.": "\(Self.plan(&generator))\n\(Self.call(String(name), &generator))"
            default: Bool.random(using: &generator) ? " " : Self.tricks.randomElement(using: &generator) ?? ""
            }
        let finish: Completion.Finish = Int.random(in: 0..<12, using: &generator) == 0 ? .length : .endOfTurn
        return AsyncThrowingStream { continuation in
            for sample in 0..<request.samples {
                continuation.yield(.finished(sample: sample, Completion(text: text, finish: finish)))
            }
            continuation.finish()
        }
    }
}

@Suite("Broken model outputs")
struct BrokenOutputTests {
    /// 200 runs: roles and the single model, greedy and depth first.
    @Test("each is an outcome on record: nothing breaks, nothing is lost, nothing passes as an answer by accident")
    func recorded() async throws {
        let world = World(seed: 5, people: 60)
        let backend = try APIBackend(world)
        let items = try APITasks(world, seed: 3).items("in", count: 50)
        var kinds: [String: Int] = [:]
        for (number, item) in items.enumerated() {
            let model = RoleModel(BrokenModel(seed: UInt64(number)))
            let policies: [any Policy] = [
                RolePolicy(planner: model, caller: model, summarizer: model), ToolAgent(model: model),
            ]
            let searches: [any Search] = [GreedySearch(), DepthFirstSearch(maximumQueries: 6, reminder: .kept)]
            for policy in policies {
                for search in searches {
                    let rollout = Rollout(policy: policy, search: search, maximumSteps: 4) {
                        APISession(backend, offered: item.task.tools.map(\.name))
                    }
                    let run = try await rollout.trajectory(for: item.task)
                    try check(run, offered: Set(item.task.tools.map(\.name)), &kinds)
                }
            }
        }
        // All kinds of breakage came up.
        for kind in ["UnknownAPI", "InvalidInput", "parse", "gave up", "answered"] {
            #expect(kinds[kind, default: 0] > 0, "\(kind): \(kinds)")
        }
    }

    private func check(_ run: Trajectory, offered: Set<String>, _ kinds: inout [String: Int]) throws {
        switch run.ending {
        case .answered: kinds["answered", default: 0] += 1
        case .gaveUp: kinds["gave up", default: 0] += 1
        case .forced, .failed, nil: Issue.record("\(String(describing: run.ending))")
        }
        #expect(!run.steps.isEmpty)
        for step in run.steps {
            switch (step.action, step.observation.outcome) {
            case (.unparsable(let text, let reason), .parseError(let told)):
                kinds["parse", default: 0] += 1
                #expect(reason == told && step.observation.text.contains(reason))
                #expect(text.count <= 250_000)
            case (.unparsable, _): Issue.record("unreadable text without a parse error: \(step.observation)")
            case (.toolCall(let name, _), .executionError(let type, _)):
                kinds[type, default: 0] += 1
                if !offered.contains(name) { #expect(type == "UnknownAPI") }
            case (.toolCall(let name, _), let outcome): #expect(offered.contains(name) && outcome == .success)
            case (.answer(let value), let outcome): #expect(outcome == .final(value) && !value.text.isEmpty)
            case (.giveUp, _), (.code, _): break
            }
        }
        // On disk and back it is the same, what is no number included.
        let data = try ExactJSON.encode(run)
        #expect(try ExactJSON.encode(ExactJSON.decode(Trajectory.self, from: data)) == data)
    }
}
