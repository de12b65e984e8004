/// A chat template that cannot be used, or that refuses what it is given.
public enum JinjaError: Error, Equatable, CustomStringConvertible {
    /// The template's text is not Jinja.
    case syntax(line: Int, String)
    /// It uses something that chat templates do not, and that is not there.
    case unsupported(line: Int, String)
    /// It does something that its values do not allow.
    case evaluation(line: Int, String)
    /// It refused the chat itself, with `raise_exception`.
    case raised(String)
    /// It takes more steps or writes more text than a chat can need.
    case exhausted(String)

    /// What went wrong, and what to do.
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
