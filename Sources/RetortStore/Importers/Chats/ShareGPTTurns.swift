import RetortCore

/// ShareGPT's turns, `{"from", "value"}`, including the calls that LLaMA-Factory and Hermes write in them.
enum ShareGPTTurns {
    private static let keys = RecordKeys(
        "a turn", read: ["from", "value"] + LearnedTurns.keys, harmless: ["id", "markdown", "generated"])

    static func entries(_ turns: [JSONValue], _ notes: inout RecordNotes) throws(RecordRejection) -> [Dialogue.Entry] {
        var entries: [Dialogue.Entry] = []
        for turn in turns {
            keys.check(turn, &notes)
            try OpenAIMessages.refuseMedia(in: turn, owner: "a turn")
            guard let value = turn["value"] else { throw RecordRejection("a turn has no 'value'") }
            let text = try OpenAIMessages.text(value, of: "a turn", &notes)
            let from = (turn["from"]?.string ?? "").lowercased().replacing("-", with: "_")
            switch from {
            case "system": entries.append(.system(text))
            case "human", "user": entries.append(.user(text))
            case "gpt", "assistant", "model", "bot", "chatgpt", "bing", "bard":
                entries.append(.reply(try marked(ReplyText.reply(text), turn)))
            case "function_call", "tool_call": entries.append(.reply(try marked(calls(text), turn)))
            case _ where Dialogue.tellsResults(from):
                entries += ReplyText.results(text).map { .result(Dialogue.Result(call: nil, text: $0)) }
            default: throw RecordRejection("a turn is from '\(from.shown(upTo: 40))', whom no chat has")
            }
        }
        return entries
    }

    private static func marked(_ reply: Dialogue.Reply, _ turn: JSONValue) throws(RecordRejection) -> Dialogue.Reply {
        var reply = reply
        reply.isLearned = try LearnedTurns.mark(of: turn)
        return reply
    }

    /// A call or a list of them, after a thought in `<think>`.
    private static func calls(_ text: String) throws(RecordRejection) -> Dialogue.Reply {
        let (thought, rest) = ReplyText.thinking(text)
        var reply = try ReplyText.reply(rest)
        if reply.calls.isEmpty {
            let value = try? ExactJSON.value(of: rest.trimmingBlanks)
            let calls = (value?.array ?? [value ?? .null]).map(ReplyText.call)
            guard !calls.isEmpty, calls.allSatisfy({ $0 != nil }) else {
                throw RecordRejection("a function_call holds no object with a name and arguments")
            }
            reply = Dialogue.Reply(calls: calls.compactMap(\.self))
        }
        reply.thought = [thought, reply.thought].filter { !$0.isEmpty }.joined(separator: "\n")
        return reply
    }
}
