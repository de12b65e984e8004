import RetortCore

/// Records of chat fine-tuning files: OpenAI's `messages`, prompt and completion, and ShareGPT's `conversations`.
struct ChatRecords: RecordReader {
    enum Form { case messages, promptCompletion, shareGPT }

    let form: Form

    /// Names whose values become part of the trajectory; all other members of a record are kept in
    /// `metadata["record"]`.
    private static let read = Set(
        [
            "messages", "prompt", "completion", "conversations", "tools", "functions", "system", "id", "model",
            "parallel_tool_calls",
        ] + LearnedTurns.recordKeys)
    /// Records of preferences contain two answers, and the reader cannot tell which one happened.
    private static let preferences = [
        ("chosen", "rejected"), ("preferred_output", "non_preferred_output"), ("chosen", "rejected_response"),
    ]

    mutating func trajectories(_ record: JSONValue, _ context: RecordContext) throws(RecordRejection)
        -> [ReadTrajectory]
    {
        guard let members = record.object else { throw RecordRejection("the record is no object") }
        for (left, right) in Self.preferences where members[left] != nil && members[right] != nil {
            throw RecordRejection("the record is a preference ('\(left)' and '\(right)'); give one side as 'messages'")
        }
        var notes = RecordNotes()
        try OpenAIMessages.refuseMedia(in: record, owner: "the record")
        var dialogue = Dialogue()
        dialogue.entries += try Self.instructions(members["system"], &notes)
        dialogue.entries += try entries(members, &notes)
        try LearnedTurns.follow(members, &dialogue)
        var task = context.task(id: members["id"]?.identifier)
        task.model = members["model"]?.words ?? task.model
        task.tools = RecordedTools.documents(of: record, &notes)
        let others = members.filter { !Self.read.contains($0.key) && $0.value != .null }
        if !others.isEmpty { task.metadata["record"] = .object(others) }
        let (trajectory, told) = try task.trajectory(dialogue)
        notes.repairs.formUnion(told.repairs)
        notes.unread.formUnion(told.unread)
        return [ReadTrajectory(trajectory, notes)]
    }

    /// A record's own instructions: a text, or blocks as in Anthropic's requests.
    private static func instructions(
        _ system: JSONValue?, _ notes: inout RecordNotes
    ) throws(RecordRejection) -> [Dialogue.Entry] {
        switch system {
        case nil, .null, .string(""): return []
        case .string(let text): return [.system(text)]
        case .array(let blocks):
            return try blocks.map { block throws(RecordRejection) in
                .system(try OpenAIMessages.text(.array([block]), of: "'system'", &notes))
            }
        default: throw RecordRejection("'system' is neither a text nor a list of text blocks")
        }
    }

    private func entries(
        _ members: [String: JSONValue], _ notes: inout RecordNotes
    ) throws(RecordRejection) -> [Dialogue.Entry] {
        switch form {
        case .messages:
            guard let messages = members["messages"]?.array else { throw RecordRejection("'messages' is no list") }
            return try Self.entries(messages, &notes)
        case .shareGPT:
            guard let turns = members["conversations"]?.array else {
                throw RecordRejection("'conversations' is no list")
            }
            // Some files have OpenAI's messages under ShareGPT's name.
            if turns.allSatisfy({ $0["role"] != nil && $0["from"] == nil }) { return try Self.entries(turns, &notes) }
            return try ShareGPTTurns.entries(turns, &notes)
        case .promptCompletion:
            return try Self.side(members["prompt"], "prompt", &notes) { .user($0) }
                + Self.side(members["completion"], "completion", &notes) { text throws(RecordRejection) in
                    .reply(try ReplyText.reply(text))
                }
        }
    }

    /// Entries of OpenAI's messages, including those whose content consists of Anthropic's blocks.
    static func entries(
        _ messages: [JSONValue], _ notes: inout RecordNotes
    ) throws(RecordRejection) -> [Dialogue.Entry] {
        var entries: [Dialogue.Entry] = []
        for (index, message) in messages.enumerated() {
            if index > 0, OpenAIMessages.isRetelling(message, of: messages[index - 1]) { continue }
            let types = (message["content"]?.array ?? []).compactMap { $0["type"]?.string }
            if types.contains(where: AnthropicMessages.isOwn) {
                try OpenAIMessages.refuseMedia(in: message, owner: "a message")
                let isLearned = try LearnedTurns.mark(of: message)
                entries += try AnthropicMessages.turns(of: message, &notes).map { $0.marked(isLearned) }
            } else {
                entries += try OpenAIMessages.entries([message], &notes).joined()
            }
        }
        return entries
    }

    private static func side(
        _ value: JSONValue?, _ name: String, _ notes: inout RecordNotes,
        _ entry: (String) throws(RecordRejection) -> Dialogue.Entry
    ) throws(RecordRejection) -> [Dialogue.Entry] {
        switch value {
        case .string(let text): return [try entry(text)]
        case .array(let messages): return try entries(messages, &notes)
        case .object: return try entries([value ?? .null], &notes)
        default: throw RecordRejection("'\(name)' is neither a text nor a list of messages")
        }
    }
}

extension JSONValue {
    /// The name that a record gives itself: a text or a number.
    var identifier: String? {
        switch self {
        case .string(let text): text.isEmpty ? nil : text
        case .integer(let number): String(number)
        case .null, .bool, .number, .array, .object: nil
        }
    }
}
