import RetortLLM
import RetortTensor

/// The loss of packed rows.
enum RowLoss {
    /// The summed cross-entropy of a row's targets, in nats. Scores over the vocabulary are computed at the targets only.
    static func sum(of row: PackedRow, _ network: DecoderNetwork) throws -> Tensor {
        let context = PackedAttention(segments: row.segments)
        func index(_ values: [Int]) throws -> Tensor { try Tensor(integers: values).to(device: network.device) }
        let tokens = try index(row.tokens.map(Int.init)).reshaped([1, row.tokens.count])
        let positions = try index(context.positions).reshaped([1, row.tokens.count])
        let hidden = try network.hidden(tokens, positions: positions, context: context)
            .reshaped([row.tokens.count, network.configuration.hiddenSize])
        let predicting = try hidden.rows(index(row.predicting))
        return try network.logits(predicting).to(.float32).crossEntropySum(index(row.targets.map(Int.init)))
    }
}
