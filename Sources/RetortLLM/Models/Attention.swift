import RetortTensor

/// Grouped-query self-attention.
final class Attention: Mixer {
    /// The projections to query, key and value, or one to all of them.
    private let inputs: [(name: String, linear: Linear)]
    private let output: (name: String, linear: Linear)
    /// The norms of each head of queries and keys.
    let headNorms: (query: Norm, key: Norm)?
    /// The norms over the whole width of queries and keys.
    private let wholeNorms: (query: Norm, key: Norm)?
    let layer: Int
    let dimension: Int
    private let widths: [Int]
    /// The factor on queries that turns the usual scaling of scores into the family's own.
    let queryScale: Double
    let form: AttentionForm
    /// Whether each head has a gate for its output.
    private let isGated: Bool

    init(_ configuration: DecoderConfiguration, layer: Int, _ name: String, _ weights: any WeightSource) throws {
        self.layer = layer
        dimension = configuration.headDimension
        let hidden = configuration.hiddenSize
        let queries = configuration.headCount * dimension
        let keys = configuration.keyValueHeadCount * dimension
        isGated = configuration.gatesAttention
        widths = [isGated ? 2 * queries : queries, keys, keys]
        let names = configuration.names
        let bias: Bias = configuration.hasQueryKeyValueBias ? .present : .absent
        let outputs = names.attention.count == 1 ? [widths.reduce(0, +)] : widths
        inputs = try zip(names.attention, outputs).map { part, width in
            ("\(name).\(part)", try weights.linear("\(name).\(part)", from: hidden, to: width, bias: bias))
        }
        let outputName = "\(name).\(names.attentionOutput)"
        output = (
            outputName,
            try weights.linear(
                outputName, from: queries, to: hidden, bias: configuration.hasOutputBias ? .present : .absent)
        )
        func norms(_ query: Int, _ key: Int) throws -> (query: Norm, key: Norm) {
            (
                try Norm(configuration, "\(name).\(names.queryNorm)", weights, width: query),
                try Norm(configuration, "\(name).\(names.keyNorm)", weights, width: key)
            )
        }
        headNorms = configuration.headNorms == .eachHead ? try norms(dimension, dimension) : nil
        wholeNorms = configuration.headNorms == .wholeWidth ? try norms(queries, keys) : nil
        queryScale = configuration.scoreScale.map { $0 * Double(configuration.headDimension).squareRoot() } ?? 1
        form = AttentionForm(window: configuration.windows[layer], cap: configuration.scoreCap)
    }

    func callAsFunction(
        _ x: Tensor, _ angles: RotaryEmbedding.Angles, _ context: some AttentionContext
    ) throws -> Tensor {
        var projected =
            try inputs.count == 1
            ? inputs[0].linear(x).split(widths, axis: -1) : Linear.all(inputs.map(\.linear), of: x)
        let gate = try isGated ? takeGate(&projected) : nil
        if let wholeNorms {
            projected[0] = try wholeNorms.query(projected[0])
            projected[1] = try wholeNorms.key(projected[1])
        }
        // Rotation and multiplication of a query commute; a norm of its heads must not come between them.
        if let growth = angles.queryGrowth { projected[0] = try projected[0] * growth }
        let attended =
            if let context = context as? any ProjectedAttention {
                try context.attend(self, projected, angles)
            } else {
                try attend(projected, angles, context)
            }
        return try output.linear(gate.map { try attended * $0.sigmoid() } ?? attended)
    }

    /// Splits each head's query from its gate; both are `[batch, length, heads · dim]`.
    private func takeGate(_ projected: inout [Tensor]) throws -> Tensor {
        let shape = projected[0].shape
        let parts = try projected[0].reshaped([shape[0], shape[1], -1, 2 * dimension])
            .split([dimension, dimension], axis: -1)
        projected[0] = try parts[0].reshaped([shape[0], shape[1], -1])
        return try parts[1].reshaped([shape[0], shape[1], -1])
    }

    /// The separate steps: norms of heads, rotation, attention.
    private func attend(
        _ projected: [Tensor], _ angles: RotaryEmbedding.Angles, _ context: some AttentionContext
    ) throws -> Tensor {
        var (query, key) = (try heads(projected[0]), try heads(projected[1]))
        if let headNorms { (query, key) = (try headNorms.query(query), try headNorms.key(key)) }
        query = try RotaryEmbedding.rotate(query, by: angles)
        if queryScale != 1 { query = try query * queryScale }
        let attended = try context.attend(
            layer: layer, query: query, key: RotaryEmbedding.rotate(key, by: angles), value: heads(projected[2]),
            form: form)
        let shape = projected[0].shape
        return try attended.transposed(1, 2).reshaped([shape[0], shape[1], -1])
    }

    /// `[batch, length, heads · dim] → [batch, heads, length, dim]`.
    private func heads(_ x: Tensor) throws -> Tensor {
        try x.reshaped([x.shape[0], x.shape[1], -1, dimension]).transposed(1, 2)
    }

    var projections: [(name: String, linear: Linear)] { inputs + [output] }

    var others: [(name: String, tensor: Tensor)] { [] }

    var norms: [Norm] { (headNorms ?? wholeNorms).map { [$0.query, $0.key] } ?? [] }
}
