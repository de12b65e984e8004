import Foundation
import RetortCore
import Testing

@testable import RetortStore

@Suite("ToRA importer")
struct ToRAImporterTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private func record(_ text: String, prediction: String? = nil) -> ToRARecord {
        ToRARecord(
            line: 1, task: AgentTask(id: "t", question: "?", answers: ["18"], family: .math), attempt: 0, text: text,
            prediction: prediction)
    }

    @Test("thought, program, output and boxed answer become steps")
    func steps() {
        let text =
            "Let me compute.\n```python\nx = 9 * 2\nprint(x)\n```\n```output\n18\n```\nJanet makes $\\boxed{18.0}$."
        let trajectory = record(text, prediction: "18").trajectory
        #expect(
            trajectory.steps == [
                Step(
                    thought: "Let me compute.", action: .code("x = 9 * 2\nprint(x)"),
                    observation: Observation(text: "18", outcome: .success)),
                Step(
                    thought: "Janet makes $\\boxed{18.0}$.", action: .answer("18"),
                    observation: Observation(text: "", outcome: .final("18"))),
            ])
        #expect(trajectory.ending == .answered("18"))
        #expect(trajectory.provenance == Provenance(policy: "teacher", model: "tora-70b"))
    }

    @Test("several programs, one after an error")
    func severalPrograms() {
        let text = """
            ```python
            total()
            ```
            ```output
            NameError: name 'total' is not defined
            ```
            I correct it.
            ```python
            print(3)
            ```
            ```output
            3
            ```
            So \\boxed{\\frac{6}{2}}.
            """
        let made = record(text)
        #expect(made.programs == ["total()", "print(3)"])
        #expect(made.outputs == ["NameError: name 'total' is not defined", "3"])
        let trajectory = made.trajectory
        #expect(
            trajectory.steps.first?.observation.outcome
                == .executionError(type: "NameError", message: "name 'total' is not defined"))
        #expect(trajectory.steps.map(\.thought) == ["", "I correct it.", "So \\boxed{\\frac{6}{2}}."])
        #expect(trajectory.answer == "\\frac{6}{2}")
    }

    @Test("a last text without a box has the recorded prediction as its answer")
    func noBox() {
        let text = "```python\nprint(60.0)\n```\n```output\n60.0\n```\n60% of the students."
        #expect(record(text, prediction: "60").trajectory.ending == .answered("60"))
    }

    @Test(
        "a record without an answer is a failed trajectory that keeps its text",
        arguments: ["", "```python\nprint(1)\n```", "I do not know.", "```python\nprint(1)"])
    func noAnswer(text: String) {
        let trajectory = record(text, prediction: "rubbish").trajectory
        guard case .failed(let reason) = trajectory.ending else {
            Issue.record("\(text) did not fail")
            return
        }
        #expect(reason.contains("line 1") && reason.contains("rubbish"))
        #expect(trajectory.answer == nil)
        #expect(trajectory.steps.isEmpty == text.isEmpty)
    }

    @Test("as an agent's trajectory, the answer is a program that ends the run")
    func agentForm() {
        let trajectory = record("```python\nprint(18)\n```\n```output\n18\n```\n\\boxed{18}", prediction: "18")
            .trajectory
        let agent = trajectory.asAgentTrajectory()
        #expect(agent.steps.map(\.action) == [.code("print(18)"), .code("final_answer(\"18\")")])
        #expect(agent.steps.last?.observation.outcome == .final("18"))
        #expect(agent.ending == trajectory.ending && agent.id == trajectory.id)
        #expect(agent.asAgentTrajectory() == agent)
    }

    @Test(
        "an answer of any type is a Python literal",
        arguments: [
            ("a \"b\" \\ \r\n", #"final_answer("a \"b\" \\ \r\n")"#), (.null, "final_answer(None)"),
            (true, "final_answer(True)"), (2.0, "final_answer(2.0)"), ([1, "x"], "final_answer([1, \"x\"])"),
            (["k": ["v"]], "final_answer({\"k\": [\"v\"]})"), (.number(.infinity), "final_answer(float('inf'))"),
            (["$int": "123456789012345678901234567890"], "final_answer(123456789012345678901234567890)"),
            ("a\tb\u{1}", #"final_answer("a\tb\x01")"#),
        ] as [(JSONValue, String)])
    func literals(value: JSONValue, program: String) {
        var trajectory = record("").trajectory
        trajectory.append(
            Step(thought: "", action: .answer(value), observation: Observation(text: "", outcome: .success)))
        #expect(trajectory.asAgentTrajectory().steps.last?.action == .code(program))
    }

    @Test("a line's samples are attempts, and a malformed line is named")
    func file() throws {
        let line =
            #"{"idx":3,"question":"?","gt":"5","gt_cot":"why","code":["\\boxed{5}","\\boxed{6}"],"pred":["5","6"]}"#
        let file = try folder.file("tora.jsonl", line + "\n")
        let trajectories = try ToRAImporter.read(file)
        #expect(trajectories.map(\.id) == ["gsm8k-test-3/teacher/0", "gsm8k-test-3/teacher/1"])
        #expect(trajectories.map(\.answer) == ["5", "6"])
        #expect(trajectories[0].task.answers == ["5"])
        #expect(trajectories[0].task.metadata["rationale"] == "why")
        let broken = try folder.file("broken.jsonl", line + "\n{\"idx\":4}\n")
        #expect(throws: JSONLinesError.malformed(file: broken.path, line: 2, reason: "it lacks 'question'")) {
            try ToRAImporter.read(broken)
        }
    }
}
