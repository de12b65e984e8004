import Foundation
import RetortAgents
import RetortCore
import RetortWorld
import Synchronization
import Testing

/// What broken models wrote, by kind.
private final class BreakageTally: Sendable {
    private let counts = Mutex<[Breakage: Int]>([:])

    func add(_ breakage: Breakage) { counts.withLock { $0[breakage, default: 0] += 1 } }
    func count(_ breakage: Breakage) -> Int { counts.withLock { $0[breakage, default: 0] } }
}

/// The ways in which an output is broken.
private enum Breakage: String, CaseIterable {
    case noDecision, twoDecisions, empty, invalidJSON, noObject, unknownAPI, hugeArguments, deepArguments, unicode,
        noCall,
        strangeNumber, cut
}

/// A model whose every output is broken in some way.
private struct BrokenModel: LanguageModel {
    let identity = "broken"
    let seed: UInt64
    let tally: BreakageTally

    private static let tricks = [
        "\u{202E}txeN", "N\u{200B}ext: caller.", "🧑‍🚀\u{FE0F}", "\0\0", "e\u{301}\u{301}\u{301}", "\u{FEFF}", "ｃａｌｌｅｒ",
        String(repeating: "𝕏", count: 200), "\r\n\r\n", "<|im_end|>",
    ]

    private func plan(_ generator: inout SeededGenerator) -> String {
        let trick = Self.tricks.randomElement(using: &generator) ?? ""
        let thought = ["", "I think.", "Next:", "Action: x", trick].randomElement(using: &generator) ?? ""
        let (text, breakage): (String, Breakage?) =
            switch Int.random(in: 0..<9, using: &generator) {
            case 0: (thought, thought.isEmpty ? .empty : .noDecision)
            case 1: ("\(thought)\n Next: caller. Next: conclusion.", .twoDecisions)
            case 2: ("\(thought)\n Next: conclusion. Next: give up.", .twoDecisions)
            case 3: ("\(thought)\n Next: dance.", .noDecision)
            case 4: ("\(thought)\n next: CALLER", nil)
            case 5: (String(repeating: "so ", count: 5000), .noDecision)
            case 6: ("", .empty)
            case 7: ("\(thought)\n Next: give up.", nil)
            default: ("\(thought)\n Next: caller.", nil)
            }
        if thought == trick { tally.add(.unicode) }
        if let breakage { tally.add(breakage) }
        return text
    }

