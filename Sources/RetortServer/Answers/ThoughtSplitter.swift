/// Takes apart what a reasoning model thinks to itself, `<think>…</think>` at the beginning of its reply, and what it says.
struct ThoughtSplitter: Sendable {
    private enum Phase { case beginning, opened, thinking, behind, saying }

    static let opening = "<think>"
    private static let closing = "</think>"
    private var place = Phase.beginning
    private var held = ""

    /// - Parameter prefill: what the reply goes on from.
    init(prefill: String) {
        if prefill.isEmpty { return }
        let isOpen = prefill.drop(while: \.isWhitespace).hasPrefix(Self.opening) && !prefill.contains(Self.closing)
        // Behind the mark itself a line end belongs to it.
        place = isOpen ? prefill.hasSuffix(Self.opening) ? .opened : .thinking : .saying
    }

    /// Takes new text.
    /// - Returns: what is known to be thought, and to be said.
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

    /// What was held back, when no more comes.
    mutating func finish() -> (thought: String, said: String) {
        defer { held = "" }
        return place == .thinking ? (held, "") : ("", held)
    }
}
