import Foundation
import RetortAgents
import RetortCore
import RetortPython
import RetortTesting
import Testing

@Suite("Program-aided roles")
struct ProgramRolesTests {
    @Test("the caller writes Python for the real interpreter; depth-first search goes back to the variables of then")
    func mathematics() async throws {
        let model = RoleModel(
            ScriptedModel(
                "I multiply.\n Next: caller.", "```py\nx = 6\nprint(x)\n```",
                "I add.\n Next: caller.", "```py\nx = x + 1\nprint(x)\n```",
                "That is wrong.\n Next: give up.",
                "I multiply by seven.\n Next: caller.", "```py\nx = x * 7\nprint(x)\n```",
                "It is 42.\n Next: conclusion.", "42"
            ))
        let policy = RolePolicy(planner: model, caller: model, summarizer: model, callForm: .program)
        let python = try await PythonInterpreter()
        let rollout = Rollout(policy: policy, search: DepthFirstSearch(), maximumSteps: 5) {
            try await python.session(tools: [])
        }
        let task = AgentTask(id: "t", question: "What is six times seven?", answers: ["42"], family: .math)
        let run = try await rollout.trajectory(for: task)
        #expect(run.ending == .answered("42"))
        #expect(
            run.steps.map { $0.observation.text.trimmingCharacters(in: .whitespacesAndNewlines) } == ["6", "42", ""])
        #expect(run.steps[1].candidates.count == 2)
    }
}
