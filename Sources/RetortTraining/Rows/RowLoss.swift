import RetortLLM
import RetortTensor

/// The loss of packed rows: the cross-entropy of their targets, and what their streams ask for.
///
/// Scores over the vocabulary are computed at the targets only, and some targets at a time: a chunk's scores and their
/// gradient are gone before the next one's are made, so memory does not grow with the vocabulary times the row.
enum RowLoss {
    /// Targets scored at once.
    private static let chunk = 512

    /// The same with one factor for all kinds of loss.
    static func backward(
        _ row: PackedRow, _ network: DecoderNetwork, scale: Double, recomputes: Bool = false,
        method: PackedAttention.Method = .fastest
    ) throws -> Double {
        try backward(row, network, scales: ByLossKind(repeating: scale), recomputes: recomputes, method: method)
    }

    /// Adds the gradients of the row's summed losses, each kind times its factor, to the network's.
    /// - Returns: that loss, in nats.
    /// - Parameter recomputes: whether layers are run again on the way back instead of keeping what they computed: a third
    ///   more work, and memory for one layer instead of all (activation checkpointing, arXiv 1604.06174).
    static func backward(
        _ row: PackedRow, _ network: DecoderNetwork, scales: ByLossKind<Double>, recomputes: Bool = false,
        method: PackedAttention.Method = .fastest
    ) throws -> Double {
        let work = try RowPass(row, network, method)
        guard recomputes else {
            let hidden = try work.hidden()
            let (loss, gradient) = try head(hidden, row, network, scales)
            try hidden.backward(gradient)
            return loss
        }
        let forward = try withoutGradients { try work.forward() }
        let last = try forward.states[forward.states.count - 1].learning()
        let hidden = try network.normalised(last)
        let (loss, gradient) = try head(hidden, row, network, scales)
        try hidden.backward(gradient)
        try backward(forward, from: last.gradient(), work, network)
        return loss
    }

    /// Runs the layers again, from the last to the first, and sends the gradient of the last state through them.
    private static func backward(
        _ forward: RowPass.Forward, from last: Tensor?, _ work: RowPass, _ network: DecoderNetwork
    ) throws {
        var gradient = last
        let links = work.links
        try links.learn()
        // What each layer takes of the second embedding collects its gradient here.
        let embeddings = links.embeddings
        for layer in forward.seeds.indices.reversed() {
            for (adapter, seed) in zip(network.adapters(ofLayer: layer), forward.seeds[layer]) {
                adapter.dropoutSeed = seed
            }
            // Later layers have left the gradients of the keys and values that they read.
            let read = links.keys[layer]
            let input = try forward.states[layer].learning()
            var results = [(try work.layer(layer, input), gradient)]
            if let read, let made = links.keys[layer] {
                results += [(made.key, try read.key.gradient()), (made.value, try read.value.gradient())]
            }
            try Tensor.backward(results)
            links.keys[layer] = nil
            gradient = try input.gradient()
        }
        for (adapter, seed) in zip(network.adaptersBeforeLayers, forward.first) { adapter.dropoutSeed = seed }
        let embedded = try work.embedded()
        try Tensor.backward(
            [(embedded, gradient)] + zip(links.embeddings, embeddings).map { ($0, try $1.gradient()) })
    }

    /// The row's summed losses, in nats, without gradients.
    static func values(
        _ row: PackedRow, _ network: DecoderNetwork, method: PackedAttention.Method = .fastest
    ) throws -> ByLossKind<Double> {
        try withoutGradients {
            let hidden = try RowPass(row, network, method).hidden()
            let rows = try hidden.reshaped([row.tokens.count, network.configuration.hiddenSize])
            let plain = try stride(from: 0, to: row.targets.count, by: chunk).reduce(0) { total, start in
                let places = start..<min(start + chunk, row.targets.count)
                return total + Double(try sum(rows, row, places, network).item())
            }
            let values = try row.streams.chunks(of: chunk).flatMap {
                try logProbabilities(rows, row.streams.targets[$0], network).floats()
            }
            var sums = row.streams.evaluate(values, scales: ByLossKind(repeating: 1)).sums
            sums[.imitation] += plain
            return sums
        }
    }

    /// The log-probabilities of the tokens that samples ask for, without gradients: for each sample one number for each of its
    /// tokens, 0 where it has no weight or nothing comes before.
    static func logProbabilities(
        _ row: PackedRow, _ network: DecoderNetwork, method: PackedAttention.Method = .fastest
    ) throws -> [[Float]] {
        try withoutGradients {
            let hidden = try RowPass(row, network, method).hidden()
            let rows = try hidden.reshaped([row.tokens.count, network.configuration.hiddenSize])
            var found = row.streams.samples.map { [Float](repeating: 0, count: $0.tokens.count) }
            for chunk in row.streams.chunks(of: chunk) {
                let targets = row.streams.targets[chunk]
                for (target, value) in zip(targets, try logProbabilities(rows, targets, network).floats())
                where target.choice == 0 {
                    found[target.sample][target.place] = value
                }
            }
            return found
        }
    }

