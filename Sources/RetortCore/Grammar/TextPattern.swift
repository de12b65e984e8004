import Synchronization

/// What a text must look like: a regular expression that is found in it (JSON Schema's `pattern`), or a `format`.
public struct TextPattern: Sendable, Hashable, Comparable {
    /// Which keyword says it.
    enum Keyword: String { case pattern, format }

    let keyword: Keyword
    /// The expression, or the format's name.
    let value: String
    let automaton: PatternAutomaton

    /// - Throws: `JSONSchemaError.unsupported` with the reason.
    init(pattern: String, at path: String) throws {
        keyword = .pattern
        value = pattern
        automaton = try Self.automaton(of: pattern, at: "\(path)/pattern")
    }

    /// What formats a text may have.
    static var formatNames: Set<String> { notes.union(formats.keys) }

    /// A format; nil for one that says nothing of the text.
    /// - Throws: `JSONSchemaError.unsupported` for one that is not known here.
    init?(format: String, at path: String) throws {
        if Self.notes.contains(format) { return nil }
        guard let pattern = Self.formats[format] else {
            throw JSONSchemaError.unsupported(path, keyword: "format: \(format)")
        }
        keyword = .format
        value = format
        automaton = try Self.made.withLock { made in
            if let known = made[format] { return known }
            let automaton = try Self.automaton(of: "^(?:\(pattern))$", at: "\(path)/format")
            made[format] = automaton
            return automaton
        }
    }

    /// Those of formats, which are few.
    private static let made = Mutex<[String: PatternAutomaton]>([:])

    private static func automaton(of pattern: String, at path: String) throws -> PatternAutomaton {
        do {
            return try PatternAutomaton(finding: RegularExpression(pattern))
        } catch let failure {
            throw JSONSchemaError.malformed(path, "'\(pattern)' cannot be used: \(failure.reason)")
        }
    }

    /// Whether both are the same text, byte by byte: how it was read does not matter.
    public static func == (left: Self, right: Self) -> Bool {
        left.keyword == right.keyword && left.value.isSpelled(as: right.value)
    }

    /// By their texts.
    public static func < (left: Self, right: Self) -> Bool {
        guard left.keyword == right.keyword else { return left.keyword.rawValue < right.keyword.rawValue }
        return left.value.utf8.lexicographicallyPrecedes(right.value.utf8)
    }

    /// By the pattern's text.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(keyword)
        hasher.combine(value)
    }

    /// Formats that are for whoever shows the text.
    private static let notes: Set<String> = ["password", "textarea", "text"]

    private static let date =
        #"(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"#
        + #"|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"#
    private static let time =
        #"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"#
    private static let duration =
        #"P(?:\d+W|(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)(?:T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))?"#
        + #"|T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))"#
    private static let octet = #"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"#
    private static let label = #"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"#
    private static let atom = #"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"#

    /// RFC 3339 (dates and times, durations of its appendix A), 9562, 2673, 1123, 5321 without quoted names, 3986's characters.
    private static let formats = [
        "date": date, "time": time, "date-time": "\(date)[Tt]\(time)", "duration": duration,
        "uuid": #"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"#,
        "ipv4": "\(octet)(?:\\.\(octet)){3}", "hostname": "\(label)(?:\\.\(label))*",
        "email": "\(atom)(?:\\.\(atom))*@\(label)(?:\\.\(label))*",
        "uri": #"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"#,
    ]
}
