import RetortLLM
import RetortTensor

/// The loss of packed rows: the cross-entropy of their targets.
///
/// Scores over the vocabulary are computed at the targets only, and some targets at a time: a chunk's scores and their
/// gradient are gone before the next one's are made, so memory does not grow with the vocabulary times the row.
enum RowLoss {
    /// Targets scored at once.
    private static let chunk = 512

    /// Adds the gradients of `scale` times the row's summed cross-entropy to the network's.
    /// - Returns: that loss, in nats.
    static func backward(_ row: PackedRow, _ network: DecoderNetwork, scale: Double) throws -> Double {
        let hidden = try hidden(row, network)
        // A copy that collects the chunks' gradients, which then go through the network once.
        let top = try hidden.detached()
        try top.requireGradient()
        var total = 0.0
        for start in stride(from: 0, to: row.targets.count, by: chunk) {
            let places = start..<min(start + chunk, row.targets.count)
            let loss = try sum(top, row, places, network) * scale
            total += Double(try loss.item())
            try loss.backward()
        }
        if let gradient = try top.gradient() { try (hidden * gradient).sum().backward() }
        return total
    }

    /// The summed cross-entropy of targets, in nats.
    private static func sum(
        _ hidden: Tensor, _ row: PackedRow, _ places: Range<Int>, _ network: DecoderNetwork
    ) throws -> Tensor {
        let predicting = try Tensor(integers: Array(row.predicting[places])).to(device: network.device)
        let targets = try Tensor(integers: row.targets[places].map(Int.init)).to(device: network.device)
        return try network.logits(hidden.rows(predicting)).to(.float32).crossEntropySum(targets)
    }

    /// The last layer's states, `[tokens, hidden]`.
    private static func hidden(_ row: PackedRow, _ network: DecoderNetwork) throws -> Tensor {
        let context = PackedAttention(tree: row.segments)
        func line(_ values: [Int]) throws -> Tensor {
            try Tensor(integers: values).to(device: network.device).reshaped([1, values.count])
        }
        return try network.hidden(
            line(row.tokens.map(Int.init)), positions: line(context.positions), context: context
        ).reshaped([row.tokens.count, network.configuration.hiddenSize])
    }
}
