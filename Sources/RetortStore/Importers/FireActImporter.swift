import Foundation
import RetortCore

/// Reads the ReAct trajectories that FireAct (arXiv 2310.05915) publishes: lines of `Thought:`, `Action: search[…]` or
/// `finish[…]`, and `Observation:`, in a JSON list of `{"instruction", "output"}`.
///
/// A search becomes a call of the tool `search`, a finish the answer. The records hold no reference answer; where the
/// episode ended with `reward = True` the given answer was right, and becomes the task's.
public enum FireActImporter {
    private struct Record: Decodable {
        let instruction: String
        let output: String
    }

    /// One trajectory for each record, in file order; one that cannot be read to its end is `.failed` with the reason.
    /// - Throws: `FireActError` for a file that is no such list.
    public static func read(_ file: URL, source: String = "hotpotqa-fireact") throws -> [Trajectory] {
        guard let data = try? Data(contentsOf: file) else { throw FireActError.missing(file: file.path) }
        guard let records = try? JSONCoding.decoder.decode([Record].self, from: data) else {
            throw FireActError.notAList(file: file.path)
        }
        return records.enumerated().map { index, record in
            trajectory(record, id: "\(source)-\(index)")
        }
    }

    private static func trajectory(_ record: Record, id: String) -> Trajectory {
        let turns = turns(of: record.output)
        let isRewarded = turns.last?.observation.contains("reward = True") == true
        var answers: [String] = []
        if isRewarded, case .answer(.string(let answer)) = turns.last?.action { answers = [answer] }
        var trajectory = Trajectory(
            task: AgentTask(
                id: id, question: record.instruction, answers: answers, family: .factual, split: "train"),
            provenance: Provenance(policy: "teacher", model: "gpt-4"))
        for turn in turns {
            let outcome: Observation.Outcome =
                switch turn.action {
                case .answer(let value): .final(value)
                case .unparsable(_, let reason): .parseError(reason)
                case .code, .toolCall, .giveUp: .success
                }
            var observation = Observation(text: turn.observation, outcome: outcome)
            if case .toolCall(let name, let arguments) = turn.action {
                observation.toolCalls = [
                    ToolCall(name: name, arguments: arguments.object ?? [:], result: .string(turn.observation))
                ]
            }
            trajectory.append(Step(thought: turn.thought, action: turn.action, observation: observation))
            if case .answer(let value) = turn.action { trajectory.end(.answered(value)) }
        }
        trajectory.end(.failed("the record has no finish[…]: \(record.output.suffix(80))"))
        return trajectory
    }

    private struct Turn {
        var thought: String
        var action: Action = .unparsable(text: "", reason: "the record has no action")
        var observation = ""
    }

    /// Cuts the text at its labels. A line without a label goes on with what the line before it said.
    private static func turns(of output: String) -> [Turn] {
        var fields: [(label: String, text: String)] = []
        for line in output.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" }) {
            if let label = ["Thought", "Action", "Observation"].first(where: { line.hasPrefix("\($0):") }) {
                fields.append((label, line.dropFirst(label.count + 1).trimmingCharacters(in: .whitespaces)))
            } else if fields.isEmpty {
                fields.append(("Thought", String(line)))
            } else {
                fields[fields.count - 1].text += "\n\(line)"
            }
        }
        var turns: [Turn] = []
        for (label, text) in fields {
            let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
            if label == "Thought" || turns.isEmpty { turns.append(Turn(thought: label == "Thought" ? text : "")) }
            if label == "Action" { turns[turns.count - 1].action = action(text) }
            if label == "Observation" { turns[turns.count - 1].observation = text }
        }
        return turns
    }

    private static func action(_ text: String) -> Action {
        if let match = text.wholeMatch(of: /(?s)(\w+)\[(.*)\]/) {
            let argument = String(match.output.2)
            switch match.output.1 {
            case "search": return .toolCall(name: "search", arguments: ["query": .string(argument)])
            case "finish": return .answer(.string(argument))
            default: break
            }
        }
        return .unparsable(text: text, reason: "it is neither search[…] nor finish[…]")
    }
}

/// A FireAct file that cannot be read.
public enum FireActError: Error, CustomStringConvertible, Equatable {
    /// There is no such file.
    case missing(file: String)
    /// The file is no JSON list of records with `instruction` and `output`.
    case notAList(file: String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; check the path"
        case .notAList(let file):
            "\(file) is not a JSON list of records with 'instruction' and 'output'; give a file of FireAct's data folder"
        }
    }
}
