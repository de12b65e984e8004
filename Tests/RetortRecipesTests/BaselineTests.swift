import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortRecipes
import RetortStore
import Testing

/// The systems of the paper's table, by recipe, on the smallest Seedling.
@Suite("Baselines by recipe", .serialized, .timeLimit(.minutes(30)))
struct BaselineTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
    private static let seedling = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("seedlings/1m").path

    private func recipe(_ training: String, _ systems: String, world: String = "train: {factual: 6, math: 6}") throws
        -> Recipe
    {
        try Recipe(
            yaml: """
                name: baselines
                seed: 7
                domain: {world: {seed: 1, people: 60, passages: 1, \(world)}}
                students: [{name: s, base: '\(Self.seedling)'}]
                \(training)
                evaluation:
                  systems: [\(systems)]
                  tasks: 1
                  maxSteps: 2
                  maxTokens: 40
                  sag: {samples: 3, temperature: 0.8, topP: 0.95}
                """, file: "r.yaml")
    }

    private func store() throws -> TrajectoryStore {
        try TrajectoryStore(folder.appendingPathComponent("trajectories.sqlite"), .existing)
    }

    private func summary(_ recipe: Recipe) async throws -> EvaluationSummary {
        guard case .answers(let summary)? = try await RecipeRun(recipe, folder: folder).run() else {
            throw CancellationError()
        }
        return summary
    }

    @Test("prompting needs no training: the base is told what to do, and every question is accounted for")
    func prompting() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let summary = try await summary(recipe("", "cot-prompt, agent-prompt"))
        #expect(summary.cells.count == 8 && summary.cells.allSatisfy { $0.n == 1 })
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/checkpoints").isEmpty)
        let reasoned = try await store().entries(in: "evaluate/s/cot-prompt").map(\.trajectory)
        let acted = try await store().entries(in: "evaluate/s/agent-prompt").map(\.trajectory)
        for run in reasoned {
            #expect(run.provenance.prompt == ChainOfThoughtView(instructions: .full).identity)
            #expect(run.steps.count == 1 && run.ending != nil && run.usage.completionTokens > 0)
        }
        for run in acted {
            #expect(run.provenance.policy == "agent-prompt" && run.ending != nil)
            // The long prompt is some hundred tokens; the base really read it.
            #expect(run.usage.promptTokens > 500)
        }
    }

    @Test("one recipe gives the paper's whole table, one row a student")
    func table() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let plan = "{epochs: 1, learningRate: 1.0e-3, rowTokens: 2048, maxTokens: 1024}"
        let systems = Recipe.System.allCases.filter { $0.style != .toolAgent }.map(\.rawValue)
        let recipe = try recipe(
            "training: {cot: \(plan), cot+rag: \(plan), agent: \(plan), agent+ftp: \(plan)}",
            systems.joined(separator: ", "))
        let summary = try await summary(recipe)
        #expect(summary.averages?.map(\.system) == systems)
        #expect(summary.cells.count == systems.count * 4)
        #expect(summary.cells.allSatisfy { $0.causes.values.reduce(0, +) == $0.n })
        let report = try String(contentsOf: folder.appendingPathComponent("report.md"), encoding: .utf8)
        #expect(report.contains("| student | CoT prompting | CoT distillation |"))
        #expect(report.contains("| + ftp | + sag | + ftp + sag |"))
        let voted = try await store().entries(in: "evaluate/s/cot+sc").flatMap(\.trajectory.steps)
        #expect(voted.count == 4 && voted.allSatisfy { $0.candidates.count == 3 })
        // A second run has nothing left to do.
        #expect(try await self.summary(recipe) == summary)
    }

    @Test("a slipping teacher solves more when its work begins with its first thought, and nothing wrong is kept")
    func firstThought() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let world = """
            train: {factual: 0, math: 80}, noise: {agentSlip: 0.4, reasoningSlip: 0.1, unreadable: 0.05}
            """
        let recipe = try recipe("training: {cot: {}, agent: {}, agent+ftp: {}}", "agent", world: world)
        let run = try await RecipeRun(recipe, folder: folder)
        try await run.run(until: .teach)
        let yields = try await run.yields()
        #expect(yields.map(\.trajectories) == [80, 80, 80])
        let (cot, plain, prefixed) = (yields[0], yields[1], yields[2])
        #expect(plain.correct < 65 && prefixed.correct > plain.correct + 8 && cot.correct > 60)
        #expect(plain.kept <= plain.correct && prefixed.kept <= prefixed.correct)
        let first = try await store().entries(in: "teach/agent+ftp")
        #expect(first.allSatisfy { $0.trajectory.provenance.policy == "agent+ftp" })
    }

    @Test(
        "contradictions are refused",
        arguments: [
            (
                "", "agent",
                "'training' needs at least one of cot, cot+rag, agent, agent+ftp, tool-agent, unless only prompted"
            ),
            ("training: {agent: {}}", "agent+ftp+sag", "'agent+ftp+sag' needs 'training.agent+ftp'"),
            ("training: {agent: {}}", "agent+sc", "did you mean 'agent+sag'?"),
        ])
    func refused(training: String, systems: String, message: String) {
        let error = #expect(throws: RecipeError.self) { try recipe(training, systems) }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains(message))
    }
}

