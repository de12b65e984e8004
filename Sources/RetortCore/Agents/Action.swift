/// What an agent decided to do in a step.
public enum Action: Codable, Sendable, Hashable {
    /// Run Python in the session's interpreter.
    case code(String)
    /// Call one tool with JSON arguments.
    case toolCall(name: String, arguments: JSONValue)
    /// Answer, and end the run.
    case answer(JSONValue)
    /// Give up, and end the run.
    case giveUp(reason: String)
    /// The model's text held no action. `text` is kept whole, so that the record loses nothing.
    case unparsable(text: String, reason: String)

    /// The Python program, when there is one.
    public var code: String? {
        if case .code(let program) = self { program } else { nil }
    }

    /// The tool that is called, when one is.
    public var toolName: String? {
        if case .toolCall(let name, _) = self { name } else { nil }
    }
}
