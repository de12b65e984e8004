import RetortCore

/// The body of `POST /v1/chat/completions`.
struct ChatRequest {
    let model: String
    let settings: GenerationSettings
    /// The messages, without a last assistant message that is to be continued.
    let messages: [Message]
    /// The assistant message that is to be continued.
    let prefill: String
    /// How many alternatives are reported for each token; nil reports no probabilities.
    let logprobs: Int?
    /// The tools as they were sent, for the chat template; nil when none may be called.
    let tools: String?
    /// The names of the tools.
    let toolNames: Set<String>
    /// The schemas of their parameters, by the names.
    let toolParameters: [String: JSONTree]
    /// The functions of which the answer must call one; nil if it need not call any.
    let requiredCalls: [(name: String, arguments: JSONSchema)]?
    /// Further variables for the chat template: a JSON object.
    let templateArguments: String?
    /// Whether an answer may contain several calls.
    let callsInParallel: Bool
    /// How an agent is to work on the chat.
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
        (tools, toolNames, requiredCalls) = (offer.text, offer.names, offer.required)
        toolParameters = offer.parameters
        templateArguments = try Self.templateArguments(&fields)
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

    /// Whether the body has a parameter of this name.
    func names(_ parameter: String) -> Bool { members.contains(parameter) }

    /// The request for the model, and what is known about its reply.
    func generation(of model: any LanguageModel, adapter: String?) -> (GenerationRequest, ReplyProfile) {
        var request = settings.request(report: logprobs.map { .logprobs(alternatives: $0) } ?? .none)
        request.messages = messages
        request.prefill = prefill
        request.tools = tools
        request.templateArguments = templateArguments
        request.adapter = adapter
        let profile = model.profile(of: request)
        request.sampling = settings.sampling(profile.sampling)
        let form = profile.calls ?? .tagged
        if let requiredCalls { request.grammar = ToolCallText.grammar(requiredCalls, as: form) }
        // A grammar ends behind its one call. Without one the answer ends with the mark on a line of its own, which no JSON
        // text of the arguments can hold.
        if tools != nil, requiredCalls == nil, !callsInParallel, form == .tagged {
            request.stops.append("\n" + ToolCallText.closing)
        }
        return (request, profile)
    }

    /// vLLM's `chat_template_kwargs`, and `enable_thinking`, which hosts of Qwen3 take beside it.
    private static func templateArguments(_ fields: inout RequestFields) throws(APIError) -> String? {
        let name = "chat_template_kwargs"
        var members: [(name: [UInt8], value: JSONTree)] = []
        if let tree = fields.tree(name) {
            guard case .object(let given) = tree else { throw .invalid("'\(name)' must be an object", param: name) }
            members = given
        }
        // These belong to the request itself.
        let own = ["messages", "tools", "add_generation_prompt", "continue_final_message", "chat_template"]
        if let taken = own.first(where: { name in members.contains { $0.name == Array(name.utf8) } }) {
            throw .invalid("'\(name).\(taken)' cannot be set there", param: "\(name).\(taken)")
        }
        if let thinks = try fields.flag("enable_thinking") {
            let twin = Array("enable_thinking".utf8)
            let other = members.first { $0.name == twin }?.value.text
            try RequestFields.refuseTwins("\(name).enable_thinking", other, "enable_thinking", "\(thinks)")
            if other == nil { members.append((twin, .bool(thinks))) }
        }
        return members.isEmpty ? nil : JSONTree.object(members).text
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
        if let refusal = try fields.string("refusal"), !refusal.isEmpty {
            guard (text ?? "").isEmpty else {
                throw .invalid("'\(place)' has both 'content' and 'refusal'", param: "\(place).refusal")
            }
            text = refusal
        }
        try fields.refuse("function_call", "use 'tool_calls'")
        try fields.refuse("audio", "the model reads text")
        var details = Message.Details()
        if let calls = try fields.array("tool_calls"), !calls.isEmpty {
            guard role == .assistant else {
                throw .invalid("'\(place).tool_calls' is only for assistants", param: "\(place).tool_calls")
            }
            details.calls = try Self.calls(calls, at: "\(place).tool_calls").text
        }
        guard text != nil || details.calls != nil else {
            throw .invalid("'\(place).content' is missing", param: "\(place).content")
        }
        details.callID = try fields.string("tool_call_id")
        details.name = try fields.string("name")
        func written(_ text: String?) -> String? { text?.isEmpty == true ? nil : text }
        let thought = written(try fields.string("reasoning_content"))
        let reasoning = written(try fields.string("reasoning"))
        try RequestFields.refuseTwins("\(place).reasoning_content", thought, "\(place).reasoning", reasoning)
        details.reasoning = reasoning ?? thought
        // Notes on where a text was found.
        try fields.refuseOthers(harmless: ["annotations"])
        var message = Message(role, text ?? "")
        message.details = details == Message.Details() ? nil : details
        return message
    }

    /// The calls of an assistant's message, with their arguments as objects, the form that chat templates take.
    private static func calls(_ calls: [JSONTree], at place: String) throws(APIError) -> JSONTree {
        var written: [JSONTree] = []
        for (index, call) in calls.enumerated() {
            guard let name = call["function"]?["name"]?.bytes, let text = call["function"]?["arguments"]?.bytes,
                let arguments = try? JSONTree.parse(text.isEmpty ? Array("{}".utf8) : text)
            else {
                throw .invalid(
                    "'\(place)[\(index)]' must have a function with a name and arguments as JSON text",
                    param: "\(place)[\(index)]")
            }
            let function = JSONTree.object(named: [("name", .string(name)), ("arguments", arguments)])
            let id = call["id"].map { [("id", $0)] } ?? []
            written.append(
                .object(named: id + [("type", .string(Array("function".utf8))), ("function", function)]))
        }
        return .array(written)
    }

    /// A text, or the joined texts of parts.
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
            try fields.refuseOthers(harmless: ["cache_control", "annotations"])
        }
        return text
    }

    /// Takes the assistant message that the model is to continue from the end of the chat.
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
        // A last assistant message is continued unless the client asks for a new turn.
        guard endsWithAssistant, continues ?? (opens != true), let last = messages.last else { return (messages, "") }
        try refuseOpenEnd(last, at: "messages[\(messages.count - 1)]")
        return (Array(messages.dropLast()), last.text)
    }

    /// Refuses to go on from a message that is more than its text.
    private static func refuseOpenEnd(_ message: Message, at place: String) throws(APIError) {
        guard message.details?.calls == nil else {
            throw .invalid(
                "the last message calls tools: send their results behind it, since a call cannot be gone on with",
                param: "\(place).tool_calls")
        }
        guard (message.details?.reasoning ?? "").isEmpty else {
            throw .invalid(
                "the last message is gone on with, and its reasoning would be lost: leave it out, or write it into 'content'",
                param: "\(place).reasoning_content")
        }
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