@Suite("Chain-of-thought self-consistency")
struct SelfConsistentReasoningTests {
    /// Says these, one a sample.
    private struct Chains: LanguageModel {
        let identity = "chains"
        let texts: [String]

        func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
            AsyncThrowingStream { continuation in
                for (sample, text) in texts.enumerated().prefix(request.samples) {
                    continuation.yield(
                        .finished(
                            sample: sample,
                            Completion(text: text, finish: .endOfTurn, usage: Usage(completionTokens: 10))))
                }
                continuation.finish()
            }
        }
    }

    /// What a vote of reasoners comes to.
    private func run(_ texts: [String], _ family: AgentTask.Family) async throws -> Trajectory {
        let policy = ChainOfThought(
            model: Chains(texts: texts), view: ChainOfThoughtView(instructions: .full), maximumTokens: 100)
        let search = SelfConsistentSearch(
            samples: texts.count, sampling: Sampling(temperature: 0.7), spelling: AnswerSpelling.of)
        return try await Rollout(policy: policy, search: search, maximumSteps: 1, seed: 1) { ToolEnvironment([]) }
            .trajectory(for: AgentTask(id: "t", question: "?", answers: ["½"], family: family))
    }

    @Test("chains that end in the same value are of one mind, however they write it; one without an answer has no vote")
    func values() async throws {
        let run = try await run(
            [
                "Two.\nAnswer: 2", "Half of it.\nAnswer: 0.5", "I do not know.", "So \\boxed{\\frac{1}{2}}.",
                "The answer is 3/6.",
            ], .math)
        #expect(run.steps[0].candidates.map(\.votes) == [1, 3, 0, 3, 3])
        #expect(run.ending == .answered("0.5") && run.steps[0].thought == "Half of it.")
        #expect(run.usage.completionTokens == 50)
    }

    @Test("names vote by their words")
    func names() async throws {
        let run = try await run(
            ["Answer: Bo Lind", "Answer: The Glass Orchard", "Answer: glass orchard.", "Answer: Ana Berg"], .factual)
        #expect(run.steps[0].candidates.map(\.votes) == [1, 2, 2, 1])
        #expect(run.ending == .answered("The Glass Orchard"))
    }

    @Test("a tie falls to the first chain, and no answer at all is none")
    func ties() async throws {
        #expect(try await run(["Answer: 7", "Answer: 8"], .math).ending == .answered("7"))
        let silent = try await run(["Hm.", "Well."], .math)
        #expect(silent.answer == nil)
        if case .gaveUp = silent.ending {} else { Issue.record("\(String(describing: silent.ending))") }
    }
}
