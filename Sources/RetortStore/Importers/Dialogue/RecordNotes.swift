import RetortCore

/// What a reader reports about a record besides its trajectory.
struct RecordNotes: Equatable {
    /// What was corrected, by name.
    var repairs: Set<String> = []
    /// What the record contains and was not read, by name.
    var unread: Set<String> = []
}

/// Why a record becomes no trajectory.
struct RecordRejection: Error, Equatable, CustomStringConvertible {
    let reason: String

    init(_ reason: String) { self.reason = reason }

    var description: String { reason }

    /// The rejection of content that a trajectory cannot hold.
    static func multimodal(_ type: String, in owner: String) -> RecordRejection {
        RecordRejection("\(owner) holds content of type '\(type)'; a trajectory holds text")
    }
}

/// The names that an object of a format may have. Any other name is reported, so that no key is ignored silently.
struct RecordKeys: Sendable {
    private let owner: String
    private let known: Set<String>

    /// - Parameters:
    ///   - owner: the object they belong to, such as `a message`.
    ///   - read: the names that become part of the trajectory.
    ///   - harmless: the names that say nothing about the run, such as identifiers and times.
    init(_ owner: String, read: [String], harmless: [String] = []) {
        self.owner = owner
        known = Set(read).union(harmless)
    }

    /// Notes the unknown names; a name without a value is ignored.
    func check(_ value: JSONValue, _ notes: inout RecordNotes) {
        for (name, member) in value.object ?? [:] where !known.contains(name) && !member.isVoid {
            notes.unread.insert("'\(name)' of \(owner)")
        }
    }
}

extension JSONValue {
    /// Whether a member with this value means the same as an absent one.
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

    /// A count, such as of tokens, within 0…2⁴⁰; 0 when there is none.
    var count: Int {
        let most = 1 << 40
        return switch self {
        case .integer(let count): min(max(count, 0), most)
        case .number(let count): Int(exactly: count.rounded()).map { min(max($0, 0), most) } ?? 0
        default: 0
        }
    }
}
