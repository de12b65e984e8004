import RetortCore

/// SentencePiece's byte-pair model as the library itself and llama.cpp compute it (`llm_tokenizer_spm_session`): of
/// all neighbours whose joined text is a piece, those with the best score are joined, and among equals the leftmost,
/// until none is left. Text that is not a piece then becomes bytes.
final class PieceModel: Sendable {
    private struct Piece {
        let id: Int32
        let score: Float
    }

    private let pieces: [[UInt8]: Piece]
    private let byteIDs: [Int32]
    /// The scores by token; those of tokens that are never produced do not matter.
    let scores: [Float]

    /// - Parameters:
    ///   - pieces: the tokens that text consists of, by their text.
    ///   - byteIDs: the tokens of the 256 bytes.
    ///   - scores: the scores by token.
    init(_ pieces: [[UInt8]: Int32], byteIDs: [Int32], scores: [Float]) {
        self.pieces = pieces.mapValues { Piece(id: $0, score: scores[Int($0)]) }
        self.byteIDs = byteIDs
        self.scores = scores
    }

    /// Two neighbours that may be joined, best first.
    private struct Candidate: Comparable {
        let score: Float
        let left: Int
        let right: Int
        let size: Int

        static func < (a: Self, b: Self) -> Bool { a.score != b.score ? a.score > b.score : a.left < b.left }
    }

    /// The tokens of a text, with a heap over a linked list: n log n.
    func tokens(of text: [UInt8]) -> [Int32] {
        let starts = text.indices.filter { text[$0] & 0xC0 != 0x80 || $0 == 0 }
        var sizes = starts.indices.map { ($0 + 1 < starts.count ? starts[$0 + 1] : text.count) - starts[$0] }
        var next = Array(1..<starts.count + 1)
        var previous = Array(-1..<starts.count - 1)
        var heap = Heap<Candidate>()
        func consider(_ left: Int, _ right: Int) {
            guard left >= 0, right < starts.count else { return }
            let size = sizes[left] + sizes[right]
            guard let piece = pieces[Array(text[starts[left]..<starts[left] + size])] else { return }
            heap.push(Candidate(score: piece.score, left: left, right: right, size: size))
        }
        for right in starts.indices.dropFirst() { consider(right - 1, right) }
        while let best = heap.pop() {
            let (left, right) = (best.left, best.right)
            guard sizes[left] > 0, sizes[right] > 0, sizes[left] + sizes[right] == best.size else { continue }
            sizes[left] = best.size
            sizes[right] = 0
            next[left] = next[right]
            if next[right] < starts.count { previous[next[right]] = left }
            consider(previous[left], left)
            consider(left, next[left])
        }
        return starts.indices.filter { sizes[$0] > 0 }.flatMap { index in
            let piece = text[starts[index]..<starts[index] + sizes[index]]
            return pieces[Array(piece)].map { [$0.id] } ?? piece.map { byteIDs[Int($0)] }
        }
    }

    /// A list of merges with the same effect, best first: each piece from every two pieces that it can be cut into,
    /// as transformers derives it from SentencePiece's files (`generate_merges`). Two ways to make the same piece
    /// have the same score but different ranks, so where they overlap, as in runs of one letter, a pair other than
    /// the leftmost may be joined first.
    func merges() -> [(left: [UInt8], right: [UInt8])] {
        let ordered = pieces.sorted { one, other in
            one.value.score != other.value.score ? one.value.score > other.value.score : one.value.id < other.value.id
        }
        return ordered.flatMap { cuts(of: $0.key) }
    }

    /// The ways to cut a piece into two pieces, ordered by their ids.
    private func cuts(of text: [UInt8]) -> [(left: [UInt8], right: [UInt8])] {
        var cuts: [(left: Piece, right: Piece, place: Int)] = []
        for place in text.indices.dropFirst() where text[place] & 0xC0 != 0x80 {
            guard let left = pieces[Array(text[..<place])], let right = pieces[Array(text[place...])] else { continue }
            cuts.append((left, right, place))
        }
        cuts.sort { $0.left.id != $1.left.id ? $0.left.id < $1.left.id : $0.right.id < $1.right.id }
        return cuts.map { (Array(text[..<$0.place]), Array(text[$0.place...])) }
    }
}
