import RetortTensor

/// Grouped-query self-attention.
final class Attention: Mixer {
    /// The projections to query, key and value, or one to all of them. Without a projection to values, keys before
    /// their norm are the values; a layer that reads another's keys and values has only queries.
    private let inputs: [(name: String, linear: Linear)]
    private let output: (name: String, linear: Linear)
    /// The norms of each head of queries and keys; a layer that reads another's keys has none for them.
    let headNorms: (query: Norm, key: Norm?)?
    /// The norms over the whole width of queries and keys.
    private let wholeNorms: (query: Norm, key: Norm)?
    /// Ones, if the values of each head are normalised: `[dim]`.
    private let valueScale: Tensor?
    private let epsilon: Double
    let layer: Int
    /// The layer whose keys and values are attended to.
    let source: Int
    /// Whether later layers read this one's keys and values.
    private let isRead: Bool
    let dimension: Int
    private let widths: [Int]
    /// The factor on queries that turns the usual scaling of scores into the family's own.
    let queryScale: Double
    let form: AttentionForm
    /// Whether each head has a gate for its output.
    private let isGated: Bool

    init(_ configuration: DecoderConfiguration, layer: Int, _ name: String, _ weights: any WeightSource) throws {
        let heads = configuration.heads(ofLayer: layer)
        self.layer = layer
        source = configuration.keySources[layer] ?? layer
        isRead = configuration.keySources.values.contains(layer)
        dimension = heads.dimension
        let hidden = configuration.hiddenSize
        let queries = configuration.headCount * dimension
        let keys = heads.count * dimension
        isGated = configuration.gatesAttention
        let all = [isGated ? 2 * queries : queries, keys, keys]
        let names = configuration.names
        let parts = configuration.attentionNames(ofLayer: layer)
        let isFused = names.attention.count == 1
        widths = isFused ? all : Array(all.prefix(parts.count))
        let bias: Bias = configuration.hasQueryKeyValueBias ? .present : .absent
        inputs = try zip(parts, isFused ? [all.reduce(0, +)] : widths).map { part, width in
            ("\(name).\(part)", try weights.linear("\(name).\(part)", from: hidden, to: width, bias: bias))
        }
        let outputName = "\(name).\(names.attentionOutput)"
        output = (
            outputName,
            try weights.linear(
                outputName, from: queries, to: hidden, bias: configuration.hasOutputBias ? .present : .absent)
        )
        func norm(_ part: String, _ width: Int) throws -> Norm {
            try Norm(configuration, "\(name).\(part)", weights, width: width)
        }
        let hasKeys = source == layer
        headNorms =
            configuration.headNorms == .eachHead
            ? (try norm(names.queryNorm, dimension), hasKeys ? try norm(names.keyNorm, dimension) : nil) : nil
        wholeNorms =
            configuration.headNorms == .wholeWidth
            ? (try norm(names.queryNorm, queries), try norm(names.keyNorm, keys)) : nil
        valueScale =
            configuration.normalisesValues && hasKeys
            ? try Tensor.full([dimension], 1, dtype: output.linear.weight.dtype, device: output.linear.weight.device)
            : nil
        epsilon = configuration.normEpsilon
        queryScale = configuration.scoreScale.map { $0 * Double(heads.dimension).squareRoot() } ?? 1
        form = AttentionForm(window: configuration.windows[layer], cap: configuration.scoreCap)
    }

    func callAsFunction(_ x: Tensor, _ pass: LayerPass, _ context: some AttentionContext) throws -> Tensor {
        var projected = try projections(of: x)
        let gate = try isGated ? takeGate(&projected) : nil
        if let wholeNorms {
            projected[0] = try wholeNorms.query(projected[0])
            projected[1] = try wholeNorms.key(projected[1])
        }
        // Rotation and multiplication of a query commute; a norm of its heads must not come between them.
        if let growth = pass.angles.queryGrowth { projected[0] = try projected[0] * growth }
        let attended =
            if let context = context as? any ProjectedAttention {
                try context.attend(self, projected, pass.angles)
            } else {
                try attend(projected, pass, context)
            }
        return try output.linear(gate.map { try attended * $0.sigmoid() } ?? attended)
    }

    /// Queries, keys and values `[batch, length, heads · dim]`, or only queries.
    private func projections(of x: Tensor) throws -> [Tensor] {
        var parts =
            try inputs.count < widths.count
            ? inputs[0].linear(x).split(widths, axis: -1) : Linear.all(inputs.map(\.linear), of: x)
        if parts.count == 2 { parts.append(parts[1]) }
        if let valueScale {
            let value = parts[2]
            let scale = valueScale.dtype == value.dtype ? valueScale : try valueScale.to(value.dtype)
            parts[2] = try value.reshaped([value.shape[0], value.shape[1], -1, dimension])
                .rmsNorm(scale, epsilon: epsilon).reshaped(value.shape)
        }
        return parts
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
        _ projected: [Tensor], _ pass: LayerPass, _ context: some AttentionContext
    ) throws -> Tensor {
        var query = try heads(projected[0])
        if let headNorms { query = try headNorms.query(query) }
        query = try RotaryEmbedding.rotate(query, by: pass.angles)
        if queryScale != 1 { query = try query * queryScale }
        let attended: Tensor
        if source == layer {
            let key = try RotaryEmbedding.rotate(
                headNorms?.key?(heads(projected[1])) ?? heads(projected[1]), by: pass.angles)
            let value = try heads(projected[2])
            if isRead { pass.links.keys[layer] = (key, value) }
            attended = try context.attend(layer: layer, query: query, key: key, value: value, form: form)
        } else {
            guard let read = pass.links.keys[source] else { throw MissingKeys(layer: layer, source: source) }
            attended = try context.attend(
                reading: source, query: query, key: read.key, value: read.value, form: form)
        }
        let shape = projected[0].shape
        return try attended.transposed(1, 2).reshaped([shape[0], shape[1], -1])
    }

    /// `[batch, length, heads · dim] → [batch, heads, length, dim]`.
    private func heads(_ x: Tensor) throws -> Tensor {
        try x.reshaped([x.shape[0], x.shape[1], -1, dimension]).transposed(1, 2)
    }

    var projections: [(name: String, linear: Linear)] { inputs + [output] }

    var others: [(name: String, tensor: Tensor)] { [] }

    var norms: [Norm] {
        (headNorms.map { [$0.query, $0.key] } ?? wholeNorms.map { [$0.query, $0.key] } ?? []).compactMap(\.self)
    }
}
