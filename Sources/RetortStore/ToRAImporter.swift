import Foundation
import RetortCore

/// Reads the trajectories that ToRA (arXiv 2309.17452) publishes: text, Python programs and their outputs in turn, as
/// fenced blocks, and a final text with the boxed answer.
public struct ToRAImporter: Sendable {
    /// One line of the file.
    struct Record: Decodable {
        let idx: Int
        let question: String
        let gt: String
        let code: [String]
        let pred: [String]
    }

    public init() {}

    /// One trajectory for each record and sample, in file order; none is left out.
    ///
    /// A record without a program, or without an answer, ends as `.gaveUp` with the reason, and keeps its text.
    public func trajectories(from file: URL) throws -> [Trajectory] {
        var trajectories: [Trajectory] = []
        try JSONLines.forEach(Record.self, in: file) { record, _ in
            let task = AgentTask(
                id: "gsm8k-test-\(record.idx)", question: record.question, answers: [record.gt], family: .math,
                split: "test", metadata: ["recordedAnswers": .array(record.pred.map(JSONValue.string))])
            for (attempt, text) in record.code.enumerated() {
                trajectories.append(trajectory(task, text, attempt: attempt))
            }
        }
        return trajectories
    }

    private func trajectory(_ task: AgentTask, _ text: String, attempt: Int) -> Trajectory {
        var trajectory = Trajectory(
            task: task, provenance: Provenance(policy: "tora", model: "tora-70b", attempt: attempt))
        var thought = ""
        var program: String?
        for block in Self.blocks(of: text) {
            switch block {
            case .text(let text): thought += text
            case .program(let source):
                if let program { append(program, output: nil, &thought, to: &trajectory) }
                program = source
            case .output(let output):
                guard let source = program else { continue }
                append(source, output: output, &thought, to: &trajectory)
                program = nil
            }
        }
        if let program { append(program, output: nil, &thought, to: &trajectory) }
        let closing = thought.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let answer = Self.boxed(closing) ?? task.metadata["recordedAnswers"]?.array?[attempt].string,
            !answer.isEmpty
        else {
            trajectory.end(.gaveUp("the record holds no answer: \(closing)"))
            return trajectory
        }
        trajectory.append(
            Step(
                thought: closing, action: .answer(.string(answer)),
                observation: Observation(text: "", outcome: .final(.string(answer)))))
        trajectory.end(.answered(.string(answer)))
        return trajectory
    }

    private func append(_ program: String, output: String?, _ thought: inout String, to trajectory: inout Trajectory) {
        let observation = Observation(
            text: output ?? "", outcome: output == nil ? .parseError("the record holds no output") : .success)
        trajectory.append(
            Step(
                thought: thought.trimmingCharacters(in: .whitespacesAndNewlines), action: .code(program),
                observation: observation))
        thought = ""
    }

    private enum Block { case text(String), program(String), output(String) }

    private static func blocks(of text: String) -> [Block] {
        var blocks: [Block] = []
        var rest = text[...]
        while let open = rest.firstRange(of: "```") {
            blocks.append(.text(String(rest[..<open.lowerBound])))
            let body = rest[open.upperBound...]
            let close = body.firstRange(of: "\n```")
            let content = body[..<(close?.lowerBound ?? body.endIndex)]
            let tag = content.prefix { $0 != "\n" }
            let inner = String(content.dropFirst(tag.count + 1))
            blocks.append(tag == "output" ? .output(inner) : .program(inner))
            rest = close.map { body[$0.upperBound...] } ?? ""
        }
        blocks.append(.text(String(rest)))
        return blocks
    }

    private static func boxed(_ text: String) -> String? {
        guard let open = text.ranges(of: "\\boxed{").last else { return nil }
        var depth = 1
        for index in text[open.upperBound...].indices {
            if text[index] == "{" { depth += 1 }
            if text[index] == "}" { depth -= 1 }
            if depth == 0 { return String(text[open.upperBound..<index]) }
        }
        return nil
    }
}
