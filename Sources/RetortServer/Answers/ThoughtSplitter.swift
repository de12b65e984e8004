/// Separates a reasoning model's thoughts, `<think>…</think>` at the beginning of its reply, from the rest of the
/// reply.
struct ThoughtSplitter: Sendable {
    private enum Phase { case beginning, opened, thinking, behind, saying }

    static let opening = "<think>"
    private static let closing = "</think>"
    private var place = Phase.beginning
    private var held = ""

    /// - Parameter prefill: the text that the reply continues.
    init(prefill: String) {
        if prefill.isEmpty { return }
        let isOpen = prefill.drop(while: \.isWhitespace).hasPrefix(Self.opening) && !prefill.contains(Self.closing)
        // A line end directly after the mark belongs to the mark.
        place = isOpen ? prefill.hasSuffix(Self.opening) ? .opened : .thinking : .saying
    }

    /// Takes new text.
    /// - Returns: the text that is now known to be thought, and the text known to be said.
    mutating func push(_ text: String) -> (thought: String, said: String) {
        held += text
        var (thought, said) = ("", "")
        while true {
            switch place {
            case .beginning:
                let start = held.drop(while: \.isWhitespace)
                if start.hasPrefix(Self.opening) {
                    held = String(start.dropFirst(Self.opening.count))
                    place = .opened
                } else if Self.opening.hasPrefix(start) {
                    return (thought, said)
                } else {
                    place = .saying
                }
            case .opened:
                held = String(held.drop { $0 == "\n" })
                if held.isEmpty { return (thought, said) }
                place = .thinking
            case .thinking:
                if let end = held.firstRange(of: Self.closing) {
                    thought += held[..<end.lowerBound]
                    held = String(held[end.upperBound...])
                    place = .behind
                } else {
                    let overlap =
                        (1..<Self.closing.count).reversed().first { held.hasSuffix(Self.closing.prefix($0)) } ?? 0
                    thought += held.dropLast(overlap)
                    held = String(held.suffix(overlap))
                    return (thought, said)
                }
            case .behind:
                held = String(held.drop(while: \.isWhitespace))
                if held.isEmpty { return (thought, said) }
                place = .saying
            case .saying:
                said += held
                held = ""
                return (thought, said)
            }
        }
    }

    /// The text that was held back, once the reply has ended.
    mutating func finish() -> (thought: String, said: String) {
        defer { held = "" }
        return place == .thinking ? (held, "") : ("", held)
    }
}
