import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation
import RetortStore
import RetortTesting
import Synchronization
import Testing

@testable import RetortDomains
@testable import RetortRecipes

@Suite("A judge in a recipe", .timeLimit(.minutes(30)))
struct JudgeStageTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
    private static let set = "evaluate/a/agent"

    private func recipe(_ judge: String) throws -> Recipe {
        try Recipe(
            yaml: """
                name: judged
                domain: {world: {seed: 1, people: 50, train: {factual: 2, math: 2}}}
                judge: {\(judge)}
                students: [{name: a, base: none}]
                training: {agent: {}}
                evaluation: {systems: [agent], tasks: 2}
                """, file: "r.yaml")
    }

    private func answered(_ id: String, _ answer: JSONValue?, family: AgentTask.Family = .factual) -> Trajectory {
        let task = AgentTask(
            id: id, question: "Who was \(id)?", answers: ["John Kennedy"], family: family, split: "out")
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "agent", model: "a"))
        trajectory.end(answer.map(Ending.answered) ?? .failed("broke"))
        return trajectory
    }

    /// Answers as an evaluation leaves them: one exact, one by another name, one wrong, one none, one of mathematics.
    private func fill(_ store: TrajectoryStore) async throws {
        let all = [
            answered("1", "john kennedy"), answered("2", "J. F. Kennedy"), answered("3", "Mira Voss"),
            answered("4", nil), answered("5", 7, family: .math),
        ]
        for trajectory in all {
            try await store.save(trajectory, verdict: await FamilyGrader().grade(trajectory), in: Self.set)
        }
    }

    /// A judge that takes every Kennedy for the right one, as long as the body runs.
    fileprivate func withJudge(
        _ options: FaultyEndpoint.Options = .init(), _ body: (FaultyEndpoint, Requests) async throws -> Void
    ) async throws {
        let asked = Requests()
        let endpoint = try await FaultyEndpoint(options) { request in
            let text = String(decoding: request.body, as: UTF8.self)
            asked.add(text)
            let answer = text.split(separator: "<answer>").last.map(String.init) ?? ""
            let vote = #"{"reason": "by name", "correct": \#(answer.lowercased().contains("kennedy"))}"#
            return CannedAnswer(Array(repeating: vote, count: 3))
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        do {
            try await body(endpoint, asked)
            try await endpoint.close()
        } catch {
            try? await endpoint.close()
            throw error
        }
    }

    @Test("verdicts are stored beside exact match, decide, and are not asked for twice")
    func stage() async throws {
        try await withJudge { endpoint, asked in
            let plan = "endpoint: '\(endpoint.address)', model: canned, seconds: {backoff: 0.01}"
            try await Self.run(recipe(plan), folder) { run in
                try await fill(run.context.store)
                try await judged(run)
                let entries = try await run.context.store.entries(in: Self.set)
                #expect(entries.map { $0.verdict?.isCorrect } == [true, false, false, false, false])
                #expect(entries.map { $0.judge?.isCorrect } == [true, true, false, nil, nil])
                #expect(entries[1].judge?.reason == "judged by 3 to 0: by name")
                #expect(run.context.grade(of: entries[1])?.isCorrect == true)
                let judged = try await run.context.judgedSystems(run.context.recipe.students[0])
                let agreement = try #require(judged.first?.agreement)
                #expect(agreement.n == 3 && agreement.onlyJudge == 1 && agreement.onlyExact == 0)
                #expect(abs((agreement.kappa ?? 0) - 0.4) < 1e-9)
                let table = JudgedSystem.table(judged)
                #expect(table.rows.count == 1 && table.markdown.contains("| a | agent | 3 |"))
            }
            #expect(asked.all.count == 3)
            #expect(asked.all.allSatisfy { $0.contains(#""json_schema""#) })
            // The same answers, judged anew for another reason, are on the tape.
            try await Self.run(recipe(plan), folder) { run in
                try await run.context.store.removeJudgements(in: Self.set)
                try await judged(run)
                #expect(try await run.context.store.entries(in: Self.set).count { $0.judge != nil } == 3)
            }
            #expect(asked.all.count == 3)
        }
    }

    @Test("where exact match decides, what matches need not be asked about")
    func unmatched() async throws {
        try await withJudge { endpoint, asked in
            let plan =
                "endpoint: '\(endpoint.address)', model: canned, matches: false, decides: false, structured: false"
            try await Self.run(recipe(plan), folder) { run in
                try await fill(run.context.store)
                try await judged(run)
                let entries = try await run.context.store.entries(in: Self.set)
                #expect(entries.map { $0.judge?.isCorrect } == [true, true, false, nil, nil])
                #expect(run.context.grade(of: entries[1])?.isCorrect == false)
            }
            #expect(asked.all.count == 2)
            #expect(asked.all.allSatisfy { !$0.contains("json_schema") })
        }
    }

    @Test("a judge that is refused halts the run, and what it judged stays")
    func refused() async throws {
        try await withJudge { endpoint, _ in
            try await Self.run(recipe("endpoint: 'http://127.0.0.1:1', model: m, seconds: {patience: 0.2}"), folder) {
                run in
                try await fill(run.context.store)
                await #expect(throws: (any Error).self) { try await judged(run) }
            }
            try await Self.run(recipe("endpoint: '\(endpoint.address)', model: canned"), folder) { run in
                try await judged(run)
                #expect(try await run.context.store.entries(in: Self.set).count { $0.judge != nil } == 3)
            }
        }
    }

    @Test(
        "an answer that the judge fails on has no grade at all: exact match does not stand in, and it is asked about again",
        arguments: [
            (CannedAnswer(["Hm.", "", "{}"]), "the judge wrote nothing that is a vote"),
            (CannedAnswer(["broken"], status: 500), "status 500"),
        ])
    func outage(_ broken: CannedAnswer, cause: String) async throws {
        let isOut = Mutex(true)
        let asked = Requests()
        let endpoint = try await FaultyEndpoint(.init()) { request in
            let text = String(decoding: request.body, as: UTF8.self)
            asked.add(text)
            guard isOut.withLock({ $0 }), text.contains("J. F.") else {
                return CannedAnswer(Array(repeating: #"{"reason": "so", "correct": true}"#, count: 3))
            }
            return broken
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        let plan = "endpoint: '\(endpoint.address)', model: canned, seconds: {backoff: 0.01}, attempts: 1"
        try await Self.run(recipe(plan), folder) { run in
            try await fill(run.context.store)
            let first = try await judged(run)
            #expect(first.total == 3 && first.failures == [cause: 1])
            let entries = try await run.context.store.entries(in: Self.set)
            #expect(entries.map { $0.judge?.isCorrect } == [true, nil, true, nil, nil])
            #expect(run.context.grade(of: entries[1]) == nil)
            #expect(run.context.grade(of: entries[4])?.reason == entries[4].verdict?.reason)
        }
        #expect(asked.all.count == 3)
        isOut.withLock { $0 = false }
        try await Self.run(recipe(plan), folder) { run in
            let second = try await judged(run)
            #expect(second == StageOutcome(total: 3))
            #expect(try await run.context.store.entries(in: Self.set)[1].judge?.isCorrect == true)
        }
        #expect(asked.all.count == 4)
        try await endpoint.close()
    }

    @Test("what the judge took in one run counts in the next: nothing is asked beyond its budget")
    func budget() async throws {
        try await withJudge { endpoint, asked in
            let plan = "endpoint: '\(endpoint.address)', model: canned, budget: {tokens: 120}"
            func judge(_ answer: JSONValue) async throws {
                try await Self.run(recipe(plan), folder) { run in
                    try await run.context.store.save(answered(answer.text, answer), in: Self.set)
                    try await judged(run)
                }
            }
            // 100 tokens of the prompt and 20 of the votes.
            try await judge("Kennedy")
            let error = await #expect(throws: BudgetError.self) { try await judge("Mira Voss") }
            #expect(error == .spent("120 of 120 tokens"))
            #expect(asked.all.count == 1)
        }
    }

    @Test(
        "a judge that cannot be used is refused before anything starts",
        arguments: [
            ("model: m", "needs an 'endpoint'"), ("endpoint: 'http://x', votes: 2", "odd number"),
            ("endpoint: 'http://x', firstThought: true", "unknown key 'firstThought'"),
            ("endpoint: 'http://x', vote: 3", "did you mean 'votes'?"),
        ])
    func recipes(judge: String, message: String) {
        let error = #expect(throws: RecipeError.self) { try recipe(judge) }
        #expect("\(error.map(String.init(describing:)) ?? "")".contains(message))
    }

    /// Judges the set, as the stage does.
    @discardableResult
    private func judged(_ run: RecipeRun) async throws -> StageOutcome {
        let plan = try #require(run.context.recipe.judge)
        return try await JudgeStage(context: run.context, plan: plan, set: Self.set).run()
    }

    /// A run's folder is free again when the body has ended.
    private static func run(
        _ recipe: Recipe, _ folder: URL, _ body: (RecipeRun) async throws -> Void
    ) async throws { try await body(RecipeRun(recipe, folder: folder)) }
}

/// What the judge was sent.
private final class Requests: Sendable {
    private let texts = Mutex<[String]>([])
    var all: [String] { texts.withLock { $0 } }
    func add(_ text: String) { texts.withLock { $0.append(text) } }
}
