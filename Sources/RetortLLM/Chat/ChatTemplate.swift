import RetortCore

/// Turns a chat into tokens: the one renderer for training, acting and serving.
public protocol ChatTemplate: Sendable {
    /// The token that closes a turn.
    var endOfTurn: Int32 { get }

    /// Renders a chat.
    /// - Parameter ending: whether the model writes the next assistant message.
    func render(_ messages: [Message], then ending: ChatEnding, with tokenizer: Tokenizer) throws -> RenderedChat

    /// The same template telling the model of functions.
    /// - Parameter tools: a JSON array in OpenAI's form.
    /// - Throws: `ChatTemplateError.tools` when it has no place for them.
    func offering(_ tools: String) throws -> any ChatTemplate

    /// The same template told something else that it asks for, such as `{"enable_thinking": false}`.
    /// - Parameter arguments: a JSON object.
    /// - Throws: `ChatTemplateError.arguments` when it pays no heed to one of them.
    func told(_ arguments: String) throws -> any ChatTemplate

    /// How it writes calls of functions; nil where it does not, or in no form that is known.
    var callForm: ToolCallForm? { get }

    /// Whether a prompt ends inside of `<think>`.
    var opensThought: Bool { get }
}

extension ChatTemplate {
    /// Most formats have no place for tools.
    public func offering(_ tools: String) throws -> any ChatTemplate {
        throw ChatTemplateError.tools("the chat format has no place for them; describe them in a message")
    }

    /// Most formats ask for nothing.
    public func told(_ arguments: String) throws -> any ChatTemplate {
        if let name = try TemplateArguments(arguments).names.first { throw ChatTemplateError.arguments(name) }
        return self
    }

    /// Most formats do not write any.
    public var callForm: ToolCallForm? { nil }

    /// Most formats leave it to the model.
    public var opensThought: Bool { false }
}

/// How a rendered chat ends.
public enum ChatEnding: Sendable {
    /// As it is: for training.
    case nothing
    /// With the head of an assistant message and the start of its text: for acting.
    case generation(prefill: String = "")
}

/// A chat as the model sees it. All arrays are of one length.
public struct RenderedChat: Sendable, Equatable {
    /// The tokens.
    public var tokens: [Int32] = []
    /// For each token, whether the student learns to write it.
    public var trainable: [Bool] = []
    /// For each token, whose message it belongs to.
    public var roles: [Role] = []

    /// An empty chat.
    public init() {}

    mutating func append(_ ids: [Int32], _ role: Role, trainable isTrainable: Bool) {
        tokens += ids
        trainable += Array(repeating: isTrainable, count: ids.count)
        roles += Array(repeating: role, count: ids.count)
    }
}
