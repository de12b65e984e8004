import RetortCore

/// Reads chat messages in OpenAI's form, with the variations that trainers and agents use, as dialogue entries.
package enum OpenAIMessages {
    private static let keys = RecordKeys(
        "a message",
        read: [
            "role", "content", "tool_calls", "tool_call_id", "function_call", "refusal", "reasoning_content",
            "reasoning",
            "thinking",
        ] + LearnedTurns.keys,
        harmless: ["id", "annotations", "index", "created_at", "timestamp", "cache_control", "status", "object"])
    private static let callKeys = RecordKeys(
        "a call", read: ["id", "type", "function", "custom", "name", "arguments"], harmless: ["index", "status"])
    private static let functionKeys = RecordKeys(
        "a call's function", read: ["name", "arguments"], harmless: ["description"])

    /// The entries of messages.
    /// - Returns: one list for each message.
    static func entries(
        _ messages: [JSONValue], _ notes: inout RecordNotes
    ) throws(RecordRejection) -> [[Dialogue.Entry]] {
        var entries: [[Dialogue.Entry]] = []
        for message in messages { entries.append(try self.entries(of: message, &notes)) }
        return entries
    }

    /// Whether a turn of smolagents only repeats, as a call, the program of the turn before it.
    static func isRetelling(_ message: JSONValue, of turn: JSONValue) -> Bool {
        var unread = RecordNotes()
        guard role(of: message) == "tool-call", role(of: turn) == "assistant",
            let said = try? text(turn["content"], of: "a message", &unread),
            let told = try? text(message["content"], of: "a message", &unread),
            let program = ReplyText.program(retold: told)
        else { return false }
        return said.replacing("\r\n", with: "\n").contains(program.trimmingBlanks)
    }

    private static func entries(
        of message: JSONValue, _ notes: inout RecordNotes
    ) throws(RecordRejection) -> [Dialogue.Entry] {
        guard message.object != nil else { throw RecordRejection("a message is no object") }
        let role = role(of: message)
        try refuseMedia(in: message, owner: "a message")
        keys.check(without(message, ["name"], when: ["tool", "function"].contains(role)), &notes)
        let content = try text(message["content"], of: "a message", &notes)
        switch role {
        case "system", "developer": return [.system(content)]
        case "user", "human": return [.user(content)]
        case "assistant", "model", "gpt", "bot": return [.reply(try reply(message, content, &notes))]
        case "tool-call", "function-call":
            return [.reply(try calls(told: content)).marked(try LearnedTurns.mark(of: message))]
        case _ where Dialogue.tellsResults(role):
            return ReplyText.results(content).map {
                .result(Dialogue.Result(call: message["tool_call_id"]?.words, name: message["name"]?.words, text: $0))
            }
        default: throw RecordRejection("a message has the role '\(role.shown(upTo: 40))', which no chat has")
        }
    }

    /// Members with pictures, sounds and films beside a text.
    private static let media = ["images", "image", "videos", "video", "audios", "audio"]

    /// - Throws: `RecordRejection` for a record or a message with content beside its text.
    static func refuseMedia(in value: JSONValue, owner: String) throws(RecordRejection) {
        for name in media where value[name]?.isVoid == false { throw .multimodal(name, in: owner) }
    }

    private static func role(of message: JSONValue) -> String {
        var role = message["role"]?.string ?? ""
        if role.hasPrefix("MessageRole.") { role = String(role.dropFirst("MessageRole.".count)) }
        return role.lowercased().replacing("_", with: "-")
    }

    private static func without(_ message: JSONValue, _ names: [String], when condition: Bool) -> JSONValue {
        guard condition, let members = message.object else { return message }
        return .object(members.filter { !names.contains($0.key) })
    }

    /// The text of a message's content, which may be a text, nothing, or a list of text parts.
    static func text(
        _ content: JSONValue?, of owner: String, _ notes: inout RecordNotes
    ) throws(RecordRejection) -> String {
        switch content {
        case nil, .null: return ""
        case .string(let text): return text
        case .array(let parts):
            var texts: [String] = []
            for part in parts { texts.append(try text(ofPart: part, of: owner, &notes)) }
            return texts.joined()
        case .bool, .integer, .number, .object:
            // Some write tools' results as JSON.
            return content?.jsonText ?? ""
        }
    }

    private static func text(
        ofPart part: JSONValue, of owner: String, _ notes: inout RecordNotes
    ) throws(RecordRejection) -> String {
        if let text = part.string { return text }
        let type = part["type"]?.string ?? (part["text"] == nil ? "unknown" : "text")
        switch type {
        case "text", "input_text", "output_text":
            RecordKeys(
                "a part of a message", read: ["type", "text"], harmless: ["annotations", "cache_control", "logprobs"]
            )
            .check(part, &notes)
            guard let text = part["text"]?.string else {
                throw RecordRejection("\(owner) has a text part without text")
            }
            return text
        case "refusal": return part["refusal"]?.string ?? ""
        default: throw .multimodal(type.shown(upTo: 40), in: owner)
        }
    }

    private static func reply(
        _ message: JSONValue, _ content: String, _ notes: inout RecordNotes
    ) throws(RecordRejection) -> Dialogue.Reply {
        var reply = try ReplyText.reply(content)
        let thought = message["reasoning_content"]?.words ?? message["reasoning"]?.words ?? message["thinking"]?.words
        if let thought { reply.thought = [thought, reply.thought].filter { !$0.isEmpty }.joined(separator: "\n") }
        reply.refusal = message["refusal"]?.words
        reply.isLearned = try LearnedTurns.mark(of: message)
        for name in ["tool_calls", "function_call"] {
            for call in try listed(message[name], name) { reply.calls.append(try self.call(call, &notes)) }
        }
        return reply
    }

    /// The calls of a message: a list or a single one, as JSON or as its text.
    private static func listed(_ calls: JSONValue?, _ name: String) throws(RecordRejection) -> [JSONValue] {
        switch calls {
        case nil, .null: return []
        case .array(let calls): return calls
        case .object(let members): return members.isEmpty ? [] : [.object(members)]
        case .string(let text):
            guard text.contains(where: { !$0.isWhitespace }) else { return [] }
            let value = (try? ExactJSON.value(of: text)) ?? PythonText.value(of: text)
            if let value, value.string == nil { return try listed(value, name) }
            throw RecordRejection("'\(name)' is a text other than JSON")
        case .bool, .integer, .number: throw RecordRejection("'\(name)' is neither a call nor a list of calls")
        }
    }

    static func call(_ call: JSONValue, _ notes: inout RecordNotes) throws(RecordRejection) -> Dialogue.Call {
        callKeys.check(call, &notes)
        if let custom = call["custom"], let name = custom["name"]?.words {
            return Dialogue.Call(id: call["id"]?.string, name: name, arguments: ["input": custom["input"] ?? ""])
        }
        let function = call["function"] ?? call
        if call["function"] != nil { functionKeys.check(function, &notes) }
        guard var made = ReplyText.call(function) else { throw RecordRejection("a call has no name") }
        made.id = call["id"]?.words
        return made
    }

    /// Turns of ms-swift and smolagents that contain only a call.
    private static func calls(told content: String) throws(RecordRejection) -> Dialogue.Reply {
        let reply = try ReplyText.reply(content)
        if !reply.calls.isEmpty || ReplyText.program(retold: content) != nil { return reply }
        guard let call = ReplyText.call(content) else {
            throw RecordRejection("a turn that is a call holds no object with a name and arguments")
        }
        return Dialogue.Reply(calls: [call])
    }
}
