import RetortCore

/// The body of `POST /v1/messages`, in Anthropic's form, and its translation into an equivalent chat request.
struct MessagesRequest {
    let model: String
    /// The request in OpenAI's form, members in the order in which they were sent.
    private let chat: [(String, JSONTree)]

    /// What Anthropic's form demands and an agent sets itself.
    private static let limits: Set = ["max_tokens"]

    init(body: [UInt8]) throws(APIError) {
        var fields = try RequestFields(body: body)
        model = try fields.requiredString("model")
        guard let limit = fields.tree("max_tokens") else {
            throw .invalid("'max_tokens' is missing", param: "max_tokens")
        }
        var chat: [(String, JSONTree)] = [("model", Self.text(model)), ("max_tokens", limit)]
        for (name, other) in [
            ("temperature", "temperature"), ("top_p", "top_p"), ("top_k", "top_k"), ("stream", "stream"),
            ("stop_sequences", "stop"),
        ] {
            // An empty list of stop texts asks for nothing, which an agent need not refuse.
            if let tree = fields.tree(name), other != "stop" || !tree.isEmpty { chat.append((other, tree)) }
        }
        var messages: [JSONTree] = []
        if let system = fields.tree("system") {
            messages.append(
                Self.object([("role", Self.text("system")), ("content", try Self.words(system, at: "system"))]))
        }
        guard let elements = try fields.array("messages"), !elements.isEmpty else {
            throw .invalid("'messages' must be an array of at least one message", param: "messages")
        }
        for (index, element) in elements.enumerated() {
            messages += try MessagesBlocks.messages(element, at: "messages[\(index)]")
        }
        chat.append(("messages", .array(messages)))
        let tools = try fields.array("tools") ?? []
        if !tools.isEmpty {
            var offered: [JSONTree] = []
            for (index, tool) in tools.enumerated() { offered.append(try Self.tool(tool, at: "tools[\(index)]")) }
            chat.append(("tools", .array(offered)))
        }
        if let choice = fields.tree("tool_choice") { chat += try Self.choice(choice) }
        try fields.refuse("thinking", "models here think as they were trained to") { $0["type"]?.string != "enabled" }
        for name in ["mcp_servers", "container"] { try fields.refuse(name, "there is none here", unless: \.isEmpty) }
        try fields.refuse("output_format", "use /v1/chat/completions with 'response_format'")
        try fields.refuse("output_config", "use /v1/chat/completions with 'response_format'", unless: \.isEmpty)
        try fields.refuseOthers(harmless: ["metadata", "service_tier", "context_management", "inference_geo"])
        self.chat = chat
    }

    /// The equivalent chat request.
    /// - Parameter isForAgent: leaves out the limits, since an agent has its own.
    func body(isForAgent: Bool) -> [UInt8] {
        Array(Self.object(chat.filter { !isForAgent || !Self.limits.contains($0.0) }).text.utf8)
    }

    private static func tool(_ tree: JSONTree, at place: String) throws(APIError) -> JSONTree {
        var fields = try RequestFields(tree, at: place)
        let type = try fields.string("type") ?? "custom"
        guard type == "custom" else {
            throw .unsupported("\(place).type", "there is no tool '\(type)' here; describe your own")
        }
        var function: [(String, JSONTree)] = [("name", text(try fields.requiredString("name")))]
        if let description = fields.tree("description") { function.append(("description", description)) }
        if let schema = fields.tree("input_schema") { function.append(("parameters", schema)) }
        try fields.refuseOthers(harmless: [
            "cache_control", "strict", "eager_input_streaming", "defer_loading", "input_examples",
        ])
        return object([("type", text("function")), ("function", object(function))])
    }

    private static func choice(_ tree: JSONTree) throws(APIError) -> [(String, JSONTree)] {
        var fields = try RequestFields(tree, at: "tool_choice")
        var members: [(String, JSONTree)] = []
        if try fields.flag("disable_parallel_tool_use") == true {
            members.append(("parallel_tool_calls", .bool(false)))
        }
        switch try fields.requiredString("type") {
        case "auto": members.append(("tool_choice", text("auto")))
        case "any": members.append(("tool_choice", text("required")))
        case "none": members.append(("tool_choice", text("none")))
        case "tool":
            let name = object([("name", text(try fields.requiredString("name")))])
            members.append(("tool_choice", object([("type", text("function")), ("function", name)])))
        case let type:
            throw .invalid(
                "'tool_choice.type' must be auto, any, tool or none, not '\(type)'", param: "tool_choice.type")
        }
        try fields.refuseOthers(harmless: [])
        return members
    }

