import Foundation
import RetortCore

/// Reads the ReAct trajectories that FireAct (arXiv 2310.05915) publishes: lines of `Thought:`, `Action: search[…]` or
/// `finish[…]`, and `Observation:`, in a JSON list of `{"instruction", "output"}`.
///
/// A search becomes a call of the tool `search`, a finish the answer. The records contain no reference answer; where
/// the episode ended with `reward = True`, the given answer was right and becomes the task's.
public enum FireActImporter {
    private struct Record: Decodable {
        let instruction: String
        let output: String
    }

    /// One trajectory for each record, in file order; one that cannot be read to its end is `.failed` with the reason.
    /// - Parameter source: begins the tasks' ids.
    /// - Throws: `FireActError` for a file that is not such a list.
    public static func read(_ file: URL, source: String = "hotpotqa-fireact") throws -> [Trajectory] {
        guard let data = try? Data(contentsOf: file) else { throw FireActError.missing(file: file.path) }
        guard let records = try? JSONCoding.decoder.decode([Record].self, from: data) else {
            throw FireActError.notAList(file: file.path)
        }
        return records.enumerated().map { index, record in
            trajectory(record, AgentTask.fireAct("\(source)-\(index)", record.instruction))
        }
    }

    /// The trajectories of a list, or of a file with one record per line, and what happened to each record.
    /// - Throws: `JSONLinesError`, `JSONFileError` for a file that cannot be read at all.
    static func records(
        of file: URL, family: AgentTask.Family, split: String
    ) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        let source = file.deletingPathExtension().lastPathComponent
        var trajectories: [Trajectory] = []
        var account = ImportAccount()
        try RecordFile(file).forEach { value, number in
            account.records += 1
            do {
                let record = try ExactJSON.decode(Record.self, from: value.get())
                var task = AgentTask.fireAct("\(source)-\(number - 1)", record.instruction)
                (task.family, task.split) = (family, split)
                trajectories.append(trajectory(record, task))
                account.imported += 1
            } catch let error as RecordRejection {
                account.reject(number, error.reason)
            } catch {
                account.reject(number, JSONLinesFile.reason(error))
            }
        }
        return (trajectories, account)
    }

    private static func trajectory(_ record: Record, _ given: AgentTask) -> Trajectory {
        let turns = turns(of: record.output)
        let isRewarded = turns.last?.observation.contains("reward = True") == true
        var task = given
        if isRewarded, case .answer(.string(let answer)) = turns.last?.action { task.answers = [answer] }
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "teacher", model: "gpt-4"))
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

    /// Splits the text at its labels. A line without a label continues the text before it.
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

extension AgentTask {
    fileprivate static func fireAct(_ id: String, _ question: String) -> AgentTask {
        AgentTask(id: id, question: question, answers: [], family: .factual, split: "train")
    }
}

/// A FireAct file that cannot be read.
public enum FireActError: Error, CustomStringConvertible, Equatable {
    /// There is no such file.
    case missing(file: String)
    /// The file is not a JSON list of records with `instruction` and `output`.
    case notAList(file: String)

    /// A message for users: what is wrong, and what to do.
    public var description: String {
        switch self {
        case .missing(let file): "\(file) cannot be read; check the path"
        case .notAList(let file):
            "\(file) is not a JSON list of records with 'instruction' and 'output'; give a file of FireAct's data folder"
        }
    }
}
