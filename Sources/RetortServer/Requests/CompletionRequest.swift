import RetortCore

/// The body of `POST /v1/completions`.
struct CompletionRequest {
    let model: String
    let settings: GenerationSettings
    /// The prompts; each is answered by `settings.choices` choices.
    let prompts: [PlainPrompt]
    /// How many alternatives are reported for each token; nil reports no probabilities.
    let logprobs: Int?
    /// vLLM's `prompt_logprobs`: how many alternatives are reported for each token of the prompts; nil reports none.
    let promptLogprobs: Int?

    /// OpenAI's default for `max_tokens`.
    private static let defaultTokens = 16
    private static let mostAlternatives = 20
    private static let mostPrompts = 64

    init(body: [UInt8], _ options: ServerOptions) throws(APIError) {
        var fields = try RequestFields(body: body)
        model = try fields.requiredString("model")
        settings = try GenerationSettings(&fields, options, tokens: Self.defaultTokens)
        logprobs = try fields.integer("logprobs", in: 0...Self.mostAlternatives)
        promptLogprobs = try fields.integer("prompt_logprobs", in: 0...Self.mostAlternatives)
        if promptLogprobs != nil, settings.isStreamed {
            throw .invalid(
                "'prompt_logprobs' are told in a whole answer; ask without 'stream'", param: "prompt_logprobs")
        }
        guard let tree = fields.tree("prompt") else { throw .invalid("'prompt' is missing", param: "prompt") }
        prompts = try Self.prompts(tree)
        guard prompts.count * settings.choices <= options.maximumChoices else {
            throw .invalid("prompts times 'n' may be \(options.maximumChoices) at most", param: "prompt")
        }
        try fields.refuse("echo", "ask for 'return_token_ids' to see the prompt's tokens") { tree in
            if case .bool(false) = tree { true } else { false }
        }
        try fields.refuse("suffix", "text is only continued", unless: { $0.string == "" })
        let choices = settings.choices
        try fields.refuse("best_of", "all samples are returned", unless: { $0.isNumber(Double(choices)) })
        try fields.refuseOthers(harmless: GenerationSettings.harmless)
    }

    /// The requests for the model, one for each prompt.
    func generations(of model: any LanguageModel, adapter: String?) -> [GenerationRequest] {
        prompts.map { prompt in
            var request = settings.request(report: logprobs.map { .logprobs(alternatives: $0) } ?? .none)
            request.plain = prompt
            request.promptReport = promptLogprobs
            request.adapter = adapter
            request.sampling = settings.sampling(model.profile(of: request).sampling)
            return request
        }
    }

    /// A text, an array of token numbers, or an array of either.
    private static func prompts(_ tree: JSONTree) throws(APIError) -> [PlainPrompt] {
        switch tree {
        case .string: return [.text(try RequestFields.string(tree, at: "prompt"))]
        case .array(let elements):
            guard let first = elements.first else { throw .invalid("'prompt' is empty", param: "prompt") }
            if case .number = first { return [.tokens(try tokens(elements))] }
            guard elements.count <= mostPrompts else {
                throw .invalid("'prompt' may have \(mostPrompts) texts at most", param: "prompt")
            }
            var prompts: [PlainPrompt] = []
            for element in elements {
                if case .array(let numbers) = element {
                    prompts.append(.tokens(try tokens(numbers)))
                } else {
                    prompts.append(.text(try RequestFields.string(element, at: "prompt")))
                }
            }
            return prompts
        default:
            throw .invalid("'prompt' must be a text, an array of token numbers, or an array of these", param: "prompt")
        }
    }

    private static func tokens(_ elements: [JSONTree]) throws(APIError) -> [Int32] {
        var tokens: [Int32] = []
        for element in elements {
            guard let token = element.id else {
                throw .invalid("'prompt' mixes token numbers with something else", param: "prompt")
            }
            tokens.append(token)
        }
        return tokens
    }
}
