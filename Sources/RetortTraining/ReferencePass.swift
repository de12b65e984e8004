import RetortLLM
import RetortTensor

extension Trainer {
    /// How probable texts are to the network before it learns: the sums of the log-probabilities of their weighted tokens, in nats, as
    /// preferences need them.
    ///
    /// To be asked before `train`: a checkpoint is not taken up here.
    /// - Returns: one number for each sample.
    public func references(of examples: [TrainingExample]) throws -> [Double] {
        try ComputeMemory.kept {
            try interruptible {
                try HeldOutSamples.withoutDropout(network) {
                    var sums = [Double](repeating: 0, count: examples.count)
                    // By number, for a tree keeps its own order.
                    let numbered = examples.enumerated().map { number, example in
                        var example = example
                        example.id = "\(number)"
                        example.unit = nil
                        example.loss = .preference(Preference(.baseline, reference: 0))
                        return example
                    }
                    for row in EpochRows(numbered, epochs: 1, rowTokens: configuration.rowTokens, seed: 0).rows {
                        try Task.checkCancellation()
                        for (sample, values) in zip(row.streams.samples, try RowLoss.logProbabilities(row, network)) {
                            guard let number = Int(sample.id) else { continue }
                            sums[number] = zip(sample.weights, values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
                        }
                    }
                    return sums
                }
            }
        }
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
