import Foundation
import RetortCore

/// An answer and its reference, as a file of pairs has them.
public struct AnswerPair: Codable, Sendable, Hashable {
    public var prediction: String?
    /// One reference, or several that are accepted alike.
    public var references: [String]
    public var kind: AgentTask.Family

    public init(prediction: String?, references: [String], kind: AgentTask.Family) {
        (self.prediction, self.references, self.kind) = (prediction, references, kind)
    }

    private enum Key: String, CodingKey { case prediction, reference, kind }

    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        let value = try fields.decodeIfPresent(JSONValue.self, forKey: .prediction) ?? .null
        prediction = value == .null ? nil : value.text
        let reference = try fields.decode(JSONValue.self, forKey: .reference)
        references = reference == .null ? [] : reference.array?.map(\.text) ?? [reference.text]
        kind = try fields.decodeIfPresent(AgentTask.Family.self, forKey: .kind) ?? .math
    }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(prediction, forKey: .prediction)
        if references.count == 1 {
            try fields.encode(references[0], forKey: .reference)
        } else {
            try fields.encode(references, forKey: .reference)
        }
        try fields.encode(kind, forKey: .kind)
    }

    /// The pair as a task, for a grader.
    public var task: AgentTask { AgentTask(id: "pair", question: "", answers: references, family: kind) }
}
