import RetortCore

/// The settings that chats and completions share: how many choices, how they are sampled, where they end, how they
/// are sent.
struct GenerationSettings {
    let choices: Int
    private let temperature: Double?
    private let topP: Double?
    private let topK: Int?
    private let seed: UInt64
    /// The temperature of requests that name none, instead of the model's own; nil uses the model's own.
    private let usualTemperature: Double?
    let stops: [String]
    let maximumTokens: Int
    let isStreamed: Bool
    let includesUsage: Bool
    /// Whether the token ids of prompt and answer are returned (vLLM's `return_token_ids`).
    let returnsTokens: Bool
    /// The grammar that an answer must follow; nil allows anything.
    let grammar: OutputGrammar?

    private static let mostStops = 64

    /// OpenAI's parameters that change nothing here.
    static let harmless: Set<String> = [
        "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
    ]

    /// - Parameter tokens: the length limit of an answer when the request names none.
    init(_ fields: inout RequestFields, _ options: ServerOptions, tokens: Int) throws(APIError) {
        choices = try fields.integer("n", in: 1...options.maximumChoices) ?? 1
        stops = try Self.stops(&fields)
        let older = try fields.integer("max_tokens", in: 1...Int.max)
        let newer = try fields.integer("max_completion_tokens", in: 1...Int.max)
        try RequestFields.refuseTwins("max_tokens", older, "max_completion_tokens", newer)
        // Clients often send the most that their own model can write; an answer that is cut says so by its
        // `finish_reason`.
        maximumTokens = min(newer ?? older ?? tokens, options.maximumTokens)
        temperature = try fields.number("temperature", in: 0...2)
        topP = try fields.number("top_p", in: 0...1)
        topK = try fields.integer("top_k", in: -1...Int(Int32.max))
        usualTemperature = options.temperature
        seed =
            try fields.integer("seed", in: Int.min...Int.max).map { UInt64(bitPattern: Int64($0)) }
            ?? UInt64.random(in: .min ... .max)
        isStreamed = try fields.flag("stream") ?? false
        includesUsage = try Self.includesUsage(&fields, isStreamed: isStreamed)
        returnsTokens = try fields.flag("return_token_ids") ?? false
        grammar = try RequestGrammar.read(&fields)
        for name in ["frequency_penalty", "presence_penalty", "min_p"] {
            try fields.refuse(name, "penalties and floors are not applied", unless: { $0.isNumber(0) })
        }
        try fields.refuse("repetition_penalty", "penalties are not applied", unless: { $0.isNumber(1) })
        try fields.refuse("logit_bias", "scores are not biased", unless: \.isEmpty)
    }

    /// How tokens are drawn: by the request's values, else the server's, else those of the model's makers, else
    /// OpenAI's defaults.
    func sampling(_ usual: SamplingDefaults) -> Sampling {
        let topP = topP ?? usual.topP ?? 1
        guard topP > 0 else { return .greedy }
        // In vLLM, -1 stands for all tokens.
        return Sampling(
            temperature: temperature ?? usualTemperature ?? usual.temperature ?? 1, topP: topP,
            topK: max(topK ?? usual.topK ?? 0, 0), seed: seed)
    }

    private static func stops(_ fields: inout RequestFields) throws(APIError) -> [String] {
        guard let tree = fields.tree("stop") else { return [] }
        let elements = if case .array(let elements) = tree { elements } else { [tree] }
        guard elements.count <= mostStops else {
            throw .invalid("'stop' may have \(mostStops) texts at most", param: "stop")
        }
        var stops: [String] = []
        for element in elements {
            guard case .string = element else {
                throw .invalid("'stop' must be a string or an array of strings", param: "stop")
            }
            let text = try RequestFields.string(element, at: "stop")
            guard !text.isEmpty else { throw .invalid("'stop' may hold no empty text", param: "stop") }
            stops.append(text)
        }
        return stops
    }

    private static func includesUsage(_ fields: inout RequestFields, isStreamed: Bool) throws(APIError) -> Bool {
        guard let tree = fields.tree("stream_options") else { return false }
        guard isStreamed else {
            throw .invalid("'stream_options' is only for 'stream': true", param: "stream_options")
        }
        var options = try RequestFields(tree, at: "stream_options")
        let includes = try options.flag("include_usage") ?? false
        try options.refuse("continuous_usage_stats", "usage comes with the last chunk") { tree in
            if case .bool(false) = tree { true } else { false }
        }
        // Padding against listeners, which changes no answer.
        try options.refuseOthers(harmless: ["include_obfuscation"])
        return includes
    }

    /// A request to the model with these settings.
    func request(report: TokenReport) -> GenerationRequest {
        GenerationRequest(
            messages: [], samples: choices, sampling: sampling(SamplingDefaults()), stops: stops,
            maximumTokens: maximumTokens,
            report: report == .none && returnsTokens ? .ids : report, grammar: grammar)
    }
}
