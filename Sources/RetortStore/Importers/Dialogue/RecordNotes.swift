import RetortCore

/// What a reader says of a record beside its trajectory.
struct RecordNotes: Equatable {
    /// What was put right, by name.
    var repairs: Set<String> = []
    /// What stands in the record and was not read, by name.
    var unread: Set<String> = []
}

/// A record that becomes no trajectory, and why.
struct RecordRejection: Error, Equatable, CustomStringConvertible {
    let reason: String

    init(_ reason: String) { self.reason = reason }

    var description: String { reason }

    /// Content that no trajectory has room for.
    static func multimodal(_ type: String, in owner: String) -> RecordRejection {
        RecordRejection("\(owner) holds content of type '\(type)'; a trajectory holds text")
    }
}

/// The names that an object of a format has. Any other is told, so that no key is passed over in silence.
struct RecordKeys: Sendable {
    private let owner: String
    private let known: Set<String>

    /// - Parameters:
    ///   - owner: whose names they are, such as `a message`.
    ///   - read: those that become part of the trajectory.
    ///   - harmless: those that say nothing about what happened, such as identifiers and times.
    init(_ owner: String, read: [String], harmless: [String] = []) {
        self.owner = owner
        known = Set(read).union(harmless)
    }

    /// Notes the names that are not known. One without a value says nothing.
    func check(_ value: JSONValue, _ notes: inout RecordNotes) {
        for (name, member) in value.object ?? [:] where !known.contains(name) && !member.isVoid {
            notes.unread.insert("'\(name)' of \(owner)")
        }
    }
}

extension JSONValue {
    /// Whether a member with this value says no more than one that is absent.
    var isVoid: Bool {
        switch self {
        case .null, .string(""): true
        case .array(let elements): elements.isEmpty
        case .object(let members): members.isEmpty
        case .bool, .integer, .number, .string: false
        }
    }

    /// The text, unless it is empty.
    var words: String? { string.flatMap { $0.isEmpty ? nil : $0 } }

    /// A count of tokens; 0 when there is none.
    var count: Int {
        switch self {
        case .integer(let count): count
        case .number(let count): Int(exactly: count.rounded()) ?? 0
        default: 0
        }
    }
}