    /// A text, or the joined texts of blocks.
    static func words(_ tree: JSONTree, at place: String) throws(APIError) -> JSONTree {
        guard case .array(let blocks) = tree else { return text(try RequestFields.string(tree, at: place)) }
        var words: [String] = []
        for (index, block) in blocks.enumerated() {
            var fields = try RequestFields(block, at: "\(place)[\(index)]")
            let type = try fields.string("type") ?? ""
            guard type == "text" else {
                throw .unsupported("\(place)[\(index)].type", "the model reads text, not '\(type)'")
            }
            words.append(try fields.requiredString("text"))
            try fields.refuseOthers(harmless: ["cache_control", "citations"])
        }
        return text(words.joined(separator: "\n\n"))
    }

    static func text(_ string: String) -> JSONTree { .string(Array(string.utf8)) }

    static func object(_ members: [(String, JSONTree)]) -> JSONTree {
        .object(members.map { (name: Array($0.0.utf8), value: $0.1) })
    }
}

/// A message of Anthropic's form as messages of OpenAI's.
enum MessagesBlocks {
    static func messages(_ tree: JSONTree, at place: String) throws(APIError) -> [JSONTree] {
        var fields = try RequestFields(tree, at: place)
        let role = try fields.requiredString("role")
        guard ["user", "assistant"].contains(role) else {
            throw .invalid("'\(place).role' must be user or assistant, not '\(role)'", param: "\(place).role")
        }
        guard let content = fields.tree("content") else {
            throw .invalid("'\(place).content' is missing", param: "\(place).content")
        }
        try fields.refuseOthers(harmless: [])
        guard case .array(let blocks) = content else { return [message(role, content)] }
        guard role == "assistant" || !blocks.isEmpty else {
            throw .invalid("'\(place).content' must have at least one block", param: "\(place).content")
        }
        return role == "user"
            ? try user(blocks, at: "\(place).content") : [try assistant(blocks, at: "\(place).content")]
    }

    private static func message(_ role: String, _ content: JSONTree, _ more: [(String, JSONTree)] = []) -> JSONTree {
        MessagesRequest.object([("role", MessagesRequest.text(role)), ("content", content)] + more)
    }

    /// Tool results come first, each in a message of its own; then what the user says.
    private static func user(_ blocks: [JSONTree], at place: String) throws(APIError) -> [JSONTree] {
        var messages: [JSONTree] = []
        var words: [JSONTree] = []
        for (index, block) in blocks.enumerated() {
            guard block["type"]?.string == "tool_result" else {
                words.append(block)
                continue
            }
            var fields = try RequestFields(block, at: "\(place)[\(index)]")
            _ = fields.tree("type")
            let id = try fields.requiredString("tool_use_id")
            let content = try fields.tree("content").map { tree throws(APIError) in
                try MessagesRequest.words(tree, at: "\(place)[\(index)].content")
            }
            // An error is conveyed by its text.
            _ = try fields.flag("is_error")
            try fields.refuseOthers(harmless: ["cache_control"])
            messages.append(
                message("tool", content ?? MessagesRequest.text(""), [("tool_call_id", MessagesRequest.text(id))]))
        }
        if !words.isEmpty { messages.append(message("user", try MessagesRequest.words(.array(words), at: place))) }
        return messages
    }

    private static func assistant(_ blocks: [JSONTree], at place: String) throws(APIError) -> JSONTree {
        var words: [JSONTree] = []
        var calls: [JSONTree] = []
        for (index, block) in blocks.enumerated() {
            switch block["type"]?.string {
            // Thoughts of earlier turns are not shown again.
            case "thinking", "redacted_thinking": break
            case "tool_use":
                var fields = try RequestFields(block, at: "\(place)[\(index)]")
                _ = fields.tree("type")
                let id = try fields.requiredString("id")
                let name = try fields.requiredString("name")
                let input = fields.tree("input") ?? .object([])
                try fields.refuseOthers(harmless: ["cache_control", "caller"])
                let function = MessagesRequest.object([
                    ("name", MessagesRequest.text(name)), ("arguments", MessagesRequest.text(input.text)),
                ])
                calls.append(
                    MessagesRequest.object([
                        ("id", MessagesRequest.text(id)), ("type", MessagesRequest.text("function")),
                        ("function", function),
                    ]))
            default: words.append(block)
            }
        }
        let text = try MessagesRequest.words(.array(words), at: place)
        return message("assistant", text, calls.isEmpty ? [] : [("tool_calls", .array(calls))])
    }
}
