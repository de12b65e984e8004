/// Drafts the next tokens by looking them up in the text itself, since agents repeat names, numbers and code of their
/// own prompt (prompt lookup decoding; Saxena 2023). If the last tokens occurred earlier, the draft is what followed
/// them there.
struct PromptLookup {
    private var tokens: [Int32] = []
    /// Where each run of `length` tokens last ended, by the run's hash.
    private var ends: [Int: Int] = [:]
    /// The number of last tokens that must have occurred before.
    private static let length = 3
    /// The length of a draft in tokens: doubled after a correct draft, halved after a wrong one.
    private var wanted = first
    private static let first = 4
    private static let most = 15

    init(_ prompt: [Int32]) {
        tokens.reserveCapacity(prompt.count + 256)
        ends.reserveCapacity(prompt.count)
        for token in prompt { append(token) }
    }

    /// Adds a token of the text. A run is known only once something follows it.
    mutating func append(_ token: Int32) {
        if tokens.count >= Self.length { ends[hash(endingAt: tokens.count)] = tokens.count }
        tokens.append(token)
    }

    private func hash(endingAt end: Int) -> Int {
        tokens[(end - Self.length)..<end].reduce(0) { ($0 &* 1_000_003) &+ Int($1) }
    }

    /// The likely next tokens, at most `limit`; empty when the last tokens have not occurred before.
    func draft(_ limit: Int) -> ArraySlice<Int32> {
        guard limit > 0, tokens.count >= Self.length, let end = ends[hash(endingAt: tokens.count)],
            tokens[(end - Self.length)..<end] == tokens[(tokens.count - Self.length)...]
        else { return [] }
        return tokens[end..<min(end + min(limit, wanted), tokens.count)]
    }

    /// Learns how much of a draft was correct.
    mutating func learn(right: Int, of drafted: Int) {
        guard drafted > 0 else { return }
        wanted = right == drafted ? min(wanted * 2, Self.most) : max(min(wanted, right + 2), 2)
    }
}
