import Foundation
import RetortCore

/// A client's request that is passed on to a replica as it is, but for the model's name.
public struct PassedRequest: Sendable {
    /// OpenAI's operations, and Anthropic's.
    public enum Operation: String, Sendable, CaseIterable {
        case chatCompletions = "chat/completions"
        case completions
        case messages
    }

    /// What is asked for.
    public let operation: Operation
    /// The name under which the client asked.
    public let model: String
    /// Whether the answer is to come piece by piece.
    public let isStreamed: Bool
    /// Headers that the replica gets, too.
    public let headers: [(name: String, value: String)]
    /// What it begins with; nil where it has no beginning to go by.
    let home: PrefixHome?
    private let body: JSONTree

    /// - Parameters:
    ///   - body: a JSON object.
    ///   - headers: headers that the replica is to get. Keys of the client's do not belong among them.
    /// - Returns: nil for a body that is no object with a model's name.
    package init?(_ operation: Operation, _ body: JSONTree, headers: [(name: String, value: String)] = []) {
        guard case .object = body, let model = body["model"]?.string else { return nil }
        self.operation = operation
        self.model = model
        self.body = body
        self.headers = headers
        isStreamed = body["stream"]?.bool ?? false
        home = PrefixHome(body)
    }

    /// The body with another name for the model.
    func body(model name: String) -> Data {
        guard name != model, case .object(let members) = body else { return Data(body.text.utf8) }
        let key = Array("model".utf8)
        let renamed = members.map { $0.name == key ? ($0.name, JSONTree.string(Array(name.utf8))) : $0 }
        return Data(JSONTree.object(renamed).text.utf8)
    }
}

extension PrefixHome {
    /// How much of a plain prompt counts, in bytes: an agent's prompts grow at their ends.
    private static let promptBytes = 512

    /// The beginning of a request in OpenAI's or Anthropic's form: model, system text, tools, and the chat up to what the user said first,
    /// or the first 512 bytes of a plain prompt. An agent's later steps and its samples begin alike.
    init?(_ body: JSONTree) {
        var parts: [[UInt8]] = [body["model"]?.bytes ?? []]
        parts.append(Self.words(body["system"]))
        parts.append(body["tools"].map { Array($0.text.utf8) } ?? [])
        if let messages = body["messages"]?.array {
            let first = messages.firstIndex { $0["role"]?.string == Role.user.rawValue }
            for message in messages.prefix((first ?? messages.count - 1) + 1) {
                parts.append(Self.words(message["content"]))
            }
        } else if let prompt = body["prompt"] {
            parts.append(Array(Self.beginning(of: prompt).prefix(Self.promptBytes)))
        } else {
            return nil
        }
        self.init(parts.joined(separator: [0]))
    }

    /// A content's text, without marks such as `cache_control`, which move from step to step.
    private static func words(_ content: JSONTree?) -> [UInt8] {
        guard let content, !content.isNull else { return [] }
        if let text = content.bytes { return text }
        return (content.array ?? []).flatMap { $0["text"]?.bytes ?? Array($0.text.utf8) }
    }

    /// A text, or token numbers, or the first of several of them.
    private static func beginning(of prompt: JSONTree) -> [UInt8] {
        if let text = prompt.bytes { return text }
        guard let elements = prompt.array, let first = elements.first else { return [] }
        if case .number = first { return Array(elements.prefix(promptBytes).map(\.text).joined(separator: ",").utf8) }
        return beginning(of: first)
    }
}
