import RetortCore
import Synchronization

/// SentencePiece's unigram model (Kudo, arXiv 1804.10959) as in the `tokenizers` library: of all ways to cut a word
/// into pieces, the one with the largest sum of scores. A character that is not a piece is the unknown token, whose
/// score is ten below the lowest; adjacent unknown characters form one token.
final class UnigramModel: Sendable {
    /// The edges of a trie over the pieces' bytes: a node's number and a byte lead to the next node.
    private let steps: [UInt64: Int32]
    /// By node, the piece that ends there; -1 for none.
    private let ends: [Int32]
    private let scores: [Double]
    private let ids: [[UInt8]: Int32]
    private let unknown: Int32
    private let unknownScore: Double
    private let byteIDs: [Int32]?
    private let cache = Mutex<[[UInt8]: [Int32]]>([:])
    private static let cachedWords = 100_000
    private static let longestCached = 64
    private static let penalty = 10.0

    /// - Parameters:
    ///   - model: the `model` of a `tokenizer.json`.
    ///   - ids: the numbers of the pieces, without added tokens.
    init(_ model: JSONTree, ids: [[UInt8]: Int32], file: String) throws {
        let pieces = model["vocab"]?.array ?? []
        var (steps, ends, scores): ([UInt64: Int32], [Int32], [Double]) = ([:], [-1], [])
        for (number, piece) in pieces.enumerated() {
            guard let parts = piece.array, parts.count == 2, let text = parts[0].bytes,
                case .number(let digits) = parts[1], let score = Double(digits)
            else {
                throw TokenizerError.malformed(
                    file: file, "piece \(number) of the unigram model is no text with a score")
            }
            scores.append(score)
            guard !text.isEmpty else { continue }
            var node = 0
            for byte in text {
                let step = UInt64(node) << 8 | UInt64(byte)
                if let next = steps[step] {
                    node = Int(next)
                } else {
                    steps[step] = Int32(ends.count)
                    node = ends.count
                    ends.append(-1)
                }
            }
            ends[node] = Int32(number)
        }
        guard let unknown = model["unk_id"]?.id, scores.indices.contains(Int(unknown)) else {
            throw TokenizerError.unsupported(file: file, "a unigram model without an unknown token ('unk_id')")
        }
        if model["byte_fallback"]?.bool ?? false {
            let bytes = (0..<256).compactMap { ids[Array(ByteFallback.token(for: UInt8($0)).utf8)] }
            byteIDs = bytes.count == 256 ? bytes : nil
        } else {
            byteIDs = nil
        }
        (self.steps, self.ends, self.scores, self.ids, self.unknown) = (steps, ends, scores, ids, unknown)
        unknownScore = (scores.min() ?? 0) - Self.penalty
    }

    /// The tokens of a word.
    func tokens(of word: [UInt8]) -> [Int32] {
        guard word.count <= Self.longestCached else { return best(word) }
        if let known = cache.withLock({ $0[word] }) { return known }
        let tokens = best(word)
        cache.withLock { cache in
            if cache.count >= Self.cachedWords { cache.removeAll(keepingCapacity: true) }
            cache[word] = tokens
        }
        return tokens
    }

    private struct End {
        var score = 0.0
        var start = -1
        var id: Int32 = -1
    }

    /// The best path to each position from left to right (Viterbi's algorithm), traced back.
    private func best(_ word: [UInt8]) -> [Int32] {
        var reached = [End](repeating: End(), count: word.count + 1)
        var start = 0
        while start < word.count {
            let score = reached[start].score
            var size = 1
            while start + size < word.count, word[start + size] & 0xC0 == 0x80 { size += 1 }
            func consider(_ end: Int, _ candidate: Double, _ id: Int32) {
                if reached[end].start < 0 || candidate > reached[end].score {
                    reached[end] = End(score: candidate, start: start, id: id)
                }
            }
            var (node, end, hasCharacter) = (0, start, false)
            while end < word.count, let next = steps[UInt64(node) << 8 | UInt64(word[end])] {
                node = Int(next)
                end += 1
                guard ends[node] >= 0 else { continue }
                consider(end, score + scores[Int(ends[node])], ends[node])
                hasCharacter = hasCharacter || end - start == size
            }
            if !hasCharacter { consider(start + size, score + unknownScore, unknown) }
            start += size
        }
        return path(reached, word)
    }

    private func path(_ reached: [End], _ word: [UInt8]) -> [Int32] {
        // Last token first; unknown text as the bytes it takes.
        var tokens: [Int32] = []
        var (end, unknownEnd): (Int, Int?) = (word.count, nil)
        func flush(_ start: Int) {
            guard let last = unknownEnd else { return }
            tokens += unknownTokens(Array(word[start..<last])).reversed()
            unknownEnd = nil
        }
        while end > 0 {
            let piece = reached[end]
            if piece.id == unknown {
                unknownEnd = unknownEnd ?? end
            } else {
                flush(end)
                tokens.append(piece.id)
            }
            end = piece.start
        }
        flush(0)
        return tokens.reversed()
    }

    private func unknownTokens(_ text: [UInt8]) -> [Int32] {
        if let id = ids[text] { return [id] }
        if let byteIDs { return text.map { byteIDs[Int($0)] } }
        return [unknown]
    }
}
