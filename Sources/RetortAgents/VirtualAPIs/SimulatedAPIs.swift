import RetortCore

/// APIs that a model imitates from their documents (StableToolBench, arXiv 2403.07714; ToolAlpaca, arXiv 2306.05301).
///
/// The model is shown the document and earlier replies of the same function, and is held to the reply's schema where it can be.
/// What is no such object is asked for again, then it is a reply with an error: nothing is made of a text that cannot be read.
public struct SimulatedAPIs: VirtualAPIs {
    /// Earlier replies of a function, to reply alike.
    public typealias Examples = @Sendable (VirtualAPIName) async throws -> [(input: JSONValue, reply: VirtualReply)]

    private let model: any LanguageModel
    private let documents: [VirtualAPIName: JSONValue]
    private let examples: Examples
    private let temperature: Double
    private let maximumTokens: Int

    private static let attempts = 3
    /// How much of the documents and of the examples is shown, in characters.
    private static let shown = 2048

    /// - Parameters:
    ///   - documents: what is known of each function. A function of none is refused, unless there are no documents at all.
    ///   - temperature: 0 gives the same reply to the same call.
    public init(
        _ model: any LanguageModel, documents: [VirtualAPIName: JSONValue] = [:], temperature: Double = 0,
        maximumTokens: Int = 512, examples: @escaping Examples = { _ in [] }
    ) {
        self.model = model
        self.documents = documents
        self.temperature = temperature
        self.maximumTokens = maximumTokens
        self.examples = examples
    }

    private static let grammar = OutputGrammar.json(
        .object(
            .init(
                properties: ["error": .string(maximumLength: 200), "response": .string(maximumLength: 800)],
                required: ["error", "response"], others: nil)))

    /// What a server that enforces schemas is told of a reply.
    public static let replySchema: JSONValue = [
        "type": "object", "properties": ["error": ["type": "string"], "response": ["type": "string"]],
        "required": ["error", "response"], "additionalProperties": false,
    ]

    /// What the model makes of a call. Where there are documents, a function without one is answered with an error.
    public func reply(to call: VirtualCall) async throws -> VirtualReply {
        let name = VirtualAPIName(call)
        let document = documents[name]
        guard document != nil || documents.isEmpty else {
            return VirtualReply(error: "there is no API '\(name.api)' of the tool '\(name.tool)'")
        }
        guard let arguments = call.arguments else { return VirtualReply(error: "the input is not a JSON object") }
        let messages = try await messages(call, document ?? [:], .object(arguments), examples(name))
        for attempt in 0..<Self.attempts {
            let sampling = Sampling(
                temperature: attempt == 0 ? temperature : max(temperature, 0.5),
                seed: StableHash.of("\(name) \(JSONValue.object(arguments).jsonText) \(attempt)"))
            let completions = try await model.complete(
                GenerationRequest(
                    messages: messages, sampling: sampling, maximumTokens: maximumTokens, grammar: Self.grammar))
            if let reply = completions.first.flatMap({ Self.reply(in: $0.text) }) { return reply }
        }
        return VirtualReply(error: "the simulated API gave no reply that can be read, \(Self.attempts) times")
    }

    private func messages(
        _ call: VirtualCall, _ document: JSONValue, _ arguments: JSONValue,
        _ examples: [(input: JSONValue, reply: VirtualReply)]
    ) -> [Message] {
        var parts = [
            "Tool: \(call.tool) (\(call.category))\nAPI: \(call.api)",
            "Document:\n\(document.jsonText.shown(upTo: Self.shown))",
        ]
        if !examples.isEmpty {
            let lines = examples.map { "\($0.input.jsonText) → \($0.reply.json.jsonText)" }
            parts.append("Earlier calls:\n\(lines.joined(separator: "\n").shown(upTo: Self.shown))")
        }
        parts.append("Input:\n\(arguments.jsonText)")
        return [
            Message(
                .system,
                """
                You are a web API. From its document you know what it does; reply to the input as it would, with plausible \
                and definite content of at most 150 words, in agreement with earlier replies. Write one JSON object and \
                nothing else: {"error": "", "response": …}. When a required parameter is missing or a value is \
                impossible, say so in error and leave response empty.
                """),
            Message(.user, parts.joined(separator: "\n\n")),
        ]
    }

    /// The object in a text, fences around it or not; nil when it is no reply.
    static func reply(in text: String) -> VirtualReply? {
        guard let open = text.firstIndex(of: "{"), let close = text.lastIndex(of: "}"), open < close,
            let value = try? ExactJSON.value(of: String(text[open...close])), let response = value["response"]
        else { return nil }
        let error = value["error"].map { $0 == .null ? "" : $0.text } ?? ""
        return VirtualReply(error: error, response: response)
    }
}

extension VirtualReply {
    /// `{"error", "response"}`.
    public var json: JSONValue { ["error": .string(error), "response": response] }
}
