import RetortTensor

/// Texts on their way through an encoder, concatenated without padding. Texts of equal length are adjacent, so that
/// attention processes them in one call.
struct EncoderBatch {
    /// One text as tokens; the second part of a pair has token type 1.
    struct Sequence {
        var tokens: [Int32]
        /// The place of the second part's first token; nil for a single text.
        var second: Int?
    }

    /// A run of texts of equal length.
    struct Run {
        /// The place of its first token.
        let start: Int
        let count: Int
        let length: Int

        var range: Range<Int> { start..<start + count * length }
    }

    let runs: [Run]
    /// The original index of each text, in the order of the batch.
    let order: [Int]
    /// int64 `[tokens]` each.
    let tokens, positions, types: Tensor

    init(_ sequences: [Sequence], _ shape: EncoderShape, device: Device) throws {
        order = sequences.indices.sorted { (sequences[$0].tokens.count, $0) < (sequences[$1].tokens.count, $1) }
        var runs: [Run] = []
        var (ids, places, kinds): ([Int], [Int], [Int]) = ([], [], [])
        for index in order {
            let sequence = sequences[index]
            let length = sequence.tokens.count
            if let last = runs.last, last.length == length {
                runs[runs.count - 1] = Run(start: last.start, count: last.count + 1, length: length)
            } else {
                runs.append(Run(start: ids.count, count: 1, length: length))
            }
            ids += sequence.tokens.map(Int.init)
            places += Self.positions(sequence.tokens, behind: shape.positionsBehind)
            kinds += (0..<length).map { $0 >= sequence.second ?? length ? min(1, shape.types - 1) : 0 }
        }
        self.runs = runs
        tokens = try Tensor(integers: ids).to(device: device)
        positions = try Tensor(integers: places).to(device: device)
        types = try Tensor(integers: kinds).to(device: device)
    }

    /// The most tokens that go through the network at once: enough for efficient products, and few enough for the
    /// CPU's caches.
    private static let tokensAtOnce = 8192

    /// Divides texts among passes through the network: the indices of the texts of each. The longest come first, so
    /// that the memory allocated for them serves all others.
    static func passes(_ sequences: [Sequence]) -> [[Int]] {
        var passes: [[Int]] = []
        var room = 0
        for index in sequences.indices.sorted(by: { sequences[$0].tokens.count > sequences[$1].tokens.count }) {
            let length = sequences[index].tokens.count
            if length > room {
                passes.append([])
                room = max(tokensAtOnce, length)
            }
            passes[passes.count - 1].append(index)
            room -= length
        }
        return passes
    }

    /// The vectors `[texts, ways · hidden]` of states `[tokens, hidden]` in float32, in the order of the batch; those of
    /// several ways of pooling are concatenated.
    func pooled(_ states: Tensor, by pooling: [SentencePooling]) throws -> Tensor {
        let parts = try runs.map { run in
            let own = try states.narrowed(0, run.range).to(.float32).reshaped([run.count, run.length, -1])
            let pooled = try pooling.map { try $0(own) }
            return try pooled.count == 1 ? pooled[0] : Tensor.concatenated(pooled, axis: 1)
        }
        return try Tensor.concatenated(parts, axis: 0)
    }

    /// Counted as in transformers: RoBERTa's positions begin after the number of the padding token, and padding
    /// tokens have that number.
    private static func positions(_ tokens: [Int32], behind padding: Int?) -> [Int] {
        guard let padding else { return Array(tokens.indices) }
        var count = 0
        return tokens.map { token in
            guard Int(token) != padding else { return padding }
            count += 1
            return padding + count
        }
    }
}