    private func call(_ name: String, _ generator: inout SeededGenerator) -> String {
        let trick = Self.tricks.randomElement(using: &generator) ?? ""
        func input(_ text: String) -> String { "Action: \(name)\nAction Input: \(text)" }
        let (text, breakage): (String, Breakage) =
            switch Int.random(in: 0..<14, using: &generator) {
            case 0: ("", .noCall)
            case 1: ("Action: \(name)", .noObject)
            case 2: (input("{\"city\": "), .invalidJSON)
            case 3: (input("[1, 2]"), .noObject)
            case 4: (input("{\"city\": NaN}"), .strangeNumber)
            case 5: (input("{\"city\": \"\(String(repeating: "x", count: 200_000))\"}"), .hugeArguments)
            case 6:
                (
                    input("\(String(repeating: "{\"a\":", count: 300))1\(String(repeating: "}", count: 300))"),
                    .deepArguments
                )
            case 7: ("Action: made_up_\(trick)\nAction Input: {}", .unknownAPI)
            case 8: ("Action: \(name)\(trick)\nAction Input: {\"\(trick)\": \"\(trick)\"}", .unicode)
            case 9: ("Action Input: {}\nAction: \(name)", .noCall)
            case 10: (input("{\"day\": 1e999}"), .strangeNumber)
            case 11: (input("{\"day\": 123456789012345678901234567890, \"day\": 2}"), .strangeNumber)
            case 12: ("```json\n{\"name\": \"\(name)\"}\n```", .noCall)
            default: (input("{\"city\": \"\\ud800\"}"), .unicode)
            }
        tally.add(breakage)
        return text
    }

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        let prompt = request.messages.map(\.text).joined(separator: "\n")
        var generator = SeededGenerator(seed: seed ^ request.sampling.seed ^ StableHash.of(prompt))
        let name = prompt.prefix { $0 != "(" }
        let text =
            switch prompt.split(separator: "\n").last {
            case "Plan.": plan(&generator)
            case "Call.": call(String(name), &generator)
            case "Act.": "\(plan(&generator))\n\(call(String(name), &generator))"
            default: Bool.random(using: &generator) ? " " : Self.tricks.randomElement(using: &generator) ?? ""
            }
        let finish: Completion.Finish = Int.random(in: 0..<12, using: &generator) == 0 ? .length : .endOfTurn
        if finish == .length { tally.add(.cut) }
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
        let tally = BreakageTally()
        var (runs, kinds) = (0, [String: Int]())
        for (number, item) in items.enumerated() {
            let model = RoleModel(BrokenModel(seed: UInt64(number), tally: tally))
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
                    runs += 1
                    try check(run, offered: Set(item.task.tools.map(\.name)), &kinds)
                }
            }
        }
        #expect(runs == 200)
        // All kinds of breakage came up, and all kinds of outcome.
        for breakage in Breakage.allCases {
            #expect(tally.count(breakage) >= 10, "\(breakage): \(tally.count(breakage))")
        }
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

    /// Says one thing as planner and another as caller.
    private struct FixedModel: LanguageModel {
        let identity = "fixed"
        let plan: String
        let call: String

        func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
            let isPlan = request.messages.last?.text.hasSuffix("Plan.") == true
            return AsyncThrowingStream { continuation in
                continuation.yield(
                    .finished(sample: 0, Completion(text: isPlan ? plan : call, finish: .endOfTurn)))
                continuation.finish()
            }
        }
    }

    /// `API` stands for the name that is offered.
    @Test(
        "each kind of breakage has the outcome that is written down for it",
        arguments: [
            ("I think.", "Action: API\nAction Input: {}", "InvalidInput"),
            ("Ｎｅｘｔ: give up.", "Action: API\nAction Input: {}", "InvalidInput"),
            ("Next: caller. Next: give up.", "Action: API\nAction Input: {}", "InvalidInput"),
            ("Next: caller.", "Action: API", "InvalidInput"),
            ("Next: caller.", "", "UnknownAPI"),
            ("Next: caller.", "Action: API\nAction Input: {\"city\": ", "parse"),
            ("Next: caller.", "Action: API\nAction Input: [1]", "parse"),
            ("Next: caller.", "Action: API\nAction Input: {\"city\": NaN}", "InvalidInput"),
            ("Next: caller.", "Action: API\nAction Input: {\"nothing\": \"HUGE\"}", "InvalidInput"),
            ("Next: caller.", "Action: made_up\nAction Input: {}", "UnknownAPI"),
            ("Next: caller.", "Action: API\u{200B}\nAction Input: {}", "UnknownAPI"),
            ("Next: caller.", "Action: \u{202E}API\nAction Input: {}", "UnknownAPI"),
            ("Next: conclusion. Next: caller.", " \n", "parse"),
            ("Next: give up. Next: conclusion.", "", "gave up"),
            ("", "", "parse"),
        ])
    func outcome(plan: String, call: String, expected: String) async throws {
        let backend = try APIBackend(World(seed: 5, people: 60))
        let item = try #require(try APITasks(World(seed: 5, people: 60), seed: 3).items("in", count: 1).first)
        let written = call.replacing("API", with: item.task.tools[0].name)
            .replacing("HUGE", with: String(repeating: "x", count: 200_000))
        let model = RoleModel(FixedModel(plan: plan, call: written))
        let policy = RolePolicy(planner: model, caller: model, summarizer: model)
        let rollout = Rollout(policy: policy, search: GreedySearch(), maximumSteps: 1) {
            APISession(backend, offered: item.task.tools.map(\.name))
        }
        let step = try #require(try await rollout.trajectory(for: item.task).steps.first)
        let outcome =
            switch (step.observation.outcome, step.ending) {
            case (.executionError(let type, _), _): type
            case (.parseError, _): "parse"
            case (_, .gaveUp): "gave up"
            default: "none"
            }
        #expect(outcome == expected)
    }
}