    /// The likeliest tokens in place of those that samples ask for, without gradients: for each sample one list for each of its tokens,
    /// empty where it has no weight or nothing comes before.
    static func choices(
        _ row: PackedRow, _ network: DecoderNetwork, best: Int, method: PackedAttention.Method = .fastest
    ) throws -> [[[TeacherChoice]]] {
        try withoutGradients {
            let hidden = try RowPass(row, network, method).hidden()
            let rows = try hidden.reshaped([row.tokens.count, network.configuration.hiddenSize])
            let width = min(best, network.configuration.vocabularySize)
            var found = row.streams.samples.map { [[TeacherChoice]](repeating: [], count: $0.tokens.count) }
            for chunk in row.streams.chunks(of: chunk) {
                let targets = row.streams.targets[chunk]
                var places: [Int] = []
                for target in targets where places.last != target.predicting { places.append(target.predicting) }
                let scores = try network.logits(
                    rows.rows(Tensor(integers: places).to(device: network.device))
                ).to(.float32).logSoftmax(axis: -1).top(width)
                let (values, tokens) = (try scores.values.floats(), try scores.indices.integers())
                var line = -1
                var last: Int?
                for target in targets {
                    if target.predicting != last { (line, last) = (line + 1, target.predicting) }
                    guard target.choice == 0 else { continue }
                    found[target.sample][target.place] = (line * width..<(line + 1) * width).map {
                        TeacherChoice(Int32(tokens[$0]), logProbability: values[$0])
                    }
                }
            }
            return found
        }
    }

    /// The loss of the last states, and its gradient there.
    private static func head(
        _ hidden: Tensor, _ row: PackedRow, _ network: DecoderNetwork, _ scales: ByLossKind<Double>
    ) throws -> (loss: Double, gradient: Tensor?) {
        // A copy that collects the chunks' gradients, which then go through the network once.
        let top = try hidden.learning()
        let rows = try top.reshaped([row.tokens.count, network.configuration.hiddenSize])
        var total = 0.0
        for start in stride(from: 0, to: row.targets.count, by: chunk) {
            let places = start..<min(start + chunk, row.targets.count)
            let loss = try sum(rows, row, places, network) * scales[.imitation]
            total += Double(try loss.item())
            try loss.backward()
        }
        total += try streams(rows, row.streams, network, scales)
        return (total, try top.gradient())
    }

    /// The loss of targets that are more than plain ones; sends its gradient back to the states.
    ///
    /// Where derivatives depend on the log-probabilities of a whole text, these are taken first, without gradients.
    private static func streams(
        _ rows: Tensor, _ streams: StreamTargets, _ network: DecoderNetwork, _ scales: ByLossKind<Double>
    ) throws -> Double {
        guard !streams.isEmpty else { return 0 }
        let chunks = streams.chunks(of: chunk)
        var values = [Float](repeating: 0, count: streams.targets.count)
        if streams.isCurved {
            values = try withoutGradients {
                try chunks.flatMap { try logProbabilities(rows, streams.targets[$0], network).floats() }
            }
        }
        let derivatives = streams.evaluate(values, scales: scales).derivatives
        for chunk in chunks {
            let found = try logProbabilities(rows, streams.targets[chunk], network)
            if !streams.isCurved { values.replaceSubrange(chunk, with: try found.floats()) }
            let factors = try Tensor(Array(derivatives[chunk])).to(device: network.device)
            try (found * factors).sum().backward()
        }
        let sums = streams.evaluate(values, scales: scales).sums
        return LossKind.allCases.reduce(0) { $0 + scales[$1] * sums[$1] }
    }

    /// The log-probabilities of targets that lie together, in nats: `[targets]`. Scores are computed once a place.
    private static func logProbabilities(
        _ hidden: Tensor, _ targets: ArraySlice<StreamTargets.Target>, _ network: DecoderNetwork
    ) throws -> Tensor {
        var places: [Int] = []
        var rows: [Int] = []
        for target in targets {
            if places.last != target.predicting { places.append(target.predicting) }
            rows.append(places.count - 1)
        }
        func line(_ values: [Int]) throws -> Tensor { try Tensor(integers: values).to(device: network.device) }
        return try network.logits(hidden.rows(line(places)))
            .logProbabilities(rows: line(rows), columns: line(targets.map { Int($0.token) }))
    }

    /// The summed cross-entropy of targets, in nats.
    private static func sum(
        _ hidden: Tensor, _ row: PackedRow, _ places: Range<Int>, _ network: DecoderNetwork
    ) throws -> Tensor {
        let predicting = try Tensor(integers: Array(row.predicting[places])).to(device: network.device)
        let targets = try Tensor(integers: row.targets[places].map(Int.init)).to(device: network.device)
        return try network.logits(hidden.rows(predicting)).crossEntropySum(targets)
    }
}

