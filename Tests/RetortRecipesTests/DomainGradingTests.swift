import Foundation
import RetortCore
import RetortEvaluation
import RetortStore
import RetortTesting
import Synchronization
import Testing

@testable import RetortDomains
@testable import RetortRecipes

@Suite("A domain's judge and its other graders in a recipe", .timeLimit(.minutes(30)))
struct DomainGradingTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")
    private static let set = "evaluate/a/cot-prompt"

    /// A recipe on a small domain of its own.
    private func recipe(_ keys: String, judge: String = "", recipe more: String = "") throws -> Recipe {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let tasks = """
            {"id": "1", "question": "Greet Ada.", "answer": "Hello, Ada"}
            {"id": "2", "question": "Greet Bob.", "answer": "Hello, Bob"}
            """
        try Data(tasks.utf8).write(to: folder.appendingPathComponent("t.jsonl"))
        let tools = """
            BREAKS = False
            def grade(task, answer, state):
                if answer == "crash":
                    raise RuntimeError("no grade")
                return task["answer"][-3:] in answer
            """
        try Data(tools.utf8).write(to: folder.appendingPathComponent("tools.py"))
        let judging = judge.isEmpty ? "" : "judge: {\(judge)}"
        return try Recipe(
            yaml: """
                name: graded
                domain: {tasks: {test: {in: t.jsonl}}, \(keys)}
                \(judging)
                students: [{name: a, base: none}]
                evaluation: {systems: [cot-prompt], tasks: 2}
                \(more)
                """, file: folder.appendingPathComponent("r.yaml").path)
    }

    private func answered(_ task: AgentTask, _ answer: String) -> Trajectory {
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "cot", model: "a"))
        trajectory.end(.answered(.string(answer)))
        return trajectory
    }

    /// A judge that wants politeness, or says what `reply` gives, as long as the body runs.
    private func withJudge(
        reply: @escaping @Sendable (String) -> String? = { _ in nil },
        _ body: (FaultyEndpoint, @Sendable () -> [String]) async throws -> Void
    ) async throws {
        let asked = Asked()
        let endpoint = try await FaultyEndpoint(.init()) { request in
            let text = String(decoding: request.body, as: UTF8.self)
            asked.add(text)
            let isPolite = text.contains("it answered: Hello")
            let vote = reply(text) ?? #"{"reason": "manners", "correct": \#(isPolite)}"#
            return CannedAnswer(Array(repeating: vote, count: 3))
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        do {
            try await body(endpoint, { asked.all })
            try await endpoint.close()
        } catch {
            try? await endpoint.close()
            throw error
        }
    }

    private func plan(_ endpoint: FaultyEndpoint) -> String {
        "endpoint: '\(endpoint.address)', model: canned, attempts: 1, seconds: {backoff: 0.01}"
    }

    private static let judged = "grader: {kind: judge, rubric: The reply is polite.}"

    @Test("a rubric decides, is asked once for each run, and is kept on tape")
    func rubric() async throws {
        try await withJudge { endpoint, asked in
            for _ in 0..<2 {
                let run = try await RecipeRun(
                    recipe(Self.judged, judge: plan(endpoint)), folder: folder.appendingPathComponent("run"))
                let grader = try await run.context.workshop.grader()
                let tasks = run.context.source.tests
                #expect(tasks.map(\.family.rawValue) == ["judge", "judge"])
                let right = try await grader.graded(answered(tasks[0], "Hello, Ada"))
                #expect(right.verdict == Verdict(isCorrect: true, reason: "judged by 3 to 0: manners"))
                let wrong = try await grader.graded(answered(tasks[1], "What?"))
                #expect(wrong.verdict?.isCorrect == false && wrong.trajectory.answer == "What?")
                #expect(run.context.grade(of: right)?.isCorrect == true)
                // The judge is the domain's: there is no stage for factual answers.
                let stages = try await RecipeStages(run.context)
                #expect(stages.evaluation.map(\.name) == [Self.set])
                await run.close()
            }
            #expect(asked().count == 2)
            #expect(asked().allSatisfy { $0.contains("The reply is polite.") && $0.contains(#""json_schema""#) })
        }
    }

    @Test("a judge without a verdict makes a failed run, never a wrong or a right one")
    func undecided() async throws {
        try await withJudge(reply: { $0.contains("Bob") ? "Hm." : nil }) { endpoint, _ in
            let run = try await RecipeRun(
                recipe(Self.judged, judge: plan(endpoint)), folder: folder.appendingPathComponent("run"))
            let graded = try await run.context.workshop.grader().graded(
                answered(run.context.source.tests[1], "Hello, Bob"))
            guard case .failed(let reason) = graded.trajectory.ending else {
                Issue.record("the run did not fail")
                return
            }
            #expect(reason.contains("it could not be graded") && reason.contains("nothing that is a vote: Hm."))
            await run.close()
        }
    }

    /// Work from elsewhere: an answer that the judge fails on at first, a right one, and a run that broke there.
    private var given: [Trajectory] {
        ["Bea", "Cid", "Dot"].map { name in
            let task = AgentTask(
                id: name, question: "Greet \(name).", answers: [], family: .init(rawValue: "judge"), split: "train")
            var work = Trajectory(task: task, provenance: Provenance(policy: "theirs", model: "m"))
            work.end(name == "Dot" ? .failed("their server fell over") : .answered(.string("Hello, \(name)")))
            return work
        }
    }

    @Test("recorded work that could not be graded makes the stage partial, and is graded by the next run")
    func recorded() async throws {
        let isOut = Mutex(true)
        try await withJudge(reply: { $0.contains("Bea") && isOut.withLock { $0 } ? "Hm." : nil }) { endpoint, asked in
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let lines = try given.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) + "\n" }
            try Data(lines.joined().utf8).write(to: folder.appendingPathComponent("given.jsonl"))
            let recipe = try recipe(
                Self.judged, judge: plan(endpoint),
                recipe: "teacher: {trajectories: given.jsonl}\ntraining: {cot: {epochs: 1}}")
            let partial = StageOutcome(total: 3, failures: ["it could not be graded": 1])
            for (stored, outcome) in [(2, partial), (3, StageOutcome(total: 3))] {
                let run = try await RecipeRun(recipe, folder: folder.appendingPathComponent("run"))
                let stage = TeachStage(context: run.context, style: .cot)
                #expect(try await stage.run() == outcome)
                let entries = try await run.context.store.entries(in: stage.name)
                #expect(entries.count == stored && entries.allSatisfy { $0.verdict != nil })
                #expect(Set(entries.map(\.trajectory.ending)).isSubset(of: given.map(\.ending)))
                isOut.withLock { $0 = false }
                await run.close()
            }
            #expect(asked().count == 3)
        }
    }

    @Test("imported work that could not be graded stays as it is, and is graded by the next run, too")
    func imported() async throws {
        let isOut = Mutex(true)
        try await withJudge(reply: { $0.contains("Bea") && isOut.withLock { $0 } ? "Hm." : nil }) { endpoint, asked in
            let run = try await RecipeRun(
                recipe(Self.judged, judge: plan(endpoint)), folder: folder.appendingPathComponent("run"))
            let stage = ImportedStage(context: run.context, name: "teach/cot")
            let store = run.context.store
            try await store.importing(
                given.map { StoredTrajectory(trajectory: $0, verdict: nil) }, in: stage.name)
            #expect(try await stage.run() == StageOutcome(total: 3, failures: ["it could not be graded": 1]))
            #expect(try await store.entries(in: stage.name).map { $0.verdict?.isCorrect } == [nil, true, false])
            #expect(try await store.entries(in: stage.name).map(\.trajectory) == given)
            isOut.withLock { $0 = false }
            #expect(try await stage.run() == StageOutcome(total: 3))
            #expect(try await store.entries(in: stage.name).map { $0.verdict?.isCorrect } == [true, true, false])
            #expect(try await store.entries(in: stage.name).map(\.trajectory) == given)
            #expect(asked().count == 3)
            await run.close()
        }
    }

    @Test("other graders are stored beside, reported, and asked again where they broke")
    func also() async throws {
        try await withJudge { endpoint, asked in
            let keys =
                "tools: [{python: tools.py}], also: [overlap, python, {kind: judge, rubric: The reply is polite.}]"
            let run = try await RecipeRun(
                recipe(keys, judge: plan(endpoint)), folder: folder.appendingPathComponent("run"))
            let (context, store) = (run.context, run.context.store)
            let grader = try await context.workshop.grader()
            let tasks = context.source.tests
            try await store.save(
                [grader.graded(answered(tasks[0], "Hello my dear Ada")), grader.graded(answered(tasks[1], "crash"))],
                in: Self.set)
            let stages = try await RecipeStages(context)
            #expect(stages.evaluation.map(\.name) == [Self.set, "also/\(Self.set)"])
            let stage = AlsoStage(context: context, set: Self.set)
            let outcome = try await stage.run()
            #expect(outcome.total == 2 && outcome.failed == 1)
            let entries = try await store.entries(in: Self.set)
            let judge = context.recipe.domain.otherGraders[2].title
            #expect(entries[0].verdict?.isCorrect == false && entries[1].verdict?.isCorrect == false)
            #expect(entries[0].also?.mapValues(\.isCorrect) == ["overlap": true, "python": true, judge: true])
            #expect(entries[1].also?.mapValues(\.isCorrect) == ["overlap": false, judge: false])
            let figures = try #require(
                try await context.otherGrades(of: Self.set, student: "a", system: "cot-prompt", after: nil))
            #expect(figures.map(\.grader) == ["overlap", "python", judge])
            #expect(figures.map(\.accuracy) == [50, 100, 50])
            #expect(figures.map(\.ungraded) == [0, 1, 0] && figures.map(\.otherwise) == [1, 1, 1])
            #expect(OtherGrades.table(figures).markdown.contains("| a | cot-prompt | in | overlap | 50.0"))
            // What has been said is not asked again.
            let before = asked().count
            #expect(try await stage.run().failed == 1)
            #expect(asked().count == before)
            try await stage.clear()
            #expect(try await store.entries(in: Self.set).allSatisfy { $0.also == nil })
            await run.close()
        }
    }

    @Test(
        "what does not fit together is refused before anything starts",
        arguments: [
            (Self.judged, "", "judge: {endpoint: URL}"), ("grader: judge", "endpoint: 'http://x'", "needs a 'rubric'"),
            ("grader: {kind: judge}", "endpoint: 'http://x'", "needs a 'rubric'"),
            (Self.judged, "endpoint: 'http://x', decides: true", "'decides' is for a judge of factual answers"),
            (Self.judged, "endpoint: 'http://x', model: m, budget: {money: 1}", "price"),
            ("also: [exact]", "", "named twice"), ("also: [overlap, overlap]", "", "named twice"),
            ("also: [nonsense]", "", "there is no grader 'nonsense'"), ("observationLimit: 3", "", "must be 16 to"),
        ])
    func refusals(keys: String, judge: String, words: String) throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let error = #expect(throws: RecipeError.self) { _ = try recipe(keys, judge: judge) }
        #expect("\(try #require(error))".contains(words), "\(String(describing: error))")
    }

    @Test("how much of an observation is shown: the domain says, the recipe overrules, and it is an input of stages")
    func observations() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        func limit(_ keys: String, _ more: String) async throws -> (Int, [String]) {
            let run = try await RecipeRun(
                recipe(keys, recipe: more), folder: folder.appendingPathComponent("run-\(UUID().uuidString)"))
            defer { Task { await run.close() } }
            let view = run.context.roleView(.backbone, instructions: .brief)
            #expect(view.observationLimit == run.context.observationLimit)
            return (view.observationLimit, try run.context.shown().map(\.value))
        }
        #expect(try await limit("grader: exact", "") == (1024, []))
        #expect(try await limit("observationLimit: 4096", "") == (4096, ["4096"]))
        #expect(try await limit("observationLimit: 4096", "observationLimit: 100") == (100, ["100"]))
    }
}

/// What the judge was sent.
private final class Asked: Sendable {
    private let texts = Mutex<[String]>([])
    var all: [String] { texts.withLock { $0 } }
    func add(_ text: String) { texts.withLock { $0.append(text) } }
}
