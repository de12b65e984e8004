import RetortCore
import Testing

@testable import RetortAgents
@testable import RetortRecipes

@Suite("Texts cut at the token limit")
struct CutTextsTests {
    private func run(_ actions: [Action]) -> Trajectory {
        var trajectory = Trajectory(
            task: AgentTask(id: "t", question: "?", answers: ["1"], family: .factual),
            provenance: Provenance(policy: "cot", model: "m"))
        for action in actions {
            trajectory.append(
                Step(thought: "", action: action, observation: Observation(text: "", outcome: .success)))
        }
        return trajectory
    }

    @Test("a tenth of the runs is no matter for a warning; more is, with the limit and what to do")
    func warning() throws {
        let whole = run([.unparsable(text: "hm", reason: "no code"), .answer("1")])
        let cut = run([.answer("1"), .cut("and so", limit: 128)])
        let few = CutTexts([cut] + Array(repeating: whole, count: 9))
        #expect((few.count, few.all) == (1, 10))
        #expect(few.warning(limit: 128) == nil)
        let told = try #require(CutTexts([cut, cut] + Array(repeating: whole, count: 8)).warning(limit: 128))
        #expect(told.hasPrefix("WARNING: in 2 of 10 runs a text was cut at evaluation.maxTokens, 128"))
        #expect(CutTexts([]).warning(limit: 128) == nil)
    }
}
