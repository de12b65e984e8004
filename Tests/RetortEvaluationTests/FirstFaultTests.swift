import RetortCore
import Testing

@testable import RetortEvaluation

@Suite("First fault of a run")
struct FirstFaultTests {
    private func step(_ program: String, _ text: String = "", _ outcome: Observation.Outcome = .success) -> Step {
        Step(
            thought: "", action: .code(program),
            observation: Observation(
                text: text, outcome: outcome,
                toolCalls: program.contains("search")
                    ? [ToolCall(name: "search", arguments: [:], result: .string(text))] : []))
    }

    private func run(_ steps: [Step], _ ending: Ending = .answered("Paris"), attempt: Int = 0) -> Trajectory {
        var trajectory = Trajectory(
            task: AgentTask(id: "t", question: "?", answers: ["Rome"], family: .factual),
            provenance: Provenance(policy: "agent", model: "m", attempt: attempt))
        for step in steps { trajectory.append(step) }
        trajectory.end(ending)
        return trajectory
    }

    private func fault(_ trajectory: Trajectory, solved: [Trajectory] = []) -> FirstFault? {
        FirstFault(trajectory, verdict: Verdict(isCorrect: false, reason: "wrong"), solved: solved)
    }

    private let error = Observation.Outcome.executionError(type: "NameError", message: "x")

    @Test("a run that was right went nowhere wrong")
    func right() {
        #expect(FirstFault(run([step("a")]), verdict: Verdict(isCorrect: true, reason: "")) == nil)
        #expect(FirstFault(run([]), verdict: nil) == nil)
    }

    @Test("a run that broke did so at its last step")
    func broke() {
        #expect(fault(run([step("a"), step("b")], .failed("no server")))?.step == 1)
        #expect(fault(run([], .failed("no server")))?.step == nil)
    }

    @Test("of failures to the end it is the first, not one that was recovered from")
    func failing() {
        let found = fault(
            run([step("a", "", error), step("b"), step("c", "", error), step("d", "", .timeout(seconds: 1))]))
        #expect(found?.step == 2 && found?.words.contains("NameError") == true)
    }

    @Test("else where it left the way of a run that solved the task, comments and blanks aside")
    func diverging() {
        let solved = run([step("x = 1"), step("search('Rome')", "Rome"), step("final")], .answered("Rome"), attempt: 3)
        let other = run([step("x  =  1  # set"), step("search('Paris')", "Paris"), step("final")])
        let found = fault(other, solved: [run([step("else")]), solved])
        #expect(found?.step == 1 && found?.words.contains("attempt 3") == true)
    }

    @Test("else where the answer had been in sight, or was never found")
    func overlooked() {
        #expect(fault(run([step("search(1)", "It is Rome."), step("search(2)", "x"), step("final")]))?.step == 1)
        let never = fault(run([step("search(1)", "x"), step("search(2)", "y"), step("final")]))
        #expect(never?.step == 1 && never?.words.contains("never seen") == true)
        #expect(fault(run([step("a"), step("b")]))?.step == nil)
    }
}
