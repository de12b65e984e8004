import Foundation
import RetortCore
import Synchronization

/// A byte-level BPE tokenizer, read from Hugging Face's `tokenizer.json` (the format of the `tokenizers` library).
///
/// Text is cut at added tokens, normalised, split into words by the pre-tokenizer, and each word's bytes are merged
/// pair by pair in the order of the merge list.
public final class Tokenizer: Sendable {
    /// What happens to the text of a special token inside ordinary text.
    public enum SpecialTokens: Sendable {
        /// It becomes the special token: for templates.
        case recognised
        /// It is ordinary text: for everything a user, a tool or a model wrote.
        case asText
    }

    private let vocabulary: [String: Int32]
    private let texts: [Int32: String]
    private let added: [AddedToken]
    private let ranks: [Pair: Merge]
    private let splitter: WordSplitter
    private let normalisesNFC: Bool
    private let ignoresMerges: Bool
    private let cache = Mutex<[String: [Int32]]>([:])
    private static let cacheLimit = 100_000

    /// Two neighbouring tokens.
    private struct Pair: Hashable {
        let left: Int32
        let right: Int32
    }

    private struct Merge {
        let rank: Int
        let token: Int32
    }

    /// Reads `tokenizer.json`, or a folder that holds one.
    /// - Throws: `TokenizerError` that names the file and what in it cannot be used.
    public init(_ location: URL) throws {
        let file = location.pathExtension == "json" ? location : location.appendingPathComponent("tokenizer.json")
        let definition = try TokenizerDefinition(file)
        var vocabulary = definition.model.vocab
        for token in definition.addedTokens { vocabulary[token.content] = token.id }
        self.vocabulary = vocabulary
        texts = Dictionary(vocabulary.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        added = definition.addedTokens
        splitter = try definition.splitter(file: file)
        normalisesNFC = try definition.normalisesNFC(file: file)
        ignoresMerges = definition.model.ignoreMerges ?? false
        var ranks: [Pair: Merge] = [:]
        for (rank, merge) in definition.model.merges.enumerated() {
            guard let left = vocabulary[merge.left], let right = vocabulary[merge.right],
                let whole = vocabulary[merge.left + merge.right]
            else { throw TokenizerError.unknownMerge(file: file.path, "\(merge.left) \(merge.right)") }
            let pair = Pair(left: left, right: right)
            if ranks[pair] == nil { ranks[pair] = Merge(rank: rank, token: whole) }
        }
        self.ranks = ranks
    }

    /// How many ids there are: one more than the largest.
    public var vocabularySize: Int { Int(texts.keys.max() ?? -1) + 1 }

    /// The id of a token's exact text, special tokens included.
    public func id(of token: String) -> Int32? { vocabulary[token] }

    /// The tokens of a text.
    public func encode(_ text: String, specials: SpecialTokens) -> [Int32] {
        var ids: [Int32] = []
        var rest = Substring(text)
        // Added tokens that are not special always count; special ones only where they are meant.
        let candidates = added.filter { !$0.special || specials == .recognised }
        while !rest.isEmpty {
            guard let (range, token) = nearest(candidates, in: rest) else {
                encodePlain(String(rest), into: &ids)
                break
            }
            encodePlain(String(rest[..<range.lowerBound]), into: &ids)
            ids.append(token.id)
            rest = rest[range.upperBound...]
        }
        return ids
    }

    /// The earliest added token, the longest of those that start there.
    private func nearest(_ candidates: [AddedToken], in text: Substring) -> (Range<Substring.Index>, AddedToken)? {
        candidates.compactMap { token in text.firstRange(of: token.content).map { ($0, token) } }
            .min { a, b in
                a.0.lowerBound != b.0.lowerBound
                    ? a.0.lowerBound < b.0.lowerBound : a.1.content.utf8.count > b.1.content.utf8.count
            }
    }

    private func encodePlain(_ text: String, into ids: inout [Int32]) {
        guard !text.isEmpty else { return }
        let normal = normalisesNFC ? text.precomposedStringWithCanonicalMapping : text
        splitter.forEachWord(of: normal) { word in ids += merged(word) }
    }

    private func merged(_ word: String) -> [Int32] {
        // String equality is canonical equivalence, which would mix up words of different bytes: the key is byte-exact.
        let mapped = ByteLevel.encode(word)
        if let known = cache.withLock({ $0[mapped] }) { return known }
        let ids = merge(mapped)
        cache.withLock { cache in
            if cache.count >= Self.cacheLimit { cache.removeAll(keepingCapacity: true) }
            cache[mapped] = ids
        }
        return ids
    }

    /// Merges the best-ranked pair until none is left, with a heap over a linked list: n log n for a long word.
    private func merge(_ word: String) -> [Int32] {
        if ignoresMerges, let whole = vocabulary[word] { return [whole] }
        var tokens = word.unicodeScalars.compactMap { vocabulary[String($0)] }
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

    /// The text of tokens. Bytes that are not UTF-8 become U+FFFD.
    /// - Parameter specials: whether special tokens appear in the text.
    public func decode(_ ids: [Int32], specials: SpecialTokenText = .kept) -> String {
        String(decoding: ids.flatMap { bytes(of: $0, specials: specials) }, as: UTF8.self)
    }

    /// Whether special tokens appear in decoded text.
    public enum SpecialTokenText: Sendable { case kept, skipped }

    func bytes(of id: Int32, specials: SpecialTokenText) -> [UInt8] {
        guard let text = texts[id] else { return [] }
        if let token = added.first(where: { $0.id == id }) {
            return token.special && specials == .skipped ? [] : Array(text.utf8)
        }
        return ByteLevel.decode(text)
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

/// A binary heap, smallest first.
private struct Heap<Element: Comparable> {
    private var elements: [Element] = []

    mutating func push(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0, elements[child] < elements[(child - 1) / 2] {
            elements.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() -> Element? {
        guard let first = elements.first else { return nil }
        let last = elements.removeLast()
        guard !elements.isEmpty else { return first }
        elements[0] = last
        var parent = 0
        while true {
            let smallest = [2 * parent + 1, 2 * parent + 2].filter { $0 < elements.count }
                .min { elements[$0] < elements[$1] }
            guard let child = smallest, elements[child] < elements[parent] else { return first }
            elements.swapAt(child, parent)
            parent = child
        }
    }
}

/// Turns tokens into text as they come, holding back the bytes of an incomplete character.
public struct StreamDecoder: Sendable {
    private let tokenizer: Tokenizer
    private var held: [UInt8] = []

    public init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

    /// The text that a further token completes.
    public mutating func push(_ id: Int32) -> String {
        held += tokenizer.bytes(of: id, specials: .skipped)
        let complete = held.count - incompleteSuffix()
        defer { held.removeFirst(complete) }
        return String(decoding: held.prefix(complete), as: UTF8.self)
    }

    /// What was held back, when no more tokens come.
    public mutating func finish() -> String {
        defer { held = [] }
        return String(decoding: held, as: UTF8.self)
    }

    /// How many bytes at the end begin a character and do not finish it.
    private func incompleteSuffix() -> Int {
        for length in 1...3 where length <= held.count {
            let byte = held[held.count - length]
            if byte & 0b1100_0000 == 0b1000_0000 { continue }
            let needed = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return needed > length ? length : 0
        }
        return 0
    }
}
