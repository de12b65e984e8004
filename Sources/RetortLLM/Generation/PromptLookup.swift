/// Drafts of what comes next, looked up in the text itself: agents repeat names, numbers and code of their own prompt
/// (prompt lookup decoding; Saxena 2023). Where the last tokens stood before, what followed them there is the draft.
struct PromptLookup {
    private var tokens: [Int32] = []
    /// Where each run of `length` tokens last ended, by the run's hash.
    private var ends: [Int: Int] = [:]
    /// How many of the last tokens a draft must follow.
    private static let length = 3
    /// Tokens of a draft: twice as many after one that was right, half as many after one that was not.
    private var wanted = first
    private static let first = 4
    private static let most = 15

    init(_ prompt: [Int32]) {
        tokens.reserveCapacity(prompt.count + 256)
        ends.reserveCapacity(prompt.count)
        for token in prompt { append(token) }
    }

    /// Takes what was written. A run is known only once something follows it.
    mutating func append(_ token: Int32) {
        if tokens.count >= Self.length { ends[hash(endingAt: tokens.count)] = tokens.count }
        tokens.append(token)
    }

    private func hash(endingAt end: Int) -> Int {
        tokens[(end - Self.length)..<end].reduce(0) { ($0 &* 1_000_003) &+ Int($1) }
    }

    /// What may come next, at most so many tokens; empty where the last tokens are new.
    func draft(_ limit: Int) -> ArraySlice<Int32> {
        guard limit > 0, tokens.count >= Self.length, let end = ends[hash(endingAt: tokens.count)],
            tokens[(end - Self.length)..<end] == tokens[(tokens.count - Self.length)...]
        else { return [] }
        return tokens[end..<min(end + min(limit, wanted), tokens.count)]
    }

    /// Learns how much of a draft was right.
    mutating func learn(right: Int, of drafted: Int) {
        guard drafted > 0 else { return }
        wanted = right == drafted ? min(wanted * 2, Self.most) : max(min(wanted, right + 2), 2)
    }
}
