import RetortCore

/// Reads which of the model's turns are learned from, as files of chats mark it.
enum LearnedTurns {
    /// Marks of a single turn: `weight`, 0 or 1 (OpenAI's fine-tuning), `train` or `training` (Axolotl) and `loss`
    /// (ms-swift), true or false.
    static let keys = ["weight", "train", "training", "loss"]
    /// Members of a record that apply to all its turns: `supervision` is `all_assistant` or `last_assistant_only`, and
    /// `target_assistant_turn_index` counts the model's turns from 0.
    static let recordKeys = ["supervision", "target_assistant_turn_index"]

    /// A turn's own mark: false when it is not learned from; nil without a mark, or when it is learned from.
    static func mark(of turn: JSONValue) throws(RecordRejection) -> Bool? {
        var isLearned: Bool?
        for key in keys {
            switch turn[key] {
            case nil, .null, .bool(true), .integer(1), .number(1): continue
            case .bool(false), .integer(0), .number(0): isLearned = false
            case let value?:
                throw RecordRejection(
                    "'\(key)' of a turn is \(value.jsonText.shown(upTo: 40)) and not 0, 1, true or false")
            }
        }
        return isLearned
    }

    /// Marks the turns that a record's own members exclude.
    static func follow(_ record: [String: JSONValue], _ dialogue: inout Dialogue) throws(RecordRejection) {
        let replies = dialogue.entries.indices.filter { if case .reply = dialogue.entries[$0] { true } else { false } }
        var chosen = Set(replies)
        switch record["supervision"] {
        case nil, .null, .string("all_assistant"), .string("all"): break
        case .string("last_assistant_only"): chosen = Set(replies.suffix(1))
        case let value?:
            let text = value.jsonText.shown(upTo: 40)
            throw RecordRejection(
                "'supervision' is \(text), which is not known; 'last_assistant_only' and 'all_assistant' are")
        }
        switch record["target_assistant_turn_index"] {
        case nil, .null: break
        case .integer(let index) where replies.indices.contains(index): chosen.formIntersection([replies[index]])
        case let value?:
            let text = value.jsonText.shown(upTo: 40)
            throw RecordRejection(
                "'target_assistant_turn_index' is \(text), and the model takes \(replies.count) turns")
        }
        if chosen.isEmpty, !replies.isEmpty {
            throw RecordRejection(
                "'target_assistant_turn_index' is not the last turn, the only one that 'supervision' names")
        }
        for index in replies where !chosen.contains(index) { dialogue.entries[index].leaveOut() }
    }
}

extension Dialogue.Entry {
    /// Shows the model's turn without learning from it.
    fileprivate mutating func leaveOut() { self = marked(false) }

    /// The same turn of the model with a mark of its own; other entries as they are.
    func marked(_ isLearned: Bool?) -> Dialogue.Entry {
        guard case .reply(var reply) = self else { return self }
        reply.isLearned = isLearned
        return .reply(reply)
    }
}
