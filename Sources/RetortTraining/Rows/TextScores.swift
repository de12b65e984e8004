import RetortLLM
import RetortTensor

/// How probable texts are to a network.
package enum TextScores {
    /// A sample's log-probability as preferences need it: the weighted sum over its tokens, in nats.
    package static func sum(_ logProbabilities: [Float], weighted example: TrainingExample) -> Double {
        zip(example.weights, logProbabilities).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    /// The log-probabilities of samples' weighted tokens, in nats: for each sample one number for each of its tokens, 0 where a token has
    /// no weight or nothing comes before. Nothing is dropped, and nothing learned.
    package static func logProbabilities(
        of examples: [TrainingExample], by network: DecoderNetwork, rowTokens: Int
    ) throws -> [[Float]] {
        try computed(examples, network, rowTokens, { [Float](repeating: 0, count: $0.tokens.count) }) {
            try RowLoss.logProbabilities($0, network)
        }
    }

    /// The likeliest tokens in place of samples' weighted tokens: for each sample one list for each of its tokens, most likely first, empty
    /// where a token has no weight or nothing comes before.
    /// - Parameter best: how many.
    package static func choices(
        of examples: [TrainingExample], by network: DecoderNetwork, rowTokens: Int, best: Int
    ) throws -> [[[TeacherChoice]]] {
        try computed(examples, network, rowTokens, { [[TeacherChoice]](repeating: [], count: $0.tokens.count) }) {
            try RowLoss.choices($0, network, best: best)
        }
    }

    /// Computes something of each sample, in packed rows, with the network as it answers.
    private static func computed<Value>(
        _ examples: [TrainingExample], _ network: DecoderNetwork, _ rowTokens: Int, _ empty: (TrainingExample) -> Value,
        _ compute: (PackedRow) throws -> [Value]
    ) throws -> [Value] {
        try ComputeMemory.kept {
            try interruptible {
                try HeldOutSamples.withoutDropout(network) {
                    var found = examples.map(empty)
                    // By number, for a tree keeps its own order.
                    let numbered = examples.enumerated().map { number, example in
                        var example = example
                        example.id = "\(number)"
                        example.unit = nil
                        example.loss = .preference(Preference(.baseline, reference: 0))
                        return example
                    }
                    for row in EpochRows(numbered, epochs: 1, rowTokens: rowTokens, seed: 0).rows {
                        try Task.checkCancellation()
                        for (sample, value) in zip(row.streams.samples, try compute(row)) {
                            if let number = Int(sample.id) { found[number] = value }
                        }
                    }
                    return found
                }
            }
        }
    }
}

extension Trainer {
    /// How probable samples' weighted tokens are to the network before it learns. To be asked before `train`: a checkpoint is not taken
    /// up here.
    public func logProbabilities(of examples: [TrainingExample]) throws -> [[Float]] {
        try TextScores.logProbabilities(of: examples, by: network, rowTokens: configuration.rowTokens)
    }
}

extension HeldOutSamples {
    /// Does something with a network that drops nothing.
    static func withoutDropout<Result>(_ network: DecoderNetwork, _ body: () throws -> Result) rethrows -> Result {
        let adapters = network.projections.compactMap(\.linear.adapter)
        let usual = adapters.map(\.dropout)
        defer { for (adapter, dropout) in zip(adapters, usual) { adapter.dropout = dropout } }
        for adapter in adapters { adapter.dropout = 0 }
        return try body()
    }
}
