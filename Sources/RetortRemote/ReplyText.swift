import RetortCore

/// A sample's text while it comes: without what repeats the prefill, and cut at the first stop text, for not every server
/// does either.
struct ReplyText: Sendable {
    /// What is complete so far.
    private(set) var text = ""
    /// The stop text it ended at.
    private(set) var stop: String?
    private var matcher: StopMatcher
    /// What the reply may begin by repeating; nil once that is decided.
    private var begun: String?
    private var held = ""

    /// Shorter prefills may well stand at the beginning of a continuation by chance.
    private static let shortestEcho = 8

    init(prefill: String, stops: [String]) {
        matcher = StopMatcher(stops)
        begun = prefill.isEmpty ? nil : prefill
    }

    /// Takes in a part.
    /// - Returns: what can be shown of it.
    mutating func add(_ part: String) -> String {
        guard stop == nil else { return "" }
        guard let begun else { return pass(part) }
        held += part
        let echo = Self.trimmed(begun)
        let start = Self.leading(held)
        // Undecided while what came is the beginning of the text or of its label.
        if start.count < echo.count, echo.hasPrefix(start) { return "" }
        return decide()
    }

    /// Takes in the end.
    /// - Returns: what was held back.
    mutating func end() -> String {
        guard stop == nil else { return "" }
        var shown = begun == nil ? "" : decide()
        if stop == nil {
            let rest = matcher.flush()
            text += rest
            shown += rest
        }
        return shown
    }

    private mutating func decide() -> String {
        defer {
            begun = nil
            held = ""
        }
        return pass(Self.continuation(of: begun ?? "", in: held))
    }

    private mutating func pass(_ part: String) -> String {
        let (safe, found) = matcher.push(part)
        stop = found
        text += safe
        return safe
    }

    /// The reply without a repetition of the text it goes on from, or of that text's label.
    static func continuation(of prefill: String, in reply: String) -> String {
        let echo = trimmed(prefill)
        let start = leading(reply)
        if echo.count >= shortestEcho, start.hasPrefix(echo) { return String(start.dropFirst(echo.count)) }
        guard let label = label(of: echo), start.hasPrefix(label) else { return reply }
        return " " + leading(start.dropFirst(label.count))
    }

    /// A word and a colon at the start, such as `Thought:`.
    private static func label(of text: Substring) -> Substring? {
        let word = text.prefix { $0.isLetter }
        guard !word.isEmpty, text[word.endIndex...].first == ":" else { return nil }
        return text[...word.endIndex]
    }

    private static func leading(_ text: some StringProtocol) -> Substring {
        Substring(text).drop(while: \.isWhitespace)
    }

    private static func trimmed(_ text: String) -> Substring {
        var rest = leading(text)
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return rest
    }
}
