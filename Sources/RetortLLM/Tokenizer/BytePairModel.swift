import RetortCore
import Synchronization

/// Byte-pair encoding: the characters of a word are merged pair by pair, in the order of the list of merges (Sennrich
/// et al., arXiv 1508.07909), as in the `tokenizers` library. In GPT-2's variant the characters are bytes; in
/// SentencePiece's, characters outside the vocabulary become `<0xNN>` tokens or the unknown token.
final class BytePairModel: Sendable {
    /// Two neighbouring tokens.
    private struct Pair: Hashable {
        let left: Int32
        let right: Int32
    }

    private struct Merge {
        let rank: Int
        let token: Int32
    }

    private let ids: [[UInt8]: Int32]
    private let ranks: [Pair: Merge]
    private let ignoresMerges: Bool
    /// The ids of single bytes, to which unknown characters fall back. Gemma has none for the tab, which is a token.
    private let byteIDs: [Int32?]
    private let unknown: Int32?
    private let fusesUnknown: Bool
    private let cache = Mutex<[[UInt8]: [Int32]]>([:])
    private static let cachedWords = 100_000
    private static let longestCached = 64

    /// - Parameters:
    ///   - model: the `model` of a `tokenizer.json`.
    ///   - ids: the vocabulary, with the added tokens.
    init(_ model: JSONTree, ids: [[UInt8]: Int32], file: String) throws {
        self.ids = ids
        for name in ["continuing_subword_prefix", "end_of_word_suffix"]
        where !(model[name]?.bytes ?? []).isEmpty {
            throw TokenizerError.unsupported(file: file, "\(name) of a BPE model")
        }
        ignoresMerges = model["ignore_merges"]?.bool ?? false
        fusesUnknown = model["fuse_unk"]?.bool ?? false
        unknown = model["unk_token"]?.bytes.flatMap { ids[$0] }
        let fallsBack = model["byte_fallback"]?.bool ?? false
        byteIDs = (0..<256).map { fallsBack ? ids[Array(ByteFallback.token(for: UInt8($0)).utf8)] : nil }
        ranks = try Self.ranks(of: model["merges"]?.array ?? [], ids: ids, file: file)
    }

    private static func ranks(of merges: [JSONTree], ids: [[UInt8]: Int32], file: String) throws -> [Pair: Merge] {
        guard !merges.isEmpty else { throw TokenizerError.noMerges(file: file) }
        var ranks: [Pair: Merge] = [:]
        ranks.reserveCapacity(merges.count)
        for (rank, merge) in merges.enumerated() {
            let (left, right) = try halves(of: merge, file: file)
            guard let leftID = ids[left], let rightID = ids[right], let whole = ids[left + right] else {
                throw TokenizerError.unknownMerge(
                    file: file, String(decoding: left + [0x20] + right, as: UTF8.self))
            }
            let pair = Pair(left: leftID, right: rightID)
            if ranks[pair] == nil { ranks[pair] = Merge(rank: rank, token: whole) }
        }
        return ranks
    }

    /// A merge is written `"a b"` in older files, `["a", "b"]` in newer ones.
    static func halves(of merge: JSONTree, file: String) throws -> ([UInt8], [UInt8]) {
        let parts =
            merge.array?.compactMap(\.bytes)
            ?? merge.bytes?.split(separator: 0x20, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
        guard let parts, parts.count == 2 else {
            throw TokenizerError.malformed(file: file, "a merge needs two tokens")
        }
        return (parts[0], parts[1])
    }

    /// The tokens of a word.
    func tokens(of word: [UInt8]) -> [Int32] {
        guard word.count <= Self.longestCached else { return merge(word) }
        if let known = cache.withLock({ $0[word] }) { return known }
        let tokens = merge(word)
        cache.withLock { cache in
            if cache.count >= Self.cachedWords { cache.removeAll(keepingCapacity: true) }
            cache[word] = tokens
        }
        return tokens
    }

    /// The tokens of a word's single characters.
    private func characters(of word: [UInt8]) -> [Int32] {
        var tokens: [Int32] = []
        var start = 0
        while start < word.count {
            var end = start + 1
            while end < word.count, word[end] & 0xC0 == 0x80 { end += 1 }
            let character = Array(word[start..<end])
            if let id = ids[character] {
                tokens.append(id)
            } else if let bytes = bytes(of: character) {
                tokens += bytes
            } else if let unknown, !(fusesUnknown && tokens.last == unknown) {
                tokens.append(unknown)
            }
            start = end
        }
        return tokens
    }

    private func bytes(of character: [UInt8]) -> [Int32]? {
        let bytes = character.compactMap { byteIDs[Int($0)] }
        return bytes.count == character.count ? bytes : nil
    }

    /// Merges the best-ranked pair until none is left, using a heap over a linked list: n log n for a long word.
    private func merge(_ word: [UInt8]) -> [Int32] {
        if ignoresMerges, let whole = ids[word] { return [whole] }
        var tokens = characters(of: word)
        guard tokens.count > 1 else { return tokens }
        var next = Array(1...tokens.count)
        var previous = Array(-1..<tokens.count - 1)
        var heap = Heap<MergeCandidate>()
        func consider(_ left: Int) {
            let right = next[left]
            guard right < tokens.count, let merge = ranks[Pair(left: tokens[left], right: tokens[right])] else {
                return
            }
            heap.push(
                MergeCandidate(
                    rank: merge.rank, position: left, left: tokens[left], right: tokens[right], token: merge.token))
        }
        for index in 0..<tokens.count - 1 { consider(index) }
        let removed: Int32 = -1
        while let best = heap.pop() {
            let right = next[best.position]
            guard right < tokens.count, tokens[best.position] == best.left, tokens[right] == best.right else {
                continue
            }
            tokens[best.position] = best.token
            tokens[right] = removed
            next[best.position] = next[right]
            if next[right] < tokens.count { previous[next[right]] = best.position }
            if previous[best.position] >= 0 { consider(previous[best.position]) }
            consider(best.position)
        }
        return tokens.filter { $0 != removed }
    }
}

/// SentencePiece's tokens for single bytes.
enum ByteFallback {
    /// `<0x0A>` for a line feed.
    static func token(for byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return digits.count == 1 ? "<0x0\(digits)>" : "<0x\(digits)>"
    }

    /// The byte that a token stands for.
    static func byte(of token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: "<0x".utf8), token.last == UInt8(ascii: ">") else { return nil }
        return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
    }
}

/// A merge that may still be possible.
private struct MergeCandidate: Comparable {
    let rank: Int
    let position: Int
    let left: Int32
    let right: Int32
    let token: Int32

    static func < (a: Self, b: Self) -> Bool { (a.rank, a.position) < (b.rank, b.position) }
}
