import Foundation
import RetortCore

/// Reads questions with answers: the agent-distillation data sets (`{"metadata": …, "examples": […]}`), or JSON Lines
/// with `question` and `answer`, GSM8K's reasoning that ends in `#### 42` and GSM-Hard's `13138980.0` among them.
///
/// Nothing is left out silently: `omissions` names each record that is no task, and why.
public struct QuestionFile: Sendable {
    /// What becomes of a question that stands in the file before.
    public enum Repeats: Sendable {
        /// It is a task of its own, as published evaluations count it; `repeated` tells how many there are.
        case keep
        /// It is left out, so that a question is not trained on twice.
        case leaveOut
    }

    /// Which members of a record are what.
    public struct Fields: Codable, Sendable, Hashable {
        /// The question's parts, joined by blanks: SVAMP's are `Body` and `Question`.
        public var question: [String]
        public var answer: String
        public var id: String

        public init(question: [String] = ["question"], answer: String = "answer", id: String = "id") {
            (self.question, self.answer, self.id) = (question, answer, id)
        }

        public static let usual = Fields()
    }

    /// A record that became no task.
    public struct Omission: Sendable, Hashable {
        /// Why a record was left out.
        public enum Reason: Sendable, Hashable {
            /// Its answer is null, missing or empty.
            case noAnswer
            /// The same question is record `first` of the file.
            case repeated(first: Int)
            /// The file ends in the middle of it.
            case torn
        }

        /// The record's number in the file, from 1; of a JSON Lines file the line.
        public let record: Int
        /// Why it was left out.
        public let reason: Reason
    }

    /// The tasks, in file order. Their ids are unique.
    public private(set) var tasks: [AgentTask] = []
    /// Records that became no task, in file order.
    public private(set) var omissions: [Omission] = []
    /// How many questions stand in the file before, whether kept or left out.
    public private(set) var repeated = 0
    /// How many records were left out because they have no answer.
    public var unanswered: Int { omissions.count { $0.reason == .noAnswer } }

    private var firstRecords: [String: Int] = [:]
    private var ids: Set<String> = []

    /// - Parameters:
    ///   - file: a `.json` file with a list `examples`, or else JSON Lines.
    ///   - family: how answers are graded.
    ///   - split: what the tasks' split is called. A record's own is kept in the metadata as `sourceSplit`.
    ///   - repeats: what becomes of a question that stands in the file before.
    ///   - fields: the names of a record's members.
    ///   - tornEnd: what a JSON Lines file that was cut means.
    /// - Throws: `JSONFileError`, `JSONLinesError` or `QuestionFileError` that names the file and the line or record.
    public init(
        _ file: URL, family: AgentTask.Family, split: String, repeats: Repeats = .keep,
        tornEnd: JSONLinesFile.TornEnd = .refuse, fields: Fields = .usual
    ) throws {
        let name = file.deletingPathExtension().lastPathComponent
        func add(_ record: JSONValue, _ number: Int) throws {
            let parts = fields.question.compactMap { record[$0]?.string }
            guard let members = record.object, parts.count == fields.question.count, !parts.isEmpty else {
                throw QuestionFileError.noQuestion(
                    file: file.path, record: number, fields: fields.question.joined(separator: "' and '"))
            }
            let question = parts.joined(separator: " ")
            let answer = ReferenceAnswer(members[fields.answer] ?? members["answers"] ?? .null)
            guard !answer.accepted.isEmpty else {
                omissions.append(Omission(record: number, reason: .noAnswer))
                return
            }
            if let first = firstRecords[question] {
                repeated += 1
                if repeats == .leaveOut {
                    omissions.append(Omission(record: number, reason: .repeated(first: first)))
                    return
                }
            } else {
                firstRecords[question] = number
            }
            tasks.append(
                AgentTask(
                    id: uniqueID("\(name)-\(members[fields.id]?.text ?? String(number - 1))"), question: question,
                    answers: answer.accepted, family: family, split: split,
                    metadata: Self.metadata(members, fields, rationale: answer.rationale)))
        }
        if file.pathExtension == "json" {
            for (index, record) in try Self.examples(file).enumerated() { try add(record, index + 1) }
        } else {
            let account = try JSONLinesFile(file, tornEnd: tornEnd).forEach(JSONValue.self, add)
            if let line = account.tornLine { omissions.append(Omission(record: line, reason: .torn)) }
        }
        firstRecords = [:]
        ids = []
    }

    private mutating func uniqueID(_ id: String) -> String {
        var unique = id
        var copy = 2
        while !ids.insert(unique).inserted {
            unique = "\(id)#\(copy)"
            copy += 1
        }
        return unique
    }

    private static func examples(_ file: URL) throws -> [JSONValue] {
        let content = try JSONFile.value(file)
        guard let examples = content["examples"]?.array ?? content.array else {
            throw QuestionFileError.noExamples(file: file.path)
        }
        return examples
    }

    private static func metadata(
        _ members: [String: JSONValue], _ fields: Fields, rationale: String?
    ) -> [String: JSONValue] {
        var metadata = members
        for key in fields.question + [fields.answer, "answers", fields.id] { metadata[key] = nil }
        if let split = metadata.removeValue(forKey: "split") { metadata["sourceSplit"] = split }
        if let rationale { metadata["rationale"] = .string(rationale) }
        return metadata
    }
}

/// A reference answer as data sets write it.
private struct ReferenceAnswer {
    /// The accepted answers' texts; empty when there is none.
    let accepted: [String]
    /// GSM8K's worked solution, without its last line.
    private(set) var rationale: String?

    init(_ value: JSONValue) {
        switch value {
        case .null: accepted = []
        // GSM-Hard writes whole numbers as 13138980.0.
        case .number(let number) where number == number.rounded() && abs(number) < 1e15:
            accepted = [String(Int(number))]
        case .array(let values): accepted = values.flatMap { ReferenceAnswer($0).accepted }
        case .string(let text):
            let mark = text.ranges(of: "####").last
            let answer = text[(mark?.upperBound ?? text.startIndex)...].trimmingCharacters(in: .whitespacesAndNewlines)
            accepted = answer.isEmpty ? [] : [answer]
            rationale = mark.map { text[..<$0.lowerBound].trimmingCharacters(in: .whitespacesAndNewlines) }
        case .bool, .integer, .number, .object: accepted = [value.text]
        }
    }
}

/// A question file that cannot be read.
public enum QuestionFileError: Error, CustomStringConvertible, Equatable {
    /// A `.json` file that holds no list of questions.
    case noExamples(file: String)
    /// A record, from 1, whose question is missing or no text.
    case noQuestion(file: String, record: Int, fields: String = "question")

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .noExamples(let file):
            "\(file) has no list 'examples'; give a .json file of that form, or a .jsonl file with one question a line"
        case .noQuestion(let file, let record, let fields):
            "\(file), record \(record): it has no text '\(fields)'; correct or remove the record"
        }
    }
}
