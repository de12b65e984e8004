import RetortTensor

/// The network with paged memory: any number of tokens of any number of sequences in one pass.
final class PagedDecoder {
    private let network: DecoderNetwork
    let memory: KeyValuePages

    /// Some tokens of a sequence, which must have room for them.
    struct Part {
        let tokens: [Int32]
        let sequence: PagedSequence
        let adapter: Int?
        /// How many of the last tokens need scores.
        let scores: Int
    }

    private let marks: StateMarks?

    /// - Parameter notesStates: whether states are recorded at ends of pages, for texts with the same beginning.
    init(_ network: DecoderNetwork, memory: KeyValuePages, notesStates: Bool = false) {
        self.network = network
        self.memory = memory
        marks = notesStates ? StateMarks(network.configuration, network.embedTokens.dtype) : nil
    }

    /// Reads the tokens of all parts, each at the end of its sequence.
    /// - Returns: `[scores, vocabulary]`, part by part; nil when no scores are wanted.
    func scores(_ parts: [Part]) throws -> Tensor? {
        try withoutGradients {
            let counts = parts.map(\.tokens.count)
            let total = counts.reduce(0, +)
            let tokens = try Tensor(integers: parts.flatMap { $0.tokens.map(Int.init) }, shape: [1, total])
            let positions = parts.flatMap { $0.sequence.length..<$0.sequence.length + $0.tokens.count }
            network.routing = try AdapterRouting(
                zip(parts, counts).flatMap { Array(repeating: $0.adapter, count: $1) }, device: network.device)
            let states = try PassStates(
                parts.map { ($0.sequence.states, $0.sequence.length, $0.tokens.count) }, marks: marks)
            let context = PagedContext(
                memory: memory,
                pass: try PagedPass(
                    tables: parts.map(\.sequence.pages), counts: counts, firsts: parts.map(\.sequence.length)),
                states: states)
            let hidden = try network.hidden(
                tokens, positions: Tensor(integers: positions, shape: [1, total]), context: context)
            var end = 0
            let wanted = parts.flatMap { part in
                end += part.tokens.count
                return end - part.scores..<end
            }
            guard !wanted.isEmpty else {
                states.accept()
                return nil
            }
            let rows = try hidden.reshaped([total, -1])
            let scores = try network.logits(wanted.count == total ? rows : rows.rows(Tensor(integers: wanted)))
            states.accept()
            return scores
        }
    }
}

/// The attention of one pass over the pages.
private struct PagedContext: ProjectedAttention {
    let memory: KeyValuePages
    let pass: PagedPass
    let states: PassStates

    func carry(layer: Int, _ inputs: [Tensor], through step: CarryingStep) throws -> Tensor {
        try states.carry(self, layer: layer, inputs, through: step)
    }

    func attend(_ attention: Attention, _ projected: [Tensor], _ angles: RotaryEmbedding.Angles) throws -> Tensor {
        let shape = projected[0].shape
        let tokens = shape[0] * shape[1]
        guard let pages = memory.layers[attention.source] else { throw KeyValuePagesError.noPages(attention.source) }
        let norms = try attention.headNorms.map {
            (query: try $0.query.scale(), key: try $0.key?.scale(), epsilon: $0.query.epsilon)
        }
        let rows = try projected.map { try $0.reshaped([tokens, -1]) }
        return try Tensor.pagedAttention(
            rows[0], rows.count > 1 ? rows[1] : nil, rows.count > 1 ? rows[2] : nil,
            cosine: angles.cosine.reshaped([tokens, -1]), sine: angles.sine.reshaped([tokens, -1]),
            pages: pages, pass: pass,
            form: Tensor.PagedForm(
                scale: attention.queryScale / Double(attention.dimension).squareRoot(), window: attention.form.window,
                cap: attention.form.cap, norms: norms)
        ).reshaped(shape)
    }

    func attend(layer: Int, query: Tensor, key: Tensor, value: Tensor, form: AttentionForm) throws -> Tensor {
        preconditionFailure("attention over pages takes a layer's projections as they are")
    }

    func attend(
        reading source: Int, query: Tensor, key: Tensor, value: Tensor, form: AttentionForm
    ) throws -> Tensor {
        preconditionFailure("attention over pages takes a layer's projections as they are")
    }
}
