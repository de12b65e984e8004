import RetortCore

/// The body of `POST /v1/chat/completions`.
struct ChatRequest {
    let model: String
    let settings: GenerationSettings
    /// The chat without a last assistant message that is to be continued.
    let messages: [Message]
    /// The assistant message that is to be continued.
    let prefill: String
    /// How many alternatives each token is reported with; nil reports no probabilities.
    let logprobs: Int?
    /// The tools as they were sent, for the chat template.
    let tools: String?
    /// The names of the tools.
    let toolNames: Set<String>
    /// What an answer must be that must call a tool; nil where it need not.
    let callGrammar: OutputGrammar?
    /// Whether an answer may have several calls.
    let callsInParallel: Bool
    /// How an agent works on it.
    let agent: AgentSettings
    private let members: Set<String>

    private static let mostAlternatives = 20

    init(body: [UInt8], _ options: ServerOptions) throws(APIError) {
        var fields = try RequestFields(body: body)
        members = fields.names
        model = try fields.requiredString("model")
        settings = try GenerationSettings(&fields, options, tokens: options.maximumTokens)
        logprobs = try Self.logprobs(&fields)
        let offer = try ToolOffer(&fields)
        (tools, toolNames, callGrammar) = (offer.text, offer.names, offer.grammar)
        callsInParallel = try fields.flag("parallel_tool_calls") ?? true
        if tools != nil, settings.grammar != nil {
            throw .unsupported("response_format", "an answer held to a grammar could not call 'tools'")
        }
        var messages: [Message] = []
        guard let elements = try fields.array("messages"), !elements.isEmpty else {
            throw .invalid("'messages' must be an array of at least one message", param: "messages")
        }
        for (index, element) in elements.enumerated() {
            messages.append(try Self.message(element, at: "messages[\(index)]"))
        }
        (self.messages, prefill) = try Self.split(messages, &fields)
        agent = AgentSettings(
            votes: try fields.integer("votes", in: 1...options.maximumChoices),
            returnsTrajectory: try fields.flag("return_trajectory") ?? false)
        try Self.refuseUnsupported(&fields)
        try fields.refuseOthers(harmless: GenerationSettings.harmless)
    }

    /// Whether the body names a parameter.
    func names(_ parameter: String) -> Bool { members.contains(parameter) }

    /// What the model is asked.
    func generation(adapter: String?) -> GenerationRequest {
        var request = settings.request(report: logprobs.map { .logprobs(alternatives: $0) } ?? .none)
        request.grammar = callGrammar ?? request.grammar
        if tools != nil, !callsInParallel { request.stops.append(ToolCallText.closing) }
        request.messages = messages
        request.prefill = prefill
        request.tools = tools
        request.adapter = adapter
        return request
    }

    private static func logprobs(_ fields: inout RequestFields) throws(APIError) -> Int? {
        let isWanted = try fields.flag("logprobs") ?? false
        let alternatives = try fields.integer("top_logprobs", in: 0...mostAlternatives)
        guard isWanted || (alternatives ?? 0) == 0 else {
            throw .invalid("'top_logprobs' is only for 'logprobs': true", param: "top_logprobs")
        }
        return isWanted ? alternatives ?? 0 : nil
    }

    private static func message(_ tree: JSONTree, at place: String) throws(APIError) -> Message {
        var fields = try RequestFields(tree, at: place)
        let name = try fields.requiredString("role")
        guard let role = name == "developer" ? .system : Role(rawValue: name) else {
            throw .invalid(
                "'\(place).role' must be system, developer, user, assistant or tool, not '\(name)'",
                param: "\(place).role")
        }
        var text = try content(fields.tree("content"), at: "\(place).content")
        if let calls = try fields.array("tool_calls"), !calls.isEmpty {
            guard role == .assistant else {
                throw .invalid("'\(place).tool_calls' is only for assistants", param: "\(place).tool_calls")
            }
            let written = try ToolCallText.write(calls, at: "\(place).tool_calls")
            text = [text, written].compactMap { $0?.isEmpty == true ? nil : $0 }.joined(separator: "\n")
        }
        guard let text else { throw .invalid("'\(place).content' is missing", param: "\(place).content") }
        try fields.refuseOthers(harmless: [
            "name", "tool_call_id", "refusal", "annotations", "audio", "function_call", "reasoning_content",
            "reasoning",
        ])
        return Message(role, text)
    }

    /// A text, or the texts of parts, joined.
    private static func content(_ tree: JSONTree?, at place: String) throws(APIError) -> String? {
        guard let tree else { return nil }
        guard case .array(let parts) = tree else {
            guard case .string = tree else {
                throw .invalid("'\(place)' must be a string or an array of parts", param: place)
            }
            return try RequestFields.string(tree, at: place)
        }
        var text = ""
        for (index, part) in parts.enumerated() {
            var fields = try RequestFields(part, at: "\(place)[\(index)]")
            let type = try fields.requiredString("type")
            guard type == "text" || type == "refusal" else {
                throw .unsupported("\(place)[\(index)].type", "the model reads text, not '\(type)'")
            }
            text += try fields.requiredString(type)
        }
        return text
    }

    /// Takes the assistant message that the model goes on with from the end of the chat.
    private static func split(
        _ messages: [Message], _ fields: inout RequestFields
    ) throws(APIError) -> (messages: [Message], prefill: String) {
        let continues = try fields.flag("continue_final_message")
        let opens = try fields.flag("add_generation_prompt")
        let endsWithAssistant = messages.last?.role == .assistant
        if continues == true, opens == true {
            throw .invalid(
                "'add_generation_prompt' and 'continue_final_message' exclude each other",
                param: "add_generation_prompt")
        }
        if continues == true, !endsWithAssistant {
            throw .invalid("'continue_final_message' needs an assistant message last", param: "messages")
        }
        if opens == false, continues != true {
            throw .invalid(
                "'add_generation_prompt': false is only for 'continue_final_message': true",
                param: "add_generation_prompt")
        }
        // An assistant message last is gone on with, unless a turn of its own is asked for.
        guard endsWithAssistant, continues ?? (opens != true), let last = messages.last else { return (messages, "") }
        return (Array(messages.dropLast()), last.text)
    }

    private static func refuseUnsupported(_ fields: inout RequestFields) throws(APIError) {
        try fields.refuse("functions", "use 'tools'", unless: \.isEmpty)
        try fields.refuse("function_call", "use 'tools'")
        try fields.refuse("modalities", "answers are text") { tree in
            tree.array?.allSatisfy { $0.string == "text" } ?? false
        }
        for name in ["audio", "prediction", "web_search_options", "reasoning_effort", "verbosity"] {
            try fields.refuse(name, "models here have no such setting")
        }
    }
}
