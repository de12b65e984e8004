import Foundation
import RetortCore

/// A value in a template, as Python has it.
indirect enum JinjaValue {
    case undefined(String)
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case text(MarkedText)
    case list([JinjaValue])
    case dictionary([(key: String, value: JinjaValue)])
    case namespace(JinjaNamespace)
    case function(JinjaFunction)

    static func text(_ string: String) -> JinjaValue { .text(MarkedText(string)) }

    /// The name of its type, for errors.
    var type: String {
        switch self {
        case .undefined: "undefined"
        case .none: "none"
        case .bool: "a boolean"
        case .integer, .float: "a number"
        case .text: "a string"
        case .list: "a list"
        case .dictionary: "a mapping"
        case .namespace: "a namespace"
        case .function: "a function"
        }
    }

    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let bool): bool
        case .integer(let value): value != 0
        case .float(let value): value != 0
        case .text(let text): !text.isEmpty
        case .list(let elements): !elements.isEmpty
        case .dictionary(let members): !members.isEmpty
        case .namespace, .function: true
        }
    }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }

    /// A number as Python sees one, booleans included.
    var number: Double? {
        switch self {
        case .bool(let bool): bool ? 1 : 0
        case .integer(let value): Double(value)
        case .float(let value): value
        default: nil
        }
    }

    var whole: Int? {
        switch self {
        case .bool(let bool): bool ? 1 : 0
        case .integer(let value): value
        default: nil
        }
    }

    subscript(key: String) -> JinjaValue? {
        if case .dictionary(let members) = self { members.first { $0.key == key }?.value } else { nil }
    }

    /// What it looks like in the output: Python's `str`.
    var written: MarkedText {
        switch self {
        case .undefined: MarkedText()
        case .text(let text): text
        default: represented
        }
    }

    /// Python's `repr`.
    private var represented: MarkedText {
        switch self {
        case .undefined: MarkedText("Undefined")
        case .none: MarkedText("None")
        case .bool(let bool): MarkedText(bool ? "True" : "False")
        case .integer(let value): MarkedText(String(value))
        case .float(let value): MarkedText(Self.python(value))
        case .text(let text): Self.quoted(text)
        case .list(let elements):
            MarkedText("[") + Self.joined(elements.map(\.represented), MarkedText(", ")) + MarkedText("]")
        case .dictionary(let members):
            MarkedText("{")
                + Self.joined(
                    members.map { Self.quoted(MarkedText($0.key)) + MarkedText(": ") + $0.value.represented },
                    MarkedText(", ")) + MarkedText("}")
        case .namespace: MarkedText("<Namespace>")
        case .function: MarkedText("<function>")
        }
    }

    private static func quoted(_ text: MarkedText) -> MarkedText {
        let quote = text.scalars.contains("'") && !text.scalars.contains("\"") ? "\"" : "'"
        let body = text.mapping { _, scalar in
            switch scalar {
            case "\\": "\\\\"
            case "\n": "\\n"
            case "\t": "\\t"
            case "\r": "\\r"
            default: String(scalar) == quote ? "\\\(quote)" : String(scalar)
            }
        }
        return MarkedText(quote) + body + MarkedText(quote)
    }

    static func python(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        return "\(value)"
    }

    static func joined(_ parts: [MarkedText], _ separator: MarkedText) -> MarkedText {
        var joined = MarkedText()
        for (index, part) in parts.enumerated() {
            if index > 0 { joined += separator }
            joined += part
        }
        return joined
    }

    /// - Returns: nil when it would be longer than `bound`.
    static func joined(_ parts: [MarkedText], _ separator: MarkedText, within bound: Int) -> MarkedText? {
        let own = parts.reduce(0) { $0 + $1.count }
        let (between, overflows) = parts.count.multipliedReportingOverflow(by: separator.count)
        return overflows || between > bound || own + between > bound ? nil : joined(parts, separator)
    }

    /// Python's `==`.
    func equals(_ other: JinjaValue) -> Bool {
        if let a = number, let b = other.number { return a == b }
        switch (self, other) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.text(let a), .text(let b)): return a == b
        case (.list(let a), .list(let b)): return a.count == b.count && zip(a, b).allSatisfy { $0.equals($1) }
        case (.dictionary(let a), .dictionary(let b)):
            return a.count == b.count && a.allSatisfy { member in other[member.key].map(member.value.equals) ?? false }
        case (.namespace(let a), .namespace(let b)): return a === b
        default: return false
        }
    }

    /// JSON as Python's `json.dumps` writes it, without escaping what is not ASCII.
    /// - Parameter indent: how many blanks a level is moved in, or nil for one line.
    func json(indent: Int?, level: Int = 0) -> MarkedText {
        func enclosed(_ parts: [MarkedText], _ open: String, _ close: String) -> MarkedText {
            guard !parts.isEmpty else { return MarkedText(open + close) }
            guard let indent else { return MarkedText(open) + Self.joined(parts, MarkedText(", ")) + MarkedText(close) }
            let inner = "\n" + String(repeating: " ", count: indent * (level + 1))
            let outer = "\n" + String(repeating: " ", count: indent * level)
            return MarkedText(open + inner) + Self.joined(parts, MarkedText("," + inner)) + MarkedText(outer + close)
        }
        switch self {
        case .undefined, .none, .namespace, .function: return MarkedText("null")
        case .bool(let bool): return MarkedText(bool ? "true" : "false")
        case .integer, .float: return represented
        case .text(let text): return MarkedText("\"") + text.mapping { Self.escaped($1) } + MarkedText("\"")
        case .list(let elements): return enclosed(elements.map { $0.json(indent: indent, level: level + 1) }, "[", "]")
        case .dictionary(let members):
            let parts = members.map { key, value in
                JinjaValue.text(key).json(indent: nil) + MarkedText(": ") + value.json(indent: indent, level: level + 1)
            }
            return enclosed(parts, "{", "}")
        }
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case "\u{8}": "\\b"
        case "\u{C}": "\\f"
        case "\0"..<" ":
            "\\u" + String(repeating: "0", count: scalar.value < 16 ? 3 : 2) + String(scalar.value, radix: 16)
        default: String(scalar)
        }
    }
}

/// What `namespace()` makes: variables that a loop's body can change.
final class JinjaNamespace {
    var members: [String: JinjaValue] = [:]
}

/// Something that can be called.
struct JinjaFunction {
    typealias Arguments = (positional: [JinjaValue], named: [(name: String, value: JinjaValue)])
    let call: (Arguments, inout JinjaInterpreter) throws(JinjaError) -> JinjaValue
}

extension JinjaValue {
    /// A JSON document's value, its objects in order.
    init(_ tree: JSONTree) {
        switch tree {
        case .null: self = .none
        case .bool(let bool): self = .bool(bool)
        case .number(let digits): self = Int(digits).map { .integer($0) } ?? .float(Double(digits) ?? .nan)
        case .string(let bytes): self = .text(String(decoding: bytes, as: UTF8.self))
        case .array(let elements): self = .list(elements.map(JinjaValue.init))
        case .object(let members):
            self = .dictionary(members.map { (String(decoding: $0.name, as: UTF8.self), JinjaValue($0.value)) })
        }
    }
}
