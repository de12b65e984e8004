import RetortTensor

/// The network with its cache: reads prompts, then generates one token per row and step.
final class BatchDecoder {
    private let network: DecoderNetwork
    private let cache: KeyValueCache
    private let dtype: DType
    private let pass: StepPass
    private let fixedSteps: FixedSteps?

    /// How the samples' next tokens are computed; the ways differ only in rounding.
    enum Stepping {
        /// With shapes that match the running samples.
        case growing
        /// With one of a few fixed shapes, with room to spare.
        case fixed
        /// With fixed shapes, recorded on the device and replayed.
        case recorded
    }

    init(_ network: DecoderNetwork, stepping: Stepping = .growing) {
        self.network = network
        let configuration = network.configuration
        dtype = network.embedTokens.dtype
        cache = KeyValueCache(
            layers: (0..<configuration.layerCount).map(configuration.keptHeads(ofLayer:)), dtype: dtype,
            device: network.device)
        pass = StepPass(network: network, cache: cache, windows: Set(configuration.windows), dtype: dtype)
        fixedSteps = stepping == .growing ? nil : FixedSteps(pass, records: stepping == .recorded)
    }

    /// The memory that the cache takes, in bytes.
    var cacheBytes: Int { cache.bytes }

    /// The memory of one token in one row of the cache, in bytes.
    var tokenBytes: Int { cache.tokenBytes }

    /// The size that the cache grows to for samples of up to `length` tokens.
    func size(rows: Int, length: Int) -> KeyValueCache.Size {
        guard fixedSteps != nil, rows > 0 else { return KeyValueCache.Size(rows: rows, length: length) }
        let shape = FixedSteps.Shape(rows: rows, longest: length, context: network.configuration.maximumPositions)
        return KeyValueCache.Size(rows: shape.rows, length: shape.length)
    }

    /// Gives up what no running sample uses, if the cache would otherwise have room for more than `limit` tokens once
    /// it has grown to `planned`.
    /// - Parameter used: the size that running samples use.
    func makeRoom(for planned: KeyValueCache.Size, used: KeyValueCache.Size, limit: Int) throws {
        guard max(cache.rows, planned.rows) * max(cache.capacity, planned.length) > limit else { return }
        try withoutGradients { try cache.resize(to: used) }
    }

    /// Why steps are not recorded although they should be; nil if they are.
    var recordingFailure: String? { fixedSteps?.failure }

    /// A prompt that samples continue.
    struct Prompt {
        let tokens: [Int32]
        let samples: Int
        let adapter: Int?
        /// The part of it that is cached and need not be read; nil if there is none.
        let known: PrefixStore.Match?

        /// The tokens that must be read.
        var rest: ArraySlice<Int32> { tokens.dropFirst(known?.length ?? 0) }
    }

    /// Reads prompts in one packed row and chooses the first token of each sample.
    ///
    /// Samples take consecutive rows from `firstRow` on; samples of the same prompt share its reading.
    func prefill(_ prompts: [Prompt], firstRow: Int, rows: [RunningSample]) throws -> [TokenChooser.Choice] {
        try withoutGradients {
            let lengths = prompts.map(\.rest.count)
            let starts = prompts.reduce(into: [firstRow]) { $0.append(($0.last ?? 0) + $1.samples) }
            let longest = prompts.map(\.tokens.count).max() ?? 0
            // With room for the first token of each sample.
            let needed = size(rows: firstRow + rows.count, length: longest + 1)
            try cache.reserve(rows: needed.rows, length: needed.length)
            let pasts = prompts.map { prompt in
                prompt.known.map { PackedAttention.Past(length: $0.length, layers: $0.entry.past) }
            }
            let context = PackedAttention(segments: lengths, pasts: pasts) { [cache] layer, key, value in
                let keys = try key.split(lengths, axis: 2)
                let values = try value.split(lengths, axis: 2)
                for prompt in prompts.indices {
                    let known = pasts[prompt]
                    if let known {
                        let (key, value) = try known.read(layer)
                        try cache.store(layer: layer, row: starts[prompt], key: key, value: value)
                    }
                    try cache.store(
                        layer: layer, row: starts[prompt], from: known?.length ?? 0, key: keys[prompt],
                        value: values[prompt])
                }
            }
            let tokens = try row(prompts.flatMap { $0.rest.map(Int.init) })
            network.routing = try AdapterRouting(
                prompts.flatMap { Array(repeating: $0.adapter, count: $0.rest.count) }, device: network.device)
            let hidden = try network.hidden(tokens, positions: row(context.positions), context: context)
            for (index, prompt) in prompts.enumerated() {
                for copy in 1..<max(prompt.samples, 1) {
                    try cache.copy(row: starts[index], to: starts[index] + copy, length: prompt.tokens.count)
                }
            }
            let ends = lengths.reduce(into: [Int]()) { $0.append(($0.last ?? -1) + $1) }
            let perSample = zip(ends, prompts).flatMap { Array(repeating: $0, count: $1.samples) }
            let last = try hidden.reshaped([-1, network.configuration.hiddenSize]).rows(index(perSample))
            return try TokenChooser.choose(network.logits(last), rows.flatMap { $0.choices(1) })
        }
    }

