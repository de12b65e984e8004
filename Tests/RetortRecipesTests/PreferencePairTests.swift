import RetortAgents
import RetortCore
import RetortStore
import Testing

@testable import RetortRecipes

@Suite("Pairs of steps")
struct PreferencePairTests {
    private let task = AgentTask(id: "t", question: "How much?", answers: ["5"], family: .math)

    private func step(_ program: String, _ text: String = "", thought: String = "So.") -> Step {
        Step(thought: thought, action: .code(program), observation: Observation(text: text, outcome: .success))
    }

    private func entry(
        _ steps: [Step], attempt: Int = 0, isRight: Bool = true, ending: Ending = .answered(5), task: AgentTask? = nil
    ) -> StoredTrajectory {
        var trajectory = Trajectory(
            task: task ?? self.task, provenance: Provenance(policy: "agent", model: "s", attempt: attempt))
        for step in steps { trajectory.append(step) }
        trajectory.end(ending)
        return StoredTrajectory(trajectory: trajectory, verdict: Verdict(isCorrect: isRight, reason: ""))
    }

    private func programs(_ trajectory: Trajectory) -> [String] { trajectory.steps.compactMap(\.action.code) }

    @Test("a repair is preferred to what it replaced, after the same steps")
    func repairs() {
        var fixed = step("b", "2")
        fixed.candidates = [
            Candidate(thought: "Oh.", action: .code("oops"), observation: nil),
            Candidate(thought: "So.", action: .code("b"), observation: nil, chosen: true),
        ]
        let pairs = PreferencePairs.repairs([
            entry([step("a", "1"), fixed, step("c")], attempt: 1),
            entry([step("a", "1"), fixed], attempt: 1, isRight: false),
        ])
        #expect(pairs.count == 1)
        #expect(programs(pairs[0].chosen) == ["a", "b"] && programs(pairs[0].rejected) == ["a", "oops"])
        #expect(pairs[0].rejected.steps[1].thought == "Oh." && pairs[0].origin == "repair")
        #expect(pairs[0].chosen.steps[0] == pairs[0].rejected.steps[0])
    }

    @Test("draws are held against each other where they part, unless another right one went that way")
    func samples() {
        let start = step("a", "1")
        let pairs = PreferencePairs.samples([
            entry([start, step("b", "2"), step("c")], attempt: 0),
            entry([start, step("x", "9")], attempt: 1, isRight: false),
            // The same beginning in words that differ is another beginning.
            entry([step("a", "1", thought: "Hm."), step("y")], attempt: 2, isRight: false),
            // Goes as the right one and ends before it parts.
            entry([start, step("b", "2")], attempt: 3, isRight: false),
            entry([start, step("x", "9", thought: "Well."), step("c")], attempt: 4),
        ])
        // 'a' in other words is an action that right ones took, and from there both 'b' and 'x' came right once.
        #expect(pairs.isEmpty)
        let apart = PreferencePairs.samples([
            entry([start, step("b", "2")], attempt: 0), entry([start, step("x", "9")], attempt: 1, isRight: false),
        ])
        #expect(apart.map { programs($0.chosen) + programs($0.rejected) } == [["a", "b", "a", "x"]])
        // A run that broke is not wrong, and other tasks are other points.
        #expect(
            PreferencePairs.samples([
                entry([start, step("b")]), entry([start, step("x")], attempt: 1, isRight: false, ending: .failed("x")),
            ]).isEmpty)
        let other = AgentTask(id: "u", question: "And?", answers: ["5"], family: .math)
        #expect(
            PreferencePairs.samples([
                entry([start, step("b")]), entry([start, step("x")], attempt: 1, isRight: false, task: other),
            ]).isEmpty)
    }

    @Test("the teacher's step is preferred to a wrong draw's where they part, and to no way that came right")
    func taught() {
        let start = step("a", "1")
        let lesson = entry([start, step("b", "2")], attempt: 0).trajectory
        let pairs = PreferencePairs.taught(
            [lesson],
            against: [
                entry([start, step("x", "9")], attempt: 1, isRight: false), entry([start, step("y", "2")], attempt: 2),
                entry([start, step("y", "3")], attempt: 3, isRight: false),
                entry([start, step("b", "2")], attempt: 4, isRight: false),
            ])
        #expect(pairs.map { programs($0.chosen) + programs($0.rejected) } == [["a", "b", "a", "x"]])
        #expect(pairs.map(\.origin) == ["teacher"])
    }

    @Test("an answer that had to be asked for is no step to prefer another to")
    func asked() {
        let start = step("a", "1")
        let forced = Step(thought: "", action: .answer(4), observation: Observation(text: "", outcome: .final(4)))
        #expect(
            PreferencePairs.samples([
                entry([start, step("b")]), entry([start, forced], attempt: 1, isRight: false, ending: .forced(4)),
            ]).isEmpty)
    }

    @Test("what won a vote is preferred to what lost it, not to what meant the same")
    func forks() {
        var voted = step("b", "2")
        func candidate(_ program: String, _ votes: Int, chosen: Bool = false) -> Candidate {
            Candidate(
                thought: "", action: .code(program), observation: Observation(text: "2", outcome: .success),
                votes: votes,
                chosen: chosen)
        }
        voted.candidates = [
            candidate("b", 2, chosen: true), candidate("b2", 2), candidate("b  # again", 2), candidate("x", 1),
            Candidate(
                thought: "", action: .code("y"), observation: Observation(text: "", outcome: .timeout(seconds: 1))),
        ]
        let pairs = PreferencePairs.forks([
            entry([step("a"), voted]), entry([step("a"), voted], attempt: 1, isRight: false),
        ])
        #expect(pairs.map { programs($0.rejected) } == [["a", "x"], ["a", "y"]])
        #expect(pairs.allSatisfy { programs($0.chosen) == ["a", "b"] })
    }

    @Test("each pair counts once, so many a question, and none of what is held out")
    func chosen() {
        func pair(_ better: String, _ worse: String) -> PreferencePair {
            PreferencePair(
                "repair", entry([step("a")]).trajectory, at: 0, better: step(better), worse: step(worse))
        }
        let all = [pair("b", "x"), pair("b # so", "x"), pair("b", "y"), pair("b", "z")]
        let found = PreferencePairs.chosen(all, each: 2, without: [])
        #expect(found.map { programs($0.rejected) } == [["x"], ["y"]])
        #expect(PreferencePairs.chosen(all, each: 2, without: ["how much?"]).isEmpty)
    }
}
