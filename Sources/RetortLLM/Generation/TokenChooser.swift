import Foundation
import RetortCore
import RetortTensor

/// Chooses the next token of each row: the most likely one, or a draw from the nucleus.
///
/// Every sample has a generator of its own, so what it draws does not depend on the samples it happens to share a
/// batch with.
enum TokenChooser {
    /// How one row wants its token.
    struct Row {
        let sampling: Sampling
        /// A number in `0..<1`; unused when greedy.
        let draw: Double
    }

    /// The most likely tokens that are looked at first when a nucleus is asked for.
    private static let shortlist = 64

    /// Picks from logits `[rows, vocabulary]`.
    static func choose(_ logits: Tensor, _ rows: [Row]) throws -> [Int] {
        var tokens = try logits.argmax(axis: -1).integers()
        let drawn = rows.indices.filter { rows[$0].sampling.temperature > 0 }
        guard !drawn.isEmpty else { return tokens }
        let temperatures = try Tensor(drawn.map { Float(1 / rows[$0].sampling.temperature) }, shape: [drawn.count, 1])
            .to(device: logits.device)
        let scaled = try logits.rows(Tensor(integers: drawn).to(device: logits.device)).to(.float32) * temperatures
        let probabilities = try scaled.softmax(axis: -1)
        let vocabulary = logits.shape.last ?? 0
        let first = try probabilities.top(min(shortlist, vocabulary))
        let values = try first.values.floats()
        let indices = try first.indices.integers()
        let width = values.count / drawn.count
        for (position, row) in drawn.enumerated() {
            let slice = position * width..<(position + 1) * width
            let wanted = rows[row].sampling
            let covered = values[slice].reduce(0) { $0 + Double($1) }
            if covered >= wanted.topP || (wanted.topK > 0 && wanted.topK <= width) || width == vocabulary {
                tokens[row] = pick(values[slice], indices[slice], wanted, rows[row].draw)
            } else {
                let all = try probabilities.narrowed(0, position..<position + 1).top(vocabulary)
                tokens[row] = pick(
                    try all.values.floats()[...], try all.indices.integers()[...], wanted, rows[row].draw)
            }
        }
        return tokens
    }

    /// Draws from probabilities sorted from the largest, cut to `topK` and to the smallest set that reaches `topP`.
    private static func pick(
        _ probabilities: ArraySlice<Float>, _ tokens: ArraySlice<Int>, _ sampling: Sampling, _ draw: Double
    ) -> Int {
        var kept = sampling.topK > 0 ? probabilities.prefix(sampling.topK) : probabilities
        var mass = 0.0
        if let end = kept.firstIndex(where: {
            mass += Double($0); return mass >= sampling.topP
        }) {
            kept = kept[...end]
        }
        var remaining = draw * kept.reduce(0) { $0 + Double($1) }
        for (probability, token) in zip(kept, tokens) {
            remaining -= Double(probability)
            if remaining < 0 { return token }
        }
        return tokens[tokens.startIndex + kept.count - 1]
    }
}
