import RetortCore

/// Messages in Anthropic's form: the API's requests and answers, and Claude Code's logs.
package enum AnthropicMessages {
    private static let keys = RecordKeys(
        "a message", read: ["role", "content", "model", "usage", "id"] + LearnedTurns.keys,
        harmless: [
            "type", "stop_reason", "stop_sequence", "container", "context_management", "diagnostics", "stop_details",
        ])
    private static let blockKeys: [String: RecordKeys] = [
        "text": RecordKeys("a text block", read: ["type", "text"], harmless: ["cache_control", "citations"]),
        "thinking": RecordKeys(
            "a thinking block", read: ["type", "thinking"], harmless: ["signature", "cache_control"]),
        "tool_use": RecordKeys(
            "a tool_use block", read: ["type", "id", "name", "input"], harmless: ["cache_control", "caller"]),
        "tool_result": RecordKeys(
            "a tool_result block", read: ["type", "tool_use_id", "content", "is_error"], harmless: ["cache_control"]),
    ]
    static let encrypted = "thinking that is encrypted"

    /// Whether a block's type is one that only Anthropic's messages have.
    static func isOwn(_ type: String) -> Bool {
        ["tool_use", "thinking", "redacted_thinking"].contains(type) || type.hasSuffix("_tool_use")
            || type.hasSuffix("tool_result")
    }

    /// The content of a message, in order, with a turn of its own for what the model said after a result of the
    /// provider's own tools.
    static func turns(
        of message: JSONValue, _ notes: inout RecordNotes
    ) throws(RecordRejection) -> [Dialogue.Entry] {
        guard message["role"] == "assistant", let blocks = message["content"]?.array else {
            return try entries(of: message, &notes)
        }
        keys.check(message, &notes)
        var turns: [[JSONValue]] = [[]]
        for (index, block) in blocks.enumerated() {
            let follows = index > 0 && isResult(blocks[index - 1]) && !isResult(block)
            if follows { turns.append([]) }
            turns[turns.count - 1].append(block)
        }
        var entries: [Dialogue.Entry] = []
        for turn in turns { entries += try assistant(.array(turn), &notes) }
        return entries
    }

    private static func isResult(_ block: JSONValue) -> Bool {
        block["type"]?.string?.hasSuffix("_tool_result") ?? false
    }

    /// The content of a message, in order, as one turn.
    /// - Parameter message: `{role, content}`, the content a text or a list of blocks.
    static func entries(
        of message: JSONValue, _ notes: inout RecordNotes
    ) throws(RecordRejection) -> [Dialogue.Entry] {
        keys.check(message, &notes)
        switch message["role"] {
        case "user": return try user(message["content"], &notes)
        case "assistant": return try assistant(message["content"], &notes)
        case "system":
            let text = try OpenAIMessages.text(message["content"], of: "the instructions", &notes)
            return [.system(text)]
        case let role:
            throw RecordRejection("a message has the role '\((role?.text ?? "").shown(upTo: 40))', which no chat has")
        }
    }

    private static func user(_ content: JSONValue?, _ notes: inout RecordNotes) throws(RecordRejection) -> [Dialogue
        .Entry]
    {
        if let text = content?.string { return [.user(text)] }
        var entries: [Dialogue.Entry] = []
        var words: [String] = []
        for block in content?.array ?? [] {
            let type = block["type"]?.string ?? ""
            blockKeys[type]?.check(block, &notes)
            switch type {
            case "text": words.append(block["text"]?.string ?? "")
            case "tool_result": entries.append(.result(try result(block, &notes)))
            default: throw .multimodal(type.shown(upTo: 40), in: "a message of the user")
            }
        }
        if !words.isEmpty { entries.append(.user(words.joined(separator: "\n\n"))) }
        return entries
    }

    private static func result(_ block: JSONValue, _ notes: inout RecordNotes) throws(RecordRejection)
        -> Dialogue.Result
    {
        guard let id = block["tool_use_id"]?.string else { throw RecordRejection("a tool_result names no call") }
        var texts: [String] = []
        switch block["content"] {
        case .array(let parts):
            for part in parts {
                if part["type"] == "tool_reference", let name = part["tool_name"]?.string {
                    texts.append(name)
                } else {
                    texts.append(try OpenAIMessages.text(.array([part]), of: "a tool's result", &notes))
                }
            }
        case let content: texts.append(content?.string ?? (content.map { $0 == .null ? "" : $0.jsonText } ?? ""))
        }
        return Dialogue.Result(call: id, text: texts.joined(separator: "\n"), isError: block["is_error"] == true)
    }

    /// A turn of the model, followed by the results of the provider's own tools.
    private static func assistant(
        _ content: JSONValue?, _ notes: inout RecordNotes
    ) throws(RecordRejection) -> [Dialogue.Entry] {
        if let text = content?.string { return [.reply(try ReplyText.reply(text))] }
        var reply = Dialogue.Reply()
        var (words, thoughts, results): ([String], [String], [Dialogue.Entry]) = ([], [], [])
        for block in content?.array ?? [] {
            let type = block["type"]?.string ?? ""
            blockKeys[type]?.check(block, &notes)
            switch type {
            case "text": words.append(block["text"]?.string ?? "")
            case "thinking": thoughts.append(block["thinking"]?.string ?? "")
            case "redacted_thinking": notes.unread.insert(encrypted)
            case "tool_use", "server_tool_use", "mcp_tool_use":
                guard let name = block["name"]?.words else { throw RecordRejection("a call has no name") }
                reply.calls.append(
                    Dialogue.Call(id: block["id"]?.words, name: name, arguments: block["input"] ?? [:]))
            case _ where type.hasSuffix("_tool_result"):
                results.append(
                    .result(
                        Dialogue.Result(
                            call: block["tool_use_id"]?.string, text: (block["content"] ?? .null).jsonText,
                            isError: block["content"]?["error_code"] != nil)))
            default: throw .multimodal(type.shown(upTo: 40), in: "a turn of the model")
            }
        }
        let said = try ReplyText.reply(words.filter { !$0.isEmpty }.joined(separator: "\n\n"))
        reply.text = said.text
        reply.calls = said.calls + reply.calls
        reply.thought = (thoughts + [said.thought]).filter { !$0.isEmpty }.joined(separator: "\n")
        return [.reply(reply)] + results
    }

    /// The tokens of a reply; those read from the cache were part of the prompt.
    static func usage(_ value: JSONValue?) -> Usage {
        func count(_ name: String) -> Int { value?[name]?.count ?? 0 }
        return Usage(
            promptTokens: count("input_tokens") + count("cache_creation_input_tokens")
                + count("cache_read_input_tokens"),
            completionTokens: count("output_tokens"))
    }
}
