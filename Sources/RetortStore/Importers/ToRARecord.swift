import Foundation
import RetortCore

/// One sampled solution of a file that ToRA (arXiv 2309.17452) publishes, with what its authors recorded about it.
public struct ToRARecord: Sendable, Hashable {
    /// The line of the file, from 1.
    public let line: Int
    /// The task: question, reference answer, and the human solution as `rationale`.
    public let task: AgentTask
    /// Which of the line's samples, from 0.
    public let attempt: Int
    /// The model's whole text with the recorded outputs in it.
    public let text: String
    /// The answer that ToRA extracted and graded; nil when none was recorded.
    public let prediction: String?

    /// The programs in order, as written in the text.
    public var programs: [String] {
        FencedText.blocks(of: text).compactMap { if case .program(let source) = $0 { source } else { nil } }
    }

    /// The recorded outputs in order.
    public var outputs: [String] {
        FencedText.blocks(of: text).compactMap { if case .output(let output) = $0 { output } else { nil } }
    }

    /// The record as a trajectory of the policy `teacher`.
    ///
    /// Programs are `.code` steps with the recorded output as observation; the text after the last output is the
    /// thought of a final `.answer` step. The answer is the recorded prediction, which is the boxed text without `%`
    /// and `.0`, or the box itself where none was recorded. A text that has neither a box nor an output ends as
    /// `.failed` with the reason, and keeps its steps.
    public var trajectory: Trajectory {
        var trajectory = Trajectory(
            task: task, provenance: Provenance(policy: "teacher", model: "tora-70b", attempt: attempt))
        var thought: [String] = []
        var program: String?
        func run(output: String?) {
            guard let source = program else { return }
            trajectory.append(
                Step(
                    thought: thought.joined(separator: "\n"), action: .code(source),
                    observation: Self.observation(output)))
            thought = []
            program = nil
        }
        for block in FencedText.blocks(of: text) {
            switch block {
            case .prose(let text):
                run(output: nil)
                thought.append(text.trimmingCharacters(in: .whitespacesAndNewlines))
            case .program(let source):
                run(output: nil)
                program = source
            case .output(let output):
                run(output: output)
            }
        }
        run(output: nil)
        finish(&trajectory, closing: thought.joined(separator: "\n"))
        return trajectory
    }

    private func finish(_ trajectory: inout Trajectory, closing: String) {
        let box = FencedText.boxed(in: closing)
        let hasGround = box != nil || !(closing.isEmpty || outputs.isEmpty)
        guard hasGround, let answer = prediction ?? box, !answer.isEmpty else {
            let recorded = prediction.map { "; the recorded prediction is '\($0)'" } ?? ""
            let reason = text.isEmpty ? "the record holds no text" : "the text stops before an answer"
            if !closing.isEmpty {
                trajectory.append(
                    Step(
                        thought: closing, action: .unparsable(text: closing, reason: reason),
                        observation: Observation(text: "", outcome: .parseError(reason))))
            }
            return trajectory.end(.failed("line \(line): \(reason)\(recorded)"))
        }
        trajectory.append(
            Step(
                thought: closing, action: .answer(.string(answer)),
                observation: Observation(text: "", outcome: .final(.string(answer)))))
        trajectory.end(.answered(.string(answer)))
    }

    /// ToRA records the printed output, or the last line of the traceback.
    private static func observation(_ output: String?) -> Observation {
        guard let output else {
            return Observation(
                text: "", outcome: .executionError(type: "NotRecorded", message: "the record holds no output"))
        }
        let last = output.split(whereSeparator: { $0 == "\n" || $0 == "\r\n" }).last ?? ""
        if let error = last.wholeMatch(of: /([A-Za-z_][\w.]*(?:Error|Exception|Interrupt))(?::\s*(.*))?/) {
            let type = error.output.1.split(separator: ".").last.map(String.init) ?? String(error.output.1)
            return Observation(
                text: output, outcome: .executionError(type: type, message: String(error.output.2 ?? "")))
        }
        return Observation(text: output, outcome: .success)
    }
}
