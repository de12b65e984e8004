import Foundation
import RetortCore

/// Reads questions with answers: the agent-distillation data sets (`{"examples": […]}`), or JSON Lines with `question`
/// and `answer`, GSM8K's reasoning ending in `#### 42` among them.
public struct QuestionFile: Sendable {
    /// The tasks, in file order.
    public let tasks: [AgentTask]
    /// Questions left out because they have no answer.
    public let unanswered: Int
    /// Questions left out because they stand in the file before.
    public let repeated: Int

    /// - Parameters:
    ///   - family: how answers are graded.
    ///   - split: what the tasks' split is called.
    public init(_ file: URL, family: AgentTask.Family, split: String) throws {
        let records = try Self.records(file)
        var tasks: [AgentTask] = []
        var seen: Set<String> = []
        var unanswered = 0
        var repeated = 0
        let name = file.deletingPathExtension().lastPathComponent
        for (index, record) in records.enumerated() {
            guard let question = record["question"]?.string else {
                throw QuestionFileError.noQuestion(file: file.path, record: index + 1)
            }
            guard let answer = record["answer"].flatMap(Self.answer) else {
                unanswered += 1
                continue
            }
            guard seen.insert(question).inserted else {
                repeated += 1
                continue
            }
            var metadata = record
            for key in ["question", "answer", "id", "split"] { metadata[key] = nil }
            tasks.append(
                AgentTask(
                    id: "\(name)-\(record["id"]?.text ?? String(index))", question: question, answers: [answer],
                    family: family, split: split, metadata: metadata))
        }
        self.tasks = tasks
        self.unanswered = unanswered
        self.repeated = repeated
    }

    private static func records(_ file: URL) throws -> [[String: JSONValue]] {
        guard file.pathExtension == "json" else { return try JSONLines.read([String: JSONValue].self, from: file) }
        guard let data = try? Data(contentsOf: file) else { throw JSONLinesError.missing(file: file.path) }
        guard let examples = (try? JSONCoding.decoder.decode(JSONValue.self, from: data))?["examples"]?.array else {
            throw QuestionFileError.noExamples(file: file.path)
        }
        return examples.compactMap(\.object)
    }

    /// The answer's text: what follows `####`, whole numbers without a decimal point.
    private static func answer(_ value: JSONValue) -> String? {
        switch value {
        case .null: return nil
        case .number(let number) where number == number.rounded() && abs(number) < 1e15:
            return String(Int(number))
        case .string(let text):
            let last = text.ranges(of: "####").last.map { text[$0.upperBound...] } ?? text[...]
            let answer = last.trimmingCharacters(in: .whitespacesAndNewlines)
            return answer.isEmpty ? nil : answer
        default: return value.text
        }
    }
}

/// A question file that cannot be read.
public enum QuestionFileError: Error, CustomStringConvertible {
    case noExamples(file: String)
    case noQuestion(file: String, record: Int)

    public var description: String {
        switch self {
        case .noExamples(let file):
            "\(file) has no list 'examples'; give a .json file of that form, or a .jsonl file with one question a line"
        case .noQuestion(let file, let record): "\(file), record \(record): it has no text 'question'"
        }
    }
}
