import RetortCore

/// Turns a chat into tokens. The same templates are used for training, acting and serving.
public protocol ChatTemplate: Sendable {
    /// The token that ends a turn.
    var endOfTurn: Int32 { get }

    /// Renders a chat.
    /// - Parameter ending: whether the next assistant message is opened, for the model to write.
    func render(_ messages: [Message], then ending: ChatEnding, with tokenizer: Tokenizer) throws -> RenderedChat

    /// The same template, with functions that it describes to the model.
    /// - Parameter tools: a JSON array of functions in OpenAI's form.
    /// - Throws: `ChatTemplateError.tools` when the template has no place for functions.
    func offering(_ tools: String) throws -> any ChatTemplate

    /// The same template with further variables, such as `{"enable_thinking": false}`.
    /// - Parameter arguments: a JSON object.
    /// - Throws: `ChatTemplateError.arguments` for a variable that the template does not use.
    func told(_ arguments: String) throws -> any ChatTemplate

    /// How the template writes function calls; nil when it writes none, or in an unknown form.
    var callForm: ToolCallForm? { get }

    /// Whether a prompt ends inside `<think>`.
    var opensThought: Bool { get }
}

extension ChatTemplate {
    /// Throws `ChatTemplateError.tools`: most formats have no place for functions.
    public func offering(_ tools: String) throws -> any ChatTemplate {
        throw ChatTemplateError.tools("the chat format has no place for them; describe them in a message")
    }

    /// Throws for every variable that asks for something: most formats use none.
    public func told(_ arguments: String) throws -> any ChatTemplate {
        if let name = try TemplateArguments(arguments).names.first { throw ChatTemplateError.arguments(name) }
        return self
    }

    /// Nil: most formats write no function calls.
    public var callForm: ToolCallForm? { nil }

    /// False: most formats leave it to the model to begin a thought.
    public var opensThought: Bool { false }
}

/// How a rendered chat ends.
public enum ChatEnding: Sendable {
    /// After the last message: for training.
    case nothing
    /// With the head of an assistant message and the beginning of its text: for acting.
    case generation(prefill: String = "")
}

/// A chat as the model sees it. All arrays have the same length.
public struct RenderedChat: Sendable, Equatable {
    /// The tokens.
    public var tokens: [Int32] = []
    /// For each token, whether the student learns to write it.
    public var trainable: [Bool] = []
    /// For each token, the role of the message it belongs to.
    public var roles: [Role] = []

    /// An empty chat.
    public init() {}

    mutating func append(_ ids: [Int32], _ role: Role, trainable isTrainable: Bool) {
        tokens += ids
        trainable += Array(repeating: isTrainable, count: ids.count)
        roles += Array(repeating: role, count: ids.count)
    }
}
