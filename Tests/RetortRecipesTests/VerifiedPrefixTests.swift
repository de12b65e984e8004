import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortLLM
import RetortStore
import Testing

@testable import RetortRecipes

@Suite("Policy rounds from verified prefixes")
struct VerifiedPrefixTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-\(UUID().uuidString)")

    private func recipe(_ rounds: String, base: String = "seedlings/1m") throws -> Recipe {
        try Recipe(
            yaml: """
                name: small
                seed: 7
                domain: {world: {seed: 1, people: 60, passages: 1, train: {factual: 2, math: 2}}}
                students: [{name: s, base: '\(base)'}]
                training: {agent: {epochs: 1, rounds: \(rounds)}}
                evaluation: {systems: [agent], tasks: 1, maxSteps: 4, maxTokens: 8}
                """, file: "r.yaml")
    }

    private func step(_ program: String, _ text: String, candidates: [Candidate] = []) -> Step {
        Step(
            thought: "So.", action: .code(program), observation: Observation(text: text, outcome: .success),
            usage: Usage(promptTokens: 9, completionTokens: 9), candidates: candidates)
    }

    /// A trajectory whose step `place` was replaced; the student had taken `oops()` there.
    private func repair(_ task: AgentTask, _ programs: [(String, String)], at place: Int, isRight: Bool = true)
        -> StoredTrajectory
    {
        var trajectory = Trajectory(
            task: task, provenance: Provenance(policy: "repair", model: "s", attempt: place),
            id: StepRepair.id(task, step: place))
        for (index, (program, text)) in programs.enumerated() {
            let candidates = [
                Candidate(thought: "", action: .code("oops()"), observation: nil),
                Candidate(thought: "", action: .code(program), observation: nil, chosen: true),
            ]
            trajectory.append(step(program, text, candidates: index == place ? candidates : []))
        }
        trajectory.end(.answered(.string("1")))
        return StoredTrajectory(trajectory: trajectory, verdict: Verdict(isCorrect: isRight, reason: ""))
    }

    private func sample(_ prefix: VerifiedPrefix, _ program: String?, isRight: Bool = false) -> StoredTrajectory {
        var trajectory = Trajectory(task: prefix.task, provenance: Provenance(policy: "agent", model: "s"))
        for step in prefix.steps { trajectory.append(step) }
        if let program { trajectory.append(step(program, "")) }
        trajectory.end(.gaveUp(""))
        return StoredTrajectory(trajectory: trajectory, verdict: Verdict(isCorrect: isRight, reason: ""))
    }

    @Test("a policy round goes on from repairs only behind a round that makes some")
    func reading() throws {
        let rounds = try recipe("[{repair: {}}, {policy: {from: repair, samples: 3}}]").rounds(of: .agent)
        #expect(rounds[1].policy?.from == .repair)
        #expect(try recipe("{policy: {}}").rounds(of: .agent)[0].policy?.from == .beginning)
        let early = #expect(throws: RecipeError.self) { try recipe("{policy: {from: repair}}") }
        #expect("\(early as Any)".contains("a round with 'repair' must be before it"))
        let unknown = #expect(throws: RecipeError.self) { try recipe("[{repair: {}}, {policy: {from: repairs}}]") }
        #expect("\(unknown as Any)".contains("'repair'"))
    }

    @Test("right answers earn 1, the teacher's step 0.5, another step 0.1, and the old mistake nothing")
    func rewards() throws {
        let task = AgentTask(id: "t", question: "q", answers: ["1"], family: .math)
        let entry = repair(task, [("print(1)", "1"), ("print(2)", "2"), ("final_answer(1)", "")], at: 1)
        let prefix = try #require(VerifiedPrefix(entry))
        #expect(prefix.steps.map(\.action) == [.code("print(1)")])
        #expect(prefix.reward(sample(prefix, "print(3)", isRight: true)) == 1)
        #expect(prefix.reward(sample(prefix, "print( 2 )  # as taught")) == 0.5)
        #expect(prefix.reward(sample(prefix, "print(3)")) == 0.1)
        #expect(prefix.reward(sample(prefix, "oops()")) == 0)
        #expect(prefix.reward(sample(prefix, nil)) == 0)
        #expect(VerifiedPrefix(repair(task, [("print(1)", "1")], at: 0, isRight: false)) == nil)
    }

    @Test("samples take the prefix again, unlearned and for nothing, and only what follows is learned from")
    func continuing() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let base = folder.appendingPathComponent("base")
        try AgentBench.writeBase(to: base, seed: 3, positions: 2048)
        let recipe = try recipe("[{repair: {}}, {policy: {from: repair, samples: 2}}]", base: base.path)
        let place = folder.appendingPathComponent("run")
        let run = try await RecipeRun(recipe, folder: place)
        try await run.run(until: .teach)
        let (context, student) = (run.context, recipe.students[0])
        let (tasks, plan) = (context.source.train, try #require(recipe.training[.agent]))
        for round in 0...1 {
            _ = try await TrainStage(context: context, student: student, style: .agent, plan: plan, round: round).run()
        }
        try await context.store.save(
            [
                repair(tasks[0], [("print(7)", "7"), ("final_answer(1)", "")], at: 1),
                // The world shows something else by now.
                repair(tasks[1], [("print(7)", "8"), ("final_answer(1)", "")], at: 1),
                repair(tasks[2], [("print(7)", "7"), ("final_answer(1)", "")], at: 1, isRight: false),
            ], in: "repair/s/agent@1")
        let round = StudentRound(context: context, student: student, style: .agent, number: 2)
        let stage = try #require(round.stages(recipe.rounds(of: .agent)[1]).first as? ContinuationStage)
        #expect(stage.name == "policy/s/agent@2" && stage.sources == ["train/s/agent@1", "repair/s/agent@1"])
        _ = try await stage.run()
        let drawn = try await context.store.entries(in: stage.name).map(\.trajectory)
        #expect(drawn.count == 4 && Set(drawn.map(\.task.id)) == Set([tasks[0].id, tasks[1].id]))
        for trajectory in drawn where trajectory.task.id == tasks[0].id {
            let first = try #require(trajectory.steps.first)
            #expect(first.action == .code("print(7)") && first.isLearned == false && first.usage == Usage())
            #expect(trajectory.steps.count > 1 && trajectory.steps[1].isLearned == nil)
        }
        for trajectory in drawn where trajectory.task.id == tasks[1].id {
            #expect(trajectory.steps.isEmpty)
            #expect(trajectory.ending == .gaveUp("step 1 showed something else when it was done again"))
        }

        // Samples of different worth are learned, but not the prefix, and not what only repeats it.
        let prefixes = try await round.verifiedPrefixes()
        let prefix = try #require(prefixes[tasks[0].id])
        let job = TrainingJob(
            name: "policy", key: "training.agent", base: base, divided: HeldOut(learning: []),
            views: [context.view(.agent)], plan: plan, target: folder, files: TrainingFiles(place, "s-policy"),
            keepsSamples: false, origins: [:])
        var own = sample(prefix, "final_answer(1)", isRight: true)
        own.trajectory = own.trajectory.with(
            steps: own.trajectory.steps.enumerated().map { index, step in
                var step = step
                if index == 0 { step.isLearned = false }
                return step
            })
        let whole = StoredTrajectory(
            trajectory: sample(prefix, "final_answer(1)", isRight: true).trajectory,
            verdict: Verdict(isCorrect: true, reason: ""))
        func count(_ draws: [StoredTrajectory]) throws -> [Int] {
            try PolicyDraws(
                PolicyWork(judge: .grader(RoundPlan.Policy()), draws: draws, prefixes: prefixes), job,
                Checkpoint(folder: base)
            ).examples.map(\.targetCount)
        }
        let counts = try count([own, whole, sample(prefix, "oops()"), sample(prefix, nil)])
        #expect(counts.count == 3 && counts[0] > 0 && counts[0] < counts[1])
        #expect(try count([own, sample(prefix, nil)]).isEmpty)
        await run.close()
    }
}
