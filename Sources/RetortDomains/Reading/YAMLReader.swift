import Foundation
import Yams

/// Reads a YAML mapping key by key, and collects its faults with their places.
///
/// Every fault is collected, so that a recipe can be corrected in one go; meanwhile a faulty value reads as its
/// default.
package final class YAMLReader {
    /// The faults that all readers of a file have found.
    package final class Faults {
        package var list: [RecipeError.Fault] = []

        package init() {}
    }

    private let node: Node
    private let faults: Faults
    private var known: [String] = []
    /// Where the keys asked for are noted; nil notes them nowhere.
    private let keys: YAMLKeys?

    package init(_ node: Node, faults: Faults, noting keys: YAMLKeys? = nil) {
        self.keys = keys
        let (merged, refused) = MergeKeys.merged(node)
        self.node = merged
        self.faults = faults
        for (message, node) in refused { fault(message, at: node) }
        if node.mapping == nil { fault("a mapping of keys to values belongs here", at: node) }
    }

    private func fault(_ message: String, at node: Node) {
        let mark = node.mark ?? self.node.mark
        let fault = RecipeError.Fault(line: mark?.line ?? 1, column: mark?.column ?? 1, message: message)
        // A mapping that a YAML alias uses again is read once for each use.
        if !faults.list.contains(fault) { faults.list.append(fault) }
    }

    private func value(_ key: String) -> Node? {
        known.append(key)
        keys?.note(key)
        return node.mapping?[key]
    }

    /// Whether the mapping has a key; asking makes the key a known one.
    package func has(_ key: String) -> Bool {
        keys?.noteOptional(key)
        return value(key) != nil
    }

    /// A required text.
    package func string(_ key: String) -> String {
        keys?.note(key, .text)
        guard let found = value(key) else {
            fault("'\(key)' is missing", at: node)
            return ""
        }
        return scalar(found, key, "a text") { $0.string } ?? ""
    }

    /// A required text that becomes a folder's name.
    /// - Parameter others: characters that it must not hold besides those that no folder's name has.
    package func folderName(_ key: String, without others: String = "") -> String {
        let name = string(key)
        guard let found = node.mapping?[key], found.string != nil, !Self.isNull(found) else { return name }
        let isBroken =
            name.contains { $0.isNewline || others.contains($0) }
            || name.unicodeScalars.contains { $0 == "/" || $0.properties.generalCategory == .control }
        let hasBlankEnd = name.first?.isWhitespace != false || name.last?.isWhitespace != false
        if isBroken || hasBlankEnd || name.hasPrefix(".") {
            let marks = ("/" + others).map { "'\($0)'" }.joined(separator: ", ")
            fault(
                "'\(key)' is a folder's and must not be empty, hold \(marks) or line breaks, begin with '.', or begin or "
                    + "end with a blank", at: found)
        }
        return name
    }

    package func string(_ key: String, default fallback: String) -> String {
        keys?.note(key, .text, fallback.isEmpty ? nil : .string(fallback))
        return value(key).flatMap { scalar($0, key, "a text") { $0.string } } ?? fallback
    }

    package func optionalString(_ key: String) -> String? {
        keys?.note(key, .text)
        return value(key).flatMap { scalar($0, key, "a text") { $0.string } }
    }

    /// The text at a key that may also hold something else; nil when it is not a text, or missing.
    package func textIfAny(_ key: String) -> String? {
        keys?.note(key, .text)
        guard let found = value(key), found.scalar != nil, found.int == nil, !Self.isNull(found) else { return nil }
        return found.string
    }

    /// A whole number within a range.
    package func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int> = 0...Int.max) -> Int {
        keys?.note(key, .integer(range), .integer(fallback))
        guard let found = value(key), let number = scalar(found, key, "a whole number", { $0.int }) else {
            return fallback
        }
        guard range.contains(number) else {
            let limit =
                range.upperBound == .max ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
            fault("'\(key)' must be \(limit), not \(number)", at: found)
            return fallback
        }
        return number
    }

    /// A number within a range.
    package func number(_ key: String, default fallback: Double, in range: ClosedRange<Double> = 0...1e12) -> Double {
        keys?.note(key, .number(range), .number(fallback))
        guard let found = value(key), let number = scalar(found, key, "a number", { $0.float }) else { return fallback }
        guard range.contains(number) else {
            fault("'\(key)' must be from \(range.lowerBound) to \(range.upperBound), not \(number)", at: found)
            return fallback
        }
        return number
    }

    /// True or false.
    package func flag(_ key: String, default fallback: Bool) -> Bool {
        keys?.note(key, .flag, .bool(fallback))
        return value(key).flatMap { scalar($0, key, "true or false") { $0.bool } } ?? fallback
    }

    /// One of some words; nil when the key is missing.
    package func choice<Choice: RawRepresentable & CaseIterable>(_ key: String) -> Choice?
    where Choice.RawValue == String {
        keys?.note(key, .choice(Choice.allCases.map(\.rawValue)))
        guard value(key) != nil, let first = Choice.allCases.first else { return nil }
        return choice(key, default: first)
    }

    /// One of a set of words.
    package func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, default fallback: Choice
    ) -> Choice where Choice.RawValue == String {
        keys?.note(key, .choice(Choice.allCases.map(\.rawValue)), .string(fallback.rawValue))
        guard let found = value(key) else { return fallback }
        guard let choice = found.string.flatMap(Choice.init(rawValue:)) else {
            let words = Choice.allCases.map(\.rawValue)
            let hint = Self.nearest(found.string ?? "", among: words).map { " (did you mean '\($0)'?)" } ?? ""
            fault("'\(key)' must be one of \(words.joined(separator: ", "))\(hint)", at: found)
            return fallback
        }
        return choice
    }

    /// A list of texts.
    package func strings(_ key: String) -> [String]? {
        keys?.note(key, .texts)
        guard let found = value(key) else { return nil }
        guard let list = found.sequence, list.allSatisfy({ $0.string != nil && !Self.isNull($0) }) else {
            fault("'\(key)' must be a list of texts", at: found)
            return nil
        }
        return list.compactMap(\.string)
    }

    /// A nested mapping; nil when the key is missing.
    package func mapping<Result>(_ key: String, _ read: (YAMLReader) -> Result) -> Result? {
        keys?.note(key, .mapping)
        return value(key).map { nested($0, key, read) }
    }

    /// A list of mappings; empty when the key is missing.
    package func list<Result>(_ key: String, _ read: (YAMLReader) -> Result) -> [Result] {
        keys?.note(key, .mappings)
        guard let found = value(key) else { return [] }
        guard let elements = found.sequence else {
            fault("'\(key)' must be a list", at: found)
            return []
        }
        return elements.map { nested($0, key, read) }
    }

    /// A text, a mapping, or a list of these.
    package func oneOrMore<Result>(_ key: String, text: (String) -> Result, mapping: (YAMLReader) -> Result)
        -> [Result]
    {
        keys?.note(key, .textsOrMappings)
        guard let found = value(key) else { return [] }
        return (found.sequence.map(Array.init) ?? [found]).compactMap { node in
            node.mapping != nil ? nested(node, key, mapping) : scalar(node, key, "a text") { $0.string }.map(text)
        }
    }

    /// A mapping whose keys are the user's own names.
    package func table<Result>(_ key: String, _ read: (YAMLReader) -> Result) -> [String: Result] {
        keys?.note(key, .table)
        guard let found = value(key) else { return [:] }
        guard let mapping = found.mapping else {
            fault("'\(key)' must be a mapping", at: found)
            return [:]
        }
        return mapping.reduce(into: [:]) { table, entry in
            if let name = entry.key.string { table[name] = nested(entry.value, key, read) }
        }
    }

    /// A mapping from the user's own names to texts or mappings, in the file's order.
    package func named<Result>(
        _ key: String, text: (String) -> Result, mapping: (YAMLReader) -> Result
    ) -> [(name: String, value: Result)] {
        keys?.note(key, .named)
        guard let found = value(key) else { return [] }
        guard let members = found.mapping else {
            fault("'\(key)' must be a mapping", at: found)
            return []
        }
        return members.compactMap { member in
            guard let name = member.key.string else { return nil }
            let result =
                member.value.mapping != nil
                ? nested(member.value, key, mapping)
                : scalar(member.value, name, "a text or a mapping") { $0.string }.map(text)
            return result.map { (name, $0) }
        }
    }

    /// A text or a mapping; nil when the key is missing.
    package func either<Result>(_ key: String, text: (String) -> Result, mapping: (YAMLReader) -> Result) -> Result? {
        keys?.note(key, .textOrMapping)
        guard let found = value(key) else { return nil }
        if found.mapping != nil { return nested(found, key, mapping) }
        return scalar(found, key, "a text or a mapping") { $0.string }.map(text)
    }

    private func nested<Result>(_ node: Node, _ key: String, _ read: (YAMLReader) -> Result) -> Result {
        let reader = YAMLReader(node, faults: faults, noting: keys?.opened(key))
        let result = read(reader)
        reader.finish()
        return result
    }

    /// Reports a fault that the caller found, at a key.
    package func refuse(_ key: String, _ message: String) { fault(message, at: node.mapping?[key] ?? node) }

    /// Reports the keys that no reader asked for.
    package func finish() {
        for (key, _) in node.mapping ?? [:] {
            let name = key.string ?? ""
            guard !known.contains(name) else { continue }
            let hint =
                Self.nearest(name, among: known).map { "; did you mean '\($0)'?" }
                ?? "; known here: \(Set(known).sorted().joined(separator: ", "))"
            fault("unknown key '\(name)'\(hint)", at: key)
        }
    }

    private func scalar<Value>(_ node: Node, _ key: String, _ what: String, _ read: (Node) -> Value?) -> Value? {
        guard !Self.isNull(node) else {
            fault("'\(key)' has no value; give it one, or leave the key out", at: node)
            return nil
        }
        guard node.scalar != nil, let value = read(node) else {
            fault("'\(key)' must be \(what)", at: node)
            return nil
        }
        return value
    }

    /// Whether a node is YAML's null: nothing, `~` or `null` without quotation marks.
    private static func isNull(_ node: Node) -> Bool {
        guard let scalar = node.scalar, scalar.style == .plain || scalar.style == .any else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// The known word that a misspelt one most likely stands for; nil when none is close.
    package static func nearest(_ word: String, among words: [String]) -> String? {
        let ranked = words.map { ($0, distance(Array(word.lowercased()), Array($0.lowercased()))) }
            .min { ($0.1, $0.0) < ($1.1, $1.0) }
        return ranked.flatMap { $0.1 <= max(2, word.count / 3) ? $0.0 : nil }
    }

    /// Levenshtein's edit distance.
    private static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let cost = diagonal + (x == y ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(cost, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }
}
