/// A chat template that cannot be used, or that refuses what it is given.
public enum JinjaError: Error, Equatable, CustomStringConvertible {
    /// The template's text is not Jinja.
    case syntax(line: Int, String)
    /// It uses a part of Jinja that Retort refuses by name, with the template's line.
    case unsupported(line: Int, String)
    /// It applies an operation to values that do not support it.
    case evaluation(line: Int, String)
    /// It refused the chat itself, with `raise_exception`.
    case raised(String)
    /// It takes more steps, or writes more text, than a chat can need.
    case exhausted(String)

    /// The reason with the template's line, for people.
    public var description: String {
        switch self {
        case .syntax(let line, let reason): "chat template, line \(line): \(reason)"
        case .unsupported(let line, let what): "chat template, line \(line): \(what) is not supported"
        case .evaluation(let line, let reason): "chat template, line \(line): \(reason)"
        case .raised(let message): "the chat template refuses this chat: \(message)"
        case .exhausted(let what): "the chat template does not end: \(what)"
        }
    }
}
