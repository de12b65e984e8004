import RetortAgents
import RetortCore
import RetortStore
import Testing

@testable import RetortRecipes

@Suite("Trajectory filter")
struct TrajectoryFilterTests {
    private func entry(
        _ id: String, _ programs: [String], family: AgentTask.Family = .factual, answer: String = "Ana Berg",
        shown: String = "Ana Berg founded it.", thought: String = "I look.", ending: Ending? = nil,
        outcome: Observation.Outcome = .success, calls: Int = 1, isCorrect: Bool = true
    ) -> TrajectoryStore.Entry {
        let task = AgentTask(id: "t", question: "Who founded Ost?", answers: [answer], family: family)
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "agent", model: "m"), id: id)
        for (number, program) in programs.enumerated() {
            let isLast = number == programs.count - 1
            trajectory.append(
                Step(
                    thought: thought, action: .code(program),
                    observation: Observation(
                        text: isLast ? "" : shown, outcome: isLast ? .final(.string(answer)) : outcome,
                        toolCalls: isLast ? [] : Array(repeating: ToolCall(name: "s", arguments: [:]), count: calls))))
        }
        trajectory.end(ending ?? .answered(.string(answer)))
        return TrajectoryStore.Entry(
            trajectory: trajectory, verdict: Verdict(isCorrect: isCorrect, reason: ""))
    }

    private let good = ["print(web_search(query=\"Ost founder\"))", "final_answer(\"Ana Berg\")"]

    private func reasons(_ entries: [TrajectoryStore.Entry], _ change: (inout FilterPlan) -> Void = { _ in })
        -> [String]
    {
        var plan = FilterPlan()
        change(&plan)
        let (kept, dropped) = TrajectoryFilter(plan).split(entries)
        #expect(kept.count + dropped.count == entries.count)
        return dropped.map(\.reason.rawValue)
    }

    @Test("every drop has its reason, and what is good is kept")
    func each() {
        #expect(reasons([entry("a", good)]).isEmpty)
        #expect(reasons([entry("a", good, ending: .failed("x"))]) == ["the run failed"])
        #expect(reasons([entry("a", good, ending: .gaveUp("x"), isCorrect: false)]) == ["no answer"])
        #expect(reasons([entry("a", good, ending: .gaveUp("x"))]).isEmpty, "right where nothing can be done")
        #expect(reasons([entry("a", good, isCorrect: false)]) == ["wrong answer"])
        let ungraded = TrajectoryStore.Entry(trajectory: entry("a", good).trajectory, verdict: nil)
        #expect(reasons([ungraded]) == ["not graded"])
        #expect(reasons([entry("a", good, ending: .forced("Ana Berg"))]) == ["answered only when forced to"])
        #expect(reasons([entry("a", good, ending: .forced("Ana Berg"))]) { $0.keepsForced = true }.isEmpty)
        #expect(reasons([entry("a", good, outcome: .parseError("x"))]) == ["a turn without a program"])
        #expect(reasons([entry("a", good)]) { $0.maximumSteps = 1 } == ["too many turns"])
        #expect(reasons([entry("a", good)]) { $0.maximumCharacters = 20 } == ["a turn that is too long"])
    }

    @Test("masked steps are no lesson, and a trajectory of nothing else is dropped with the reason")
    func masks() {
        let failing = ["print(x)"] + good
        let failed = entry("a", failing, outcome: .executionError(type: "NameError", message: "x"))
        #expect(reasons([failed]).isEmpty)
        #expect(reasons([failed]) { $0.masked = [.failed] }.isEmpty)
        var plan = FilterPlan()
        #expect(plan.lesson(failed.trajectory).steps == .all)
        plan.masked = [.failed]
        #expect(plan.lesson(failed.trajectory).steps == .only([2]))
        #expect(reasons([entry("a", good, outcome: .parseError("x"))]) { $0.masked = [.failed] }.isEmpty)
        var hopeless = entry("b", good)
        hopeless.trajectory = hopeless.trajectory.with(
            steps: hopeless.trajectory.steps.map { step in
                var step = step
                step.observation.outcome = .timeout(seconds: 1)
                return step
            })
        #expect(reasons([hopeless]) { $0.masked = [.failed] } == ["every step is masked"])
    }

    /// The filter of a recipe that says this.
    private func read(_ filter: String) throws -> FilterPlan? {
        try Recipe(
            yaml: """
                name: small
                domain: {world: {people: 50, train: {factual: 5, math: 5}}}
                students: [{name: a, base: seedlings/3m}]
                training: {agent: {epochs: 1}}
                evaluation: {systems: [agent]}
                filter: \(filter)
                """, file: "r.yaml"
        ).filter
    }

    @Test("a mask names what there is to mask")
    func maskReading() throws {
        #expect(try read("{mask: [failed, repeated]}")?.masked == [.failed, .repeated])
        #expect(try read("{leaks: true}")?.masked == nil)
        for wrong in ["{mask: [faild]}", "{mask: []}", "{mask: failed}"] {
            #expect(throws: (any Error).self) { try read(wrong) }
        }
    }

    @Test("labels given by hand choose, and a person's word outranks the grade")
    func labels() {
        func labelled(_ label: TrajectoryLabel?, isCorrect: Bool = true, _ id: String = "a") -> TrajectoryStore.Entry {
            var entry = entry(id, good, isCorrect: isCorrect)
            entry.label = label
            return entry
        }
        let fault = "not labelled as the recipe asks"
        #expect(reasons([labelled(TrajectoryLabel(.bad))]).isEmpty, "labels count where the recipe asks for them")
        #expect(reasons([labelled(TrajectoryLabel(.good), isCorrect: false)]) == ["wrong answer"])
        #expect(reasons([labelled(TrajectoryLabel(.bad))]) { $0.labels = [.good, .mended, .none] } == [fault])
        #expect(reasons([labelled(nil)]) { $0.labels = [.good] } == [fault])
        #expect(reasons([labelled(nil)]) { $0.labels = [.good, .none] }.isEmpty)
        #expect(reasons([labelled(TrajectoryLabel(.good), isCorrect: false)]) { $0.labels = [.good] }.isEmpty)
        let mended = entry("a", ["print(web_search(query=\"Ost\"))", good[1]]).trajectory
        var plan = FilterPlan()
        plan.labels = [.mended]
        let right = labelled(TrajectoryLabel(.mended, mended: mended), isCorrect: false)
        #expect(TrajectoryFilter(plan).split([right]).kept == [mended])
    }

    @Test("a recipe names the labels that it learns from")
    func labelReading() throws {
        #expect(try read("{labels: [good, mended, none]}")?.labels == [.good, .mended, FilterPlan.Labelled.none])
        #expect(try read("{leaks: true}")?.labels == nil)
        for wrong in ["{labels: [bad]}", "{labels: []}", "{labels: good}"] {
            #expect(throws: (any Error).self) { try read(wrong) }
        }
    }

    @Test("the answer may not be told before it was shown")
    func leak() {
        #expect(
            reasons([entry("a", good, shown: "Nothing.")]) == ["told the reference answer before anything showed it"])
        #expect(reasons([entry("a", good, thought: "Ana Berg, as I know.")]).count == 1)
        #expect(reasons([entry("a", good, shown: "Nothing.")]) { $0.dropsLeaks = false }.isEmpty)
        // Computing is not telling.
        #expect(reasons([entry("a", ["final_answer(20 * 21)"], family: .math, answer: "420")]).isEmpty)
        #expect(reasons([entry("a", ["final_answer(420)"], family: .math, answer: "420")]).count == 1)
        #expect(reasons([entry("a", ["final_answer('yes')"], answer: "yes")]).isEmpty)
    }

    @Test("a tool must have been used where that is asked for")
    func toolUse() {
        let told = entry("a", ["final_answer('yes')"], answer: "yes")
        #expect(reasons([told]) { $0.requiresToolUse = true } == ["answered without a tool"])
        #expect(reasons([entry("a", good)]) { $0.requiresToolUse = true }.isEmpty)
    }

    @Test("trajectories that differ in words alone are one; of several, those that differ most are kept")
    func diversity() {
        let same = [good[0] + "  # look", good[1]]
        #expect(
            reasons([entry("a", good), entry("b", same, thought: "Hm.")]) == ["the same actions for the same question"])
        let near = ["print(web_search(query=\"Ost founders\"))", good[1]]
        let far = ["for name in ['Ost', 'Tarn']:\n    print(web_search(query=name))", good[1]]
        var plan = FilterPlan()
        plan.keepEach = 2
        let (kept, dropped) = TrajectoryFilter(plan).split([entry("a", good), entry("b", near), entry("c", far)])
        #expect(kept.map(\.id) == ["a", "c"] && dropped.map(\.reason) == [.surplus])
    }
}