extension HeldOutSamples {
    /// The mean loss of all targets, each kind by its own count, in nats, with the network as it answers: nothing is dropped.
    func loss(_ network: DecoderNetwork) throws -> Double { try Self.loss(of: rows, network) }

    static func loss(of rows: [PackedRow], _ network: DecoderNetwork) throws -> Double {
        mean(try sums(of: rows, network), rows.counts)
    }

    /// The summed losses of rows, each kind by itself.
    static func sums(of rows: [PackedRow], _ network: DecoderNetwork) throws -> ByLossKind<Double> {
        var sums = ByLossKind<Double>(repeating: 0)
        try withoutDropout(network) {
            for row in rows {
                let found = try RowLoss.values(row, network)
                for kind in LossKind.allCases { sums[kind] += found[kind] }
            }
        }
        return sums
    }

    /// The mean loss, from the sums over all of them.
    func mean(_ sums: ByLossKind<Double>) -> Double { Self.mean(sums, rows.counts) }

    private static func mean(_ sums: ByLossKind<Double>, _ counts: ByLossKind<Int>) -> Double {
        LossKind.allCases.reduce(0) { $0 + sums[$1] / Double(max(counts[$1], 1)) }
    }
}

/// One row on its way through the network.
private struct RowPass {
    let tokens: Tensor
    private let network: DecoderNetwork
    private let context: PackedAttention
    private let pass: DecoderNetwork.Pass

    var links: LayerLinks { pass.links }

    init(_ row: PackedRow, _ network: DecoderNetwork, _ method: PackedAttention.Method) throws {
        func line(_ values: [Int]) throws -> Tensor {
            try Tensor(integers: values).to(device: network.device).reshaped([1, values.count])
        }
        self.network = network
        context = PackedAttention(tree: row.segments, method: method)
        tokens = try line(row.tokens.map(Int.init))
        pass = try network.pass(at: line(context.positions))
    }

    func layer(_ index: Int, _ state: Tensor) throws -> Tensor {
        try Task.checkCancellation()
        return try network.layer(index, state, pass, context)
    }

    /// The last layer's normalised states, `[1, tokens, hidden]`.
    func hidden() throws -> Tensor {
        var state = try embedded()
        for index in 0..<network.configuration.layerCount { state = try layer(index, state) }
        return try network.normalised(state)
    }

    /// What the first layer gets.
    func embedded() throws -> Tensor { try network.embed(tokens, pass) }

    /// What each layer gets, and last what comes out; with the dropout seeds of the adapters before the first layer,
    /// and of each layer's.
    struct Forward {
        var states: [Tensor]
        let first: [UInt64]
        var seeds: [[UInt64]] = []
    }

    func forward() throws -> Forward {
        let first = network.adaptersBeforeLayers.map(\.dropoutSeed)
        var forward = Forward(states: [try embedded()], first: first)
        for index in 0..<network.configuration.layerCount {
            forward.seeds.append(network.adapters(ofLayer: index).map(\.dropoutSeed))
            forward.states.append(try layer(index, forward.states[index]))
        }
        return forward
    }
}

extension LayerLinks {
    /// Replaces everything by copies without history whose gradients are kept.
    fileprivate func learn() throws {
        embeddings = try embeddings.map { try $0.learning() }
        keys = try keys.mapValues { (try $0.key.learning(), try $0.value.learning()) }
    }
}

extension Tensor {
    /// A copy without history whose gradient is kept.
    fileprivate func learning() throws -> Tensor {
        let copy = try detached()
        try copy.requireGradient()
        return copy
    }

    /// Sends gradients of several tensors, of their shapes, back through what made them, all at once. Tensors without
    /// a gradient or without history take no part.
    fileprivate static func backward(_ results: [(tensor: Tensor, gradient: Tensor?)]) throws {
        let parts = results.filter { $0.gradient != nil && $0.tensor.requiresGradient }
        guard parts.count > 1 else {
            try parts.first?.tensor.backward(parts.first?.gradient)
            return
        }
        // The gradient of this sum is each tensor's own, to the bit.
        var sum: Tensor?
        for (tensor, gradient) in parts {
            guard let gradient else { continue }
            let part = try (tensor * (gradient.dtype == tensor.dtype ? gradient : gradient.to(tensor.dtype)))
                .sum().to(.float32)
            sum = try sum.map { try $0 + part } ?? part
        }
        try sum?.backward()
    }

    /// Sends a gradient of this tensor's shape back through what made it.
    fileprivate func backward(_ gradient: Tensor?) throws {
        guard let gradient else { return }
        let isOfSameType = gradient.dtype == dtype
        try backward(isOfSameType ? gradient : gradient.to(dtype))
    }
}
