import RetortCore

/// The keys that readers have asked for, and what belongs at each. They are learned while reading, so a description of
/// the keys always agrees with what is read.
package final class YAMLKeys {
    /// What may stand at a key.
    package enum Kind: Hashable {
        case text, texts, flag
        case integer(ClosedRange<Int>)
        case number(ClosedRange<Double>)
        case choice([String])
        /// One mapping of known keys, or a list of such mappings.
        case mapping, mappings
        /// A text in place of the mapping, for one or for each of a list.
        case textOrMapping, textsOrMappings
        /// A mapping from the user's own names to such mappings, or to texts or such mappings.
        case table, named
    }

    /// In the order in which they were first noted.
    package private(set) var kinds: [Kind] = []
    /// The value where the key is not given; nil where there is none, or it depends on other keys.
    package private(set) var fallback: JSONValue?
    /// The keys of the mapping here, or of each of several.
    package private(set) var members: [String: YAMLKeys] = [:]
    /// Whether a mapping here was read.
    package private(set) var isOpened = false

    /// Whether a reader asked if the key is present: a default that it names afterwards is only a placeholder.
    private var isOptional = false

    package init() {}

    func noteOptional(_ key: String) {
        note(key)
        members[key]?.isOptional = true
        members[key]?.fallback = nil
    }

    func note(_ key: String, _ kind: Kind? = nil, _ fallback: JSONValue? = nil) {
        let keys = members[key] ?? YAMLKeys()
        members[key] = keys
        if let kind, !keys.kinds.contains(kind) { keys.kinds.append(kind) }
        if let fallback, !keys.isOptional { keys.fallback = fallback }
    }

    func opened(_ key: String) -> YAMLKeys? {
        members[key]?.isOpened = true
        return members[key]
    }

    /// Paths where a mapping was asked for but none was read, or whose kind is unknown: these must still be read before
    /// the description is complete.
    package func unexplored(_ path: String = "") -> [String] {
        members.sorted { $0.key < $1.key }.flatMap { name, keys in
            let own = path.isEmpty ? name : "\(path).\(name)"
            let wants = keys.kinds.contains { $0.holdsMapping } && !keys.isOpened
            return (wants || keys.kinds.isEmpty ? [own] : []) + keys.unexplored(own)
        }
    }

    /// The mapping as a JSON schema (draft 2020-12), for editors.
    package var schema: JSONValue {
        [
            "type": "object", "additionalProperties": .bool(false),
            "properties": .object(members.filter { !$0.value.kinds.isEmpty }.mapValues(\.value)),
        ]
    }

    private var value: JSONValue {
        var schemas = kinds.map(schema)
        // A number that may also be a word is allowed in either form.
        if schemas.isEmpty { schemas = [[:]] }
        var whole: [String: JSONValue] = schemas.count == 1 ? schemas[0].object ?? [:] : ["anyOf": .array(schemas)]
        if let fallback { whole["default"] = fallback }
        return .object(whole)
    }

    private func schema(_ kind: Kind) -> JSONValue {
        let text: JSONValue = ["type": ["string", "number", "boolean"]]
        switch kind {
        case .text: return text
        case .texts: return ["type": "array", "items": text]
        case .flag: return ["type": "boolean"]
        case .integer(let range):
            var members: [String: JSONValue] = ["type": "integer", "minimum": .integer(range.lowerBound)]
            if range.upperBound != .max { members["maximum"] = .integer(range.upperBound) }
            return .object(members)
        case .number(let range):
            return ["type": "number", "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound)]
        case .choice(let words): return ["enum": .array(words.map(JSONValue.string))]
        case .mapping: return schema
        case .mappings: return ["type": "array", "items": schema]
        case .textOrMapping: return ["anyOf": [text, schema]]
        case .textsOrMappings:
            return ["anyOf": [text, schema, ["type": "array", "items": ["anyOf": [text, schema]]]]]
        case .table: return ["type": "object", "additionalProperties": schema]
        case .named: return ["type": "object", "additionalProperties": ["anyOf": [text, schema]]]
        }
    }

    /// A line for each key: its path, what belongs there, and its default.
    package func lines(_ path: String = "") -> [String] {
        members.sorted { $0.key < $1.key }.filter { !$0.value.kinds.isEmpty }.flatMap { name, keys in
            let own = path.isEmpty ? name : "\(path).\(name)"
            let words = keys.kinds.map(\.words).joined(separator: ", or ")
            let fallback = keys.fallback.map { "  (\($0.text))" } ?? ""
            return ["\(own)  \(words)\(fallback)"] + keys.lines(own)
        }
    }

    /// The keys under a path such as `training.agent`; nil where there are none.
    package func under(_ path: some Sequence<Substring>) -> YAMLKeys? {
        path.reduce(self as YAMLKeys?) { keys, name in keys?.members[String(name)] }
    }
}

extension YAMLKeys.Kind {
    fileprivate var holdsMapping: Bool {
        switch self {
        case .text, .texts, .flag, .integer, .number, .choice: false
        case .mapping, .mappings, .textOrMapping, .textsOrMappings, .table, .named: true
        }
    }

    fileprivate var words: String {
        switch self {
        case .text: "a text"
        case .texts: "a list of texts"
        case .flag: "true or false"
        case .integer(let range):
            range.upperBound == .max
                ? "a whole number from \(range.lowerBound)"
                : "a whole number, \(range.lowerBound) to \(range.upperBound)"
        case .number(let range):
            "a number, \(JSONValue.number(range.lowerBound).text) to \(JSONValue.number(range.upperBound).text)"
        case .choice(let words): words.joined(separator: " | ")
        case .mapping: "keys"
        case .mappings: "a list of keys"
        case .textOrMapping: "a text, or keys"
        case .textsOrMappings: "a text, keys, or a list of these"
        case .table: "names of your own, each with keys"
        case .named: "names of your own, each with a text or keys"
        }
    }
}
