import Foundation
import RetortCore

/// An answer and its reference, as one line of a file of pairs.
package struct AnswerPair: Codable, Sendable, Hashable {
    /// The answer; nil where none was given.
    package var prediction: String?
    /// The accepted reference answers. In the file `reference` is one value or a list.
    package var references: [String]
    /// Decides how the answer is graded; `math` where the file does not say.
    package var kind: AgentTask.Family
    /// The question; only a judge reads it.
    package var question: String?
    /// A judge's verdict that the file contains.
    package var judge: Verdict?

    /// A pair with its parts.
    package init(
        prediction: String?, references: [String], kind: AgentTask.Family, question: String? = nil,
        judge: Verdict? = nil
    ) {
        (self.prediction, self.references, self.kind) = (prediction, references, kind)
        (self.question, self.judge) = (question, judge)
    }

    private enum Key: String, CodingKey { case prediction, reference, kind, question, judge }

    /// Reads a pair. Numbers and other JSON values are taken as their text.
    /// - Throws: `DecodingError`, also for a `judge` that is not a verdict.
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        let value = try fields.decodeIfPresent(JSONValue.self, forKey: .prediction) ?? .null
        prediction = value == .null ? nil : value.text
        let reference = try fields.decode(JSONValue.self, forKey: .reference)
        references = reference == .null ? [] : reference.array?.map(\.text) ?? [reference.text]
        kind = try fields.decodeIfPresent(AgentTask.Family.self, forKey: .kind) ?? .math
        question = try fields.decodeIfPresent(String.self, forKey: .question)
        judge = try Self.judgement(fields)
    }

    /// `true`, `1`, or an object with `correct` or `isCorrect` and a reason.
    private static func judgement(_ fields: KeyedDecodingContainer<Key>) throws -> Verdict? {
        let value = try fields.decodeIfPresent(JSONValue.self, forKey: .judge) ?? .null
        func verdict(_ value: JSONValue?) -> Bool? {
            switch value {
            case .bool(let isCorrect)?: isCorrect
            case .integer(0)?: false
            case .integer(1)?: true
            default: nil
            }
        }
        if value == .null { return nil }
        guard let isCorrect = verdict(value) ?? verdict(value["correct"]) ?? verdict(value["isCorrect"]) else {
            throw DecodingError.dataCorruptedError(
                forKey: .judge, in: fields,
                debugDescription: "'judge' must be true or false, or an object with 'correct' and 'reason'")
        }
        return Verdict(isCorrect: isCorrect, reason: value["reason"]?.string ?? "")
    }

    /// Writes the pair; a single reference is written without a list.
    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(prediction, forKey: .prediction)
        if references.count == 1 {
            try fields.encode(references[0], forKey: .reference)
        } else {
            try fields.encode(references, forKey: .reference)
        }
        try fields.encode(kind, forKey: .kind)
        try fields.encodeIfPresent(question, forKey: .question)
        try fields.encodeIfPresent(judge, forKey: .judge)
    }

    /// The pair as a task, for a grader.
    package var task: AgentTask { AgentTask(id: "pair", question: question ?? "", answers: references, family: kind) }
}
