import RetortAgents
import RetortCore
import Testing

@Suite("What of a trajectory is learned")
struct LessonTests {
    private func step(
        _ program: String, _ text: String = "", _ outcome: Observation.Outcome = .success, refused: Bool = false
    ) -> Step {
        Step(
            thought: "t", action: .code(program),
            observation: Observation(
                text: text, outcome: outcome,
                toolCalls: refused ? [ToolCall(name: "s", arguments: [:], error: "no such city")] : []))
    }

    /// A failed program, a refused call, two looks of which the second shows the same, a third that shows more, the answer.
    private var work: Trajectory {
        var trajectory = Trajectory(
            task: AgentTask(id: "t", question: "q", answers: ["1"], family: .math),
            provenance: Provenance(policy: "agent", model: "m"))
        trajectory.append(step("print(x)", "", .executionError(type: "NameError", message: "x")))
        trajectory.append(step("try: s()\nexcept Exception as e: print(e)", "no such city", refused: true))
        trajectory.append(step("print(look())", "nothing yet"))
        trajectory.append(step("print( look() )  # again", "nothing yet"))
        trajectory.append(step("print(look())", "1"))
        trajectory.append(step("final_answer(1)", "", .final(1)))
        trajectory.end(.answered(1))
        return trajectory
    }

    @Test(
        "failed, refused and repeated steps are told apart",
        arguments: [
            ([], [0, 1, 2, 3, 4, 5]), ([BadStep.failed], [1, 2, 3, 4, 5]), ([.refused], [0, 2, 3, 4, 5]),
            ([.repeated], [0, 1, 2, 4, 5]), (BadStep.allCases, [2, 4, 5]),
        ])
    func bad(kinds: [BadStep], learned: [Int]) {
        let steps = work.steps(without: Set(kinds))
        #expect(work.steps.indices.filter(steps.contains) == learned)
        #expect((steps == .all) == kinds.isEmpty && work.teaches(steps))
        #expect(!work.teaches(.only([])))
    }

    @Test("masked steps are shown as they were, and not learned")
    func shown() {
        let view = CodeAgentView(instructions: .brief, tools: [])
        let (all, some) = (view.examples(for: work)[0], view.examples(for: work, learning: .only([2, 5]))[0])
        #expect(all.map(\.text) == some.map(\.text))
        let turns = some.filter { $0.role == .assistant }
        #expect(turns.map(\.endsTrainable) == [false, false, true, false, false, true])
        #expect(view.examples(for: work, learning: .only([])).isEmpty)
        let role = RoleView(.backbone, instructions: .brief, callForm: .program)
        #expect(
            role.examples(for: work, learning: .only([2, 5]))
                == [2, 5].map { role.examples(for: work)[$0] })
        #expect(ChainOfThoughtView(instructions: .brief).examples(for: work, learning: .only([])).isEmpty)
    }

    @Test("steps that are marked as not to be learned are not, wherever nothing else is said")
    func marked() {
        var marked = Trajectory(task: work.task, provenance: work.provenance)
        for (index, step) in work.steps.enumerated() {
            var step = step
            if ![2, 5].contains(index) { step.isLearned = false }
            marked.append(step)
        }
        if let ending = work.ending { marked.end(ending) }
        #expect(Lesson(marked).steps == .only([2, 5]) && Lesson(work).steps == .all)
        for view in [
            CodeAgentView(instructions: .brief, tools: []),
            RoleView(.backbone, instructions: .brief, callForm: .program),
        ] as [any View] {
            #expect(view.examples(for: marked) == view.examples(for: work, learning: .only([2, 5])))
        }
    }

    @Test("a forced answer that is masked leaves the turns before it")
    func forced() {
        var forced = Trajectory(task: work.task, provenance: work.provenance)
        for step in work.steps.prefix(3) { forced.append(step) }
        forced.append(Step(thought: "", action: .answer(1), observation: Observation(text: "", outcome: .final(1))))
        forced.end(.forced(1))
        let view = CodeAgentView(instructions: .brief, tools: [], forcedAnswers: .trained)
        #expect(view.examples(for: forced).count == 2)
        #expect(view.examples(for: forced, learning: .only([2])).count == 1)
        #expect(view.examples(for: forced, learning: .only([3])).count == 1)
    }

    @Test(
        "actions that do the same have one spelling",
        arguments: [
            ("x = 1", "x=1   # one"), ("if a :\n    f( 1, 2 )", "if a:\n\n    f(1,2)\n"),
            ("print('a  # b')", "print( 'a  # b' )"), ("return \"x\"", "return  \"x\""),
        ])
    func spelling(a: String, b: String) {
        #expect(Action.code(a).canonicalText == Action.code(b).canonicalText)
    }

    @Test(
        "actions that do something else have another",
        arguments: [
            ("print('a b')", "print('a  b')"), ("if a:\n    f()\ng()", "if a:\n    f()\n    g()"),
            ("s = '''a\n\nb'''", "s = '''a\nb'''"), ("not x", "notx"), ("print('#a')", "print('#b')"),
        ])
    func differing(a: String, b: String) {
        #expect(Action.code(a).canonicalText != Action.code(b).canonicalText)
    }

    @Test("calls are compared by tool and arguments, whatever the order of the arguments")
    func calls() {
        func call(_ arguments: JSONValue) -> String { Action.toolCall(name: "t", arguments: arguments).canonicalText }
        #expect(call(["a": 1, "b": ["c": "x", "d": 2]]) == call(["b": ["d": 2, "c": "x"], "a": 1]))
        #expect(call(["a": 1]) != call(["a": "1"]))
        #expect(call(["a": [1, 2]]) != call(["a": [2, 1]]))
    }
}