    /// The contents of a row, kept for prompts with the same beginning.
    func contents(row: Int, of tokens: [Int32], adapter: Int?) throws -> PrefixStore.Entry {
        try withoutGradients {
            PrefixStore.Entry(
                tokens: tokens, adapter: adapter, past: try cache.contents(row: row, length: tokens.count))
        }
    }

    /// Generates one more token for every sample. A step that fails changes no sample, and can be repeated.
    /// - Parameter row: the cache's row of the first sample, when only some take the step; nil when row `i` belongs to
    ///   `samples[i]` and no other row is used.
    func step(_ samples: [RunningSample], from row: Int? = nil) throws -> [TokenChooser.Choice] {
        try withoutGradients {
            let logits = try scores(
                behind: samples.map(\.lastToken), at: samples.map(\.length), adapters: samples.map(\.pending.adapter),
                from: row)
            let choices = try TokenChooser.choose(logits, samples.flatMap { $0.choices(1) })
            for sample in samples { sample.advance() }
            return choices
        }
    }

    /// Adds a token to rows of the cache, at a position, and returns the scores after it: `[rows, vocabulary]`, valid
    /// until the next call.
    /// - Parameter row: the first row, when others are in use beside these; nil for all rows from 0 on.
    func scores(behind tokens: [Int], at positions: [Int], adapters: [Int?], from row: Int? = nil) throws -> Tensor {
        // The adapters of rows change from step to step, which a recording cannot do, and a fixed shape would write
        // into rows beside its own.
        if row == nil, let fixedSteps, fixedSteps.failure == nil, adapters.allSatisfy({ $0 == nil }) {
            network.routing = nil
            return try fixedSteps.scores(behind: tokens, at: positions)
        }
        let longest = (positions.max() ?? 0) + 1
        let firstRow = row ?? 0
        try cache.reserve(rows: firstRow + tokens.count, length: longest)
        network.routing = try AdapterRouting(adapters, device: network.device)
        return try pass.scores(behind: index(tokens), at: index(positions), longest: longest, firstRow: firstRow)
    }

    /// Moves a sample's cache to another row.
    func move(row source: Int, to target: Int, length: Int) throws {
        try withoutGradients { try cache.copy(row: source, to: target, length: length) }
    }

    private func index(_ values: [Int]) throws -> Tensor { try Tensor(integers: values).to(device: network.device) }

    private func row(_ values: [Int]) throws -> Tensor { try index(values).reshaped([1, values.count]) }
}

/// One token per row on its way through the network.
struct StepPass {
    let network: DecoderNetwork
    let cache: KeyValueCache
    let windows: Set<Int?>
    let dtype: DType

    /// The scores after the tokens: `[rows, vocabulary]`. The cache must have room for them.
    /// - Parameters:
    ///   - tokens: int64 `[rows]`.
    ///   - positions: int64 `[rows]`, the place of each token in its row.
    ///   - longest: how many keys of each row are attended to.
    ///   - firstRow: the cache's row of the first token.
    func scores(behind tokens: Tensor, at positions: Tensor, longest: Int, firstRow: Int = 0) throws -> Tensor {
        let rows = tokens.shape[0]
        let step = try DecodingStep(
            cache: cache, positions: positions, longest: longest, firstRow: firstRow, windows: windows, dtype: dtype,
            device: network.device)
        let hidden = try network.hidden(
            tokens.reshaped([rows, 1]), positions: positions.reshaped([rows, 1]), context: step)
        return try network.logits(hidden).reshaped([rows, -1])
    }
}
