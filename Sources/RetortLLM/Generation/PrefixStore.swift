import RetortTensor

/// Keys and values of tokens that were read or generated before, for prompts that begin with them: an agent's next
/// step, or another task with the same instructions.
final class PrefixStore {
    /// The tokens of one finished sample, with their keys and values.
    final class Entry {
        let tokens: [Int32]
        let adapter: Int?
        /// By layer, `[1, heads, tokens, dim]`.
        let past: [Int: (key: Tensor, value: Tensor)]
        fileprivate var lastUse = 0

        init(tokens: [Int32], adapter: Int?, past: [Int: (key: Tensor, value: Tensor)]) {
            self.tokens = tokens
            self.adapter = adapter
            self.past = past
        }
    }

    /// A beginning of a prompt that need not be read again.
    struct Match {
        let entry: Entry
        /// The number of tokens.
        let length: Int
    }

    private let limit: Int
    private var entries: [Entry] = []
    private var clock = 0

    /// Shorter beginnings are read again.
    private static let shortest = 32

    /// - Parameter limit: the most tokens that are kept in all; the least recently used are dropped first.
    init(limit: Int) { self.limit = limit }

    /// The longest cached beginning of a prompt, without its last token, which must be read to be continued.
    func match(_ prompt: [Int32], adapter: Int?) -> Match? {
        var best: Match?
        for entry in entries where entry.adapter == adapter {
            let length = zip(entry.tokens, prompt.dropLast()).prefix { $0 == $1 }.count
            if length >= Self.shortest, length > best?.length ?? 0 { best = Match(entry: entry, length: length) }
        }
        clock += 1
        best?.entry.lastUse = clock
        return best
    }

    /// The memory that all entries take, in bytes.
    var bytes: Int {
        entries.flatMap(\.past.values).reduce(0) { $0 + ($1.key.count + $1.value.count) * $1.key.dtype.bytes }
    }

    /// Whether tokens are worth keeping: the limit is not 0, and they are not cached yet.
    func wants(_ tokens: [Int32], adapter: Int?) -> Bool {
        tokens.count >= Self.shortest && tokens.count <= limit
            && !entries.contains { $0.adapter == adapter && $0.tokens.starts(with: tokens) }
    }

    func keep(_ entry: Entry) {
        // The new entry contains those that it continues.
        entries.removeAll { $0.adapter == entry.adapter && entry.tokens.starts(with: $0.tokens) }
        clock += 1
        entry.lastUse = clock
        entries.append(entry)
        var total = entries.reduce(0) { $0 + $1.tokens.count }
        while total > limit, let oldest = entries.indices.min(by: { entries[$0].lastUse < entries[$1].lastUse }) {
            total -= entries[oldest].tokens.count
            entries.remove(at: oldest)
        }
    }
}
