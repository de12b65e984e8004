import Foundation
import RetortCore
import RetortEvaluation
import RetortStore

extension DomainPlan {
    /// The tasks of a file, in its order.
    ///
    /// A record is a JSON object: its question, its reference answer where it has one, and anything else that `setup`
    /// and `grade` need, which is kept with the task.
    /// - Throws: `DomainError` that names the file and the record; `JSONFileError`, `JSONLinesError`.
    func tasks(_ plan: TaskFile, split: String, taken: inout [String: String]) throws -> [AgentTask] {
        let file = url(plan.file)
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder), !isFolder.boolValue else {
            throw DomainError.noFile(what: "tasks '\(split)'", path: file.path)
        }
        var tasks: [AgentTask] = []
        let grader = plan.grader ?? grader
        let prefix = file.deletingPathExtension().lastPathComponent
        func add(_ record: JSONValue, _ number: Int) throws {
            guard tasks.count < plan.limit ?? .max else { return }
            let parts = fields.question.compactMap { record[$0]?.string }
            guard let members = record.object, parts.count == fields.question.count else {
                throw DomainError.noQuestion(
                    file: file.path, record: number, field: fields.question.joined(separator: "' and '"))
            }
            let question = parts.joined(separator: " ").trimmingCharacters(in: .whitespacesAndNewlines)
            guard !question.isEmpty else {
                throw DomainError.noQuestion(
                    file: file.path, record: number, field: fields.question.joined(separator: "' and '"))
            }
            let own = members[fields.id] ?? .null
            let id = own == .null ? "\(prefix)-\(number)" : own.text
            if let other = taken.updateValue(file.lastPathComponent, forKey: id) {
                throw DomainError.repeatedID(file: file.path, record: number, id: id, other: other)
            }
            var metadata = members
            // These are the task's own; members of other names stay, because functions are given the whole record.
            for key in ["id", "question"] { metadata[key] = nil }
            let answer = members[fields.answer] ?? .null
            let references = Self.references(answer, grader)
            // An answer that adds nothing to the accepted answers is not kept twice.
            if answer == .null || answer.string.map({ [$0] == references }) == true { metadata[fields.answer] = nil }
            tasks.append(
                AgentTask(
                    id: id, question: question, answers: references, family: grader.family,
                    split: split, metadata: metadata))
        }
        if file.pathExtension == "json" {
            let content = try JSONFile.value(file)
            guard let records = content.array ?? content["tasks"]?.array ?? content["examples"]?.array else {
                throw DomainError.noTasks(file: file.path)
            }
            for (index, record) in records.enumerated() { try add(record, index + 1) }
        } else {
            try JSONLinesFile(file).forEach(JSONValue.self, add)
        }
        guard !tasks.isEmpty else { throw DomainError.noTasks(file: file.path) }
        return tasks
    }

    /// Accepted answers as texts: for graders of whole values the value itself, for others each element of a list.
    static func references(_ answer: JSONValue, _ grader: GraderPlan) -> [String] {
        switch answer {
        case .null: []
        case _ where grader.takesWholeValues: [answer.jsonText]
        case .array(let values): values.map(\.text)
        case .string(let text):
            // GSM8K's solutions end with their answer, after `####`.
            text.ranges(of: "####").last.map {
                [text[$0.upperBound...].trimmingCharacters(in: .whitespacesAndNewlines)]
            }
                ?? (text.isEmpty ? [] : [text])
        default: [answer.text]
        }
    }

    /// A task as `setup` and `grade` receive it: its record, with id, question and split.
    static func record(_ task: AgentTask, answer field: String) -> JSONValue {
        var members = task.metadata
        members["id"] = .string(task.id)
        members["question"] = .string(task.question)
        members["split"] = .string(task.split)
        if members[field] == nil, !task.answers.isEmpty {
            members[field] =
                task.answers.count == 1 ? .string(task.answers[0]) : .array(task.answers.map(JSONValue.string))
        }
        return .object(members)
    }
}
