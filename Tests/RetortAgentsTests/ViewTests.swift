import RetortAgents
import RetortCore
import Testing

@Suite("Views")
struct ViewTests {
    private let view = CodeAgentView(
        instructions: .brief,
        tools: [
            ToolSpecification(
                name: "web_search", summary: "Finds.", parameters: [.init("query", type: "string", summary: "What.")],
                returns: "string")
        ])

    private func trajectory(steps: Int) -> Trajectory {
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "agent", model: "m"))
        for number in 0..<steps {
            trajectory.append(
                Step(
                    thought: "Step \(number).", action: .code("print(\(number))"),
                    observation: Observation(text: "\(number)", outcome: .success)))
        }
        return trajectory
    }

    @Test("each prompt begins with the whole prompt of the step before")
    func prefix() {
        for steps in 0..<4 {
            let shorter = view.messages(for: trajectory(steps: steps))
            #expect(Array(view.messages(for: trajectory(steps: steps + 1)).prefix(shorter.count)) == shorter)
        }
    }

    @Test("only the agent's own turns are trainable")
    func marks() {
        var finished = trajectory(steps: 2)
        finished.end(.answered("1"))
        let messages = view.messages(for: finished)
        #expect(messages.map(\.role) == [.system, .user, .assistant, .user, .assistant])
        for message in messages { #expect(message.spans.allSatisfy { $0.trainable == (message.role == .assistant) }) }
    }

    @Test(
        "a rendered turn parses back to its thought and program",
        arguments: [
            ("Plan.", "x = 1"), ("Two\nlines.", "if x:\n    print('a')\n\nprint(2)"), ("", "final_answer(\"é ``\")"),
        ])
    func inverse(thought: String, program: String) {
        let parsed = ActionParser.codeTurn(CodeAgentView.turn(thought, .code(program)))
        #expect(parsed.thought == thought)
        #expect(parsed.action == .code(program))
    }

    @Test(
        "programs are found in the ways models write them",
        arguments: [
            ("```python\nx\n```", "x"), ("Thought: a\n```py\nx", "x"), ("```\nx\n```\nand\n```py\ny\n```", "x\n\ny"),
            ("<think>```py\nno\n```</think>Code:\n```py\nx\n```<end_code>", "x"),
        ])
    func tolerance(text: String, program: String) {
        #expect(ActionParser.codeTurn(text).action == .code(program))
    }

    @Test(
        "an answer is found where reasoners put it",
        arguments: [
            ("So.\nAnswer: Port Amsel", "Port Amsel"), ("It is \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
            ("<answer>yes</answer>", "yes"), ("Answer: 1\nNo.\nAnswer: 2", "2"),
        ])
    func answers(text: String, answer: String) {
        #expect(ActionParser.reasonedTurn(text).action == .answer(.string(answer)))
    }

    @Test("passages stand before the question")
    func passages() {
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "cot+rag", model: "m"))
        trajectory.append(
            Step(
                speaker: "retriever", thought: "", action: .toolCall(name: "web_search", arguments: ["query": "q"]),
                observation: Observation(text: "[1] Amsel", outcome: .success)))
        let messages = ChainOfThoughtView(instructions: .brief).messages(for: trajectory)
        #expect(messages.map(\.text) == ["Think, then answer.", "[1] Amsel\n\nWhat is x?"])
    }
}
