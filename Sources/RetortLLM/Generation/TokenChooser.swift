import Foundation
import RetortCore
import RetortTensor

/// Chooses the next token of each row: the likeliest one, or a draw from the nucleus.
///
/// Every sample has its own random generator, so its draws do not depend on the other samples in the batch.
enum TokenChooser {
    /// How a row's token is chosen.
    struct Row {
        let sampling: Sampling
        /// A random number in `0..<1`; unused when greedy.
        let draw: Double
        /// How many of the likeliest tokens are reported in addition to the chosen one; nil reports no probabilities.
        var alternatives: Int?
        /// The constraint on the token; nil allows all.
        var constraint: TokenConstraint?
        /// A token that is already fixed and only to be reported; nil chooses one.
        var given: Int32?
    }

    /// A token with its probability.
    struct Choice {
        let token: Int
        /// The natural logarithm of the probability, before temperature and nucleus.
        var logprob: Float?
        /// Most likely first.
        var alternatives: [(token: Int, logprob: Float)] = []
    }

    /// How many of the likeliest tokens are considered first when drawing from a nucleus.
    private static let shortlist = 64

    /// How many tokens are summed at once when drawing from the whole vocabulary.
    private static let block = 512

    /// Chooses from logits `[rows, vocabulary]`.
    static func choose(_ logits: Tensor, _ rows: [Row]) throws -> [Choice] {
        // The likeliest token is nearly always allowed, and then no other need be considered. A draw is made only
        // once, among the allowed tokens: drawing again after a refusal would favour tokens by their place.
        let open = rows.indices.filter { rows[$0].given == nil }
        var masked = open.filter { rows[$0].constraint != nil && rows[$0].sampling.temperature > 0 }
        let free = open.filter { !masked.contains($0) }
        var choices = rows.map { Choice(token: Int($0.given ?? 0)) }
        func choose(_ places: [Int], from scores: Tensor) throws {
            for (place, token) in zip(places, try tokens(scores, places.map { rows[$0] })) {
                choices[place] = Choice(token: token)
            }
        }
        if !free.isEmpty { try choose(free, from: Self.rows(free, of: logits)) }
        masked += free.filter { row in
            guard let constraint = rows[row].constraint else { return false }
            return !constraint.allows(choices[row].token)
        }
        if !masked.isEmpty {
            let scores = try Self.rows(masked, of: logits).to(.float32)
            try choose(masked, from: scores + mask(masked.compactMap { rows[$0].constraint }, like: logits))
        }
        let reported = rows.indices.filter { rows[$0].alternatives != nil }
        guard !reported.isEmpty else { return choices }
        let logprobs = try logits.rows(Tensor(integers: reported).to(device: logits.device)).to(.float32)
            .logSoftmax(axis: -1)
        let chosen = try Tensor(integers: reported.map { choices[$0].token }).reshaped([reported.count, 1])
        let own = try logprobs.gathered(chosen.to(device: logits.device), axis: 1).floats()
        let width = min(max(reported.compactMap { rows[$0].alternatives }.max() ?? 0, 1), logits.shape.last ?? 1)
        let top = try logprobs.top(width)
        let (values, indices) = (try top.values.floats(), try top.indices.integers())
        for (place, row) in reported.enumerated() {
            choices[row].logprob = own[place]
            choices[row].alternatives = (0..<max(0, min(rows[row].alternatives ?? 0, width))).map {
                (indices[place * width + $0], values[place * width + $0])
            }
        }
        return choices
    }

    /// Some rows of logits. Each pass over a large vocabulary is expensive, so rows are separated only if they differ
    /// in kind.
    private static func rows(_ places: [Int], of logits: Tensor) throws -> Tensor {
        try places.elementsEqual(0..<(logits.shape.first ?? 0))
            ? logits : logits.rows(Tensor(integers: places).to(device: logits.device))
    }

    /// The mask of each constraint: `[constraints, vocabulary]`.
    private static func mask(_ constraints: [TokenConstraint], like logits: Tensor) throws -> Tensor {
        let width = logits.shape.last ?? 0
        var values = [Float](repeating: 0, count: constraints.count * width)
        for (place, constraint) in constraints.enumerated() {
            constraint.mask(&values[place * width..<(place + 1) * width])
        }
        return try Tensor(values, shape: [constraints.count, width]).to(device: logits.device)
    }

