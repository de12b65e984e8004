import Foundation
import RetortCore

/// A `config.json` or `adapter_config.json`, read setting by setting; every error names the file.
struct ConfigurationFields {
    let all: [String: JSONValue]
    let path: String

    init(_ file: URL) throws {
        guard let fields = try CheckpointJSON.object(file) else { throw CheckpointError.missing(file: file.path) }
        (all, path) = (fields, file.path)
    }

    /// - Parameter path: the file name in errors.
    init(_ all: [String: JSONValue], path: String) { (self.all, self.path) = (all, path) }

    var architecture: String { Self.architecture(of: all) }

    static func architecture(of fields: [String: JSONValue]) -> String {
        fields["architectures"]?.array?.first?.string ?? fields["model_type"]?.string ?? "none"
    }

    /// - Parameter expected: what the setting should be, such as `an integer`.
    func wrong(_ name: String, _ expected: String) -> CheckpointError {
        let value = ExactJSON.text(all[name] ?? .null)
        let shown = value.count > 60 ? value.prefix(60) + "…" : value[...]
        return .wrongSetting(file: path, name: name, value: String(shown), expected: expected)
    }

    func malformed(_ what: String) -> CheckpointError { .malformed(file: path, what) }

    func unsupported(_ what: String) -> CheckpointError { .unsupported(file: path, what) }

    /// A setting's value; nil when it is missing or null.
    subscript(_ name: String) -> JSONValue? {
        if case .null = all[name] { nil } else { all[name] }
    }

    func optionalInteger(_ name: String) throws -> Int? {
        switch self[name] {
        case nil: return nil
        case .integer(let value): return value
        default: throw wrong(name, "an integer")
        }
    }

    func integer(_ name: String, default fallback: Int? = nil) throws -> Int {
        guard let value = try optionalInteger(name) ?? fallback else { throw malformed("it lacks '\(name)'") }
        return value
    }

    func number(_ name: String, default fallback: Double) throws -> Double {
        guard let value = self[name] else { return fallback }
        guard let number = value.double, number.isFinite else { throw wrong(name, "a number") }
        return number
    }

    /// A number that a file can also turn off: `null` is nil, and only a missing field takes the default.
    func optionalNumber(_ name: String, default fallback: Double?) throws -> Double? {
        switch all[name] {
        case nil: fallback
        case .null: nil
        case _?: try number(name, default: 0)
        }
    }

    func flag(_ name: String, default fallback: Bool = false) throws -> Bool {
        switch self[name] {
        case nil: return fallback
        case .bool(let value): return value
        default: throw wrong(name, "true or false")
        }
    }

    func text(_ name: String) throws -> String? {
        guard let value = self[name] else { return nil }
        guard let text = value.string else { throw wrong(name, "a text") }
        return text
    }

    /// Refuses settings that may be missing, but not null.
    func refuseNulls(_ names: [String], expected: String) throws {
        for name in names where all[name] == .null { throw wrong(name, expected) }
    }

    /// A list of texts; a single text counts as a list of one.
    func texts(_ name: String) throws -> [String] {
        guard let value = self[name] else { return [] }
        let list = value.array ?? [value]
        let texts = list.compactMap(\.string)
        guard texts.count == list.count else { throw wrong(name, "a list of names") }
        return texts
    }

    /// The members of an object; empty when it is missing or null.
    func members(_ name: String) throws -> [String: JSONValue] {
        guard let value = self[name] else { return [:] }
        guard let members = value.object else { throw wrong(name, "an object") }
        return members
    }

    /// Refuses settings that change something, and unknown ones.
    /// - Parameters:
    ///   - known: settings that are read, or change nothing whatever their value.
    ///   - fixed: settings that change nothing when they have one of these values.
    func refuse(allBut known: Set<String>, and fixed: [String: [JSONValue]]) throws {
        for (name, value) in all.sorted(by: { $0.key < $1.key }) where !known.contains(name) {
            if case .null = value { continue }
            guard let neutral = fixed[name] else { throw CheckpointError.unknownSetting(file: path, name) }
            guard neutral.contains(where: { $0 == value || $0.double.map { $0 == value.double } ?? false }) else {
                throw unsupported("'\(name)' with the value \(ExactJSON.text(value))")
            }
        }
    }
}

extension JSONValue {
    /// The value as a number, whether it is written with a fraction or not.
    var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}