    private static func tokens(_ logits: Tensor, _ rows: [Row]) throws -> [Int] {
        func part(_ places: [Int]) throws -> Tensor { try Self.rows(places, of: logits) }
        var tokens = [Int](repeating: 0, count: rows.count)
        let greedy = rows.indices.filter { rows[$0].sampling.temperature <= 0 }
        if !greedy.isEmpty {
            for (row, token) in zip(greedy, try part(greedy).argmax(axis: -1).integers()) { tokens[row] = token }
        }
        let drawn = rows.indices.filter { rows[$0].sampling.temperature > 0 }
        guard !drawn.isEmpty else { return tokens }
        let factors = drawn.map { Float(1 / rows[$0].sampling.temperature) }
        var scaled = try part(drawn).to(.float32)
        if factors.contains(where: { $0 != 1 }) {
            scaled = try scaled * Tensor(factors, shape: [drawn.count, 1]).to(device: logits.device)
        }
        let probabilities = try scaled.softmax(axis: -1)
        var left = drawn.indices.filter { rows[drawn[$0]].sampling.isCut }
        let uncut = drawn.indices.filter { !rows[drawn[$0]].sampling.isCut }
        for (position, token) in zip(uncut, try drawFromAll(probabilities, uncut) { rows[drawn[$0]].draw }) {
            tokens[drawn[position]] = token
        }
        // Sorting a whole vocabulary is slow, and the nucleus is nearly always among the first few tokens.
        let vocabulary = logits.shape.last ?? 0
        for width in [shortlist, 16 * shortlist, vocabulary] where !left.isEmpty {
            let width = min(width, vocabulary)
            let first = try probabilities.rows(Tensor(integers: left).to(device: logits.device)).top(width)
            let values = try first.values.floats()
            let indices = try first.indices.integers()
            left = left.enumerated().filter { place, position in
                let slice = place * width..<(place + 1) * width
                let wanted = rows[drawn[position]].sampling
                let covered = values[slice].reduce(0) { $0 + Double($1) }
                guard covered >= wanted.topP || (wanted.topK > 0 && wanted.topK <= width) || width == vocabulary else {
                    return true
                }
                tokens[drawn[position]] = pick(values[slice], indices[slice], wanted, rows[drawn[position]].draw)
                return false
            }.map(\.element)
        }
        return tokens
    }

    /// Draws from the whole vocabulary in its own order, for some rows of `[rows, vocabulary]`.
    ///
    /// It first finds the block of tokens by the sums of the blocks, so that only one block per row is examined.
    private static func drawFromAll(_ probabilities: Tensor, _ rows: [Int], draw: (Int) -> Double) throws -> [Int] {
        guard !rows.isEmpty, let vocabulary = probabilities.shape.last else { return [] }
        let starts = Array(stride(from: 0, to: vocabulary, by: block))
        let sums = try Tensor.concatenated(
            starts.suffix(1).map { try probabilities.narrowed(1, $0..<vocabulary).sum(axis: 1).reshaped([-1, 1]) }
                + (starts.count > 1
                    ? [
                        probabilities.narrowed(1, 0..<(starts.count - 1) * block)
                            .reshaped([-1, starts.count - 1, block]).sum(axis: 2)
                    ] : []),
            axis: 1
        ).floats()
        return try rows.map { row in
            // The sum of the last block, which may be shorter, comes first.
            let last = sums[row * starts.count]
            let mine = Array(sums[(row * starts.count + 1)..<(row + 1) * starts.count]) + [last]
            let (index, left) = place(draw(row) * mine.reduce(0) { $0 + Double($1) }, in: mine)
            let range = starts[index]..<min(starts[index] + block, vocabulary)
            let inside = try probabilities.narrowed(0, row..<row + 1).narrowed(1, range).floats()
            return range.lowerBound + place(left, in: inside).index
        }
    }

    /// The place at which a running sum passes a target, and the remainder before it; the last place with a weight if
    /// rounding keeps the sum from passing.
    private static func place(_ target: Double, in weights: [Float]) -> (index: Int, left: Double) {
        var left = target
        for (index, weight) in weights.enumerated() {
            guard left >= Double(weight) else { return (index, left) }
            left -= Double(weight)
        }
        return (weights.lastIndex { $0 > 0 } ?? 0, .infinity)
    }

    /// Draws from probabilities in descending order, cut to `topK` and to the smallest set that reaches `topP`.
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

extension Sampling {
    /// Whether less than the whole vocabulary is drawn from.
    fileprivate var isCut: Bool { topP < 1 || topK > 0 }
}
