import Foundation
import RetortCore

/// A value in a template, with Python's semantics.
indirect enum JinjaValue {
    case undefined(String)
    case none
    case bool(Bool)
    case integer(Int)
    /// A whole number beyond 64 bits as plain digits: it can be written and compared, but not used in arithmetic.
    case large(String)
    case float(Double)
    case text(MarkedText)
    case list([JinjaValue])
    /// A list that cannot be changed; some have names for their elements.
    case tuple([JinjaValue], names: [String] = [])
    case dictionary([(key: String, value: JinjaValue)])
    case namespace(JinjaNamespace)
    case round(JinjaRound)
    case function(JinjaFunction)

    static func text(_ string: String) -> JinjaValue { .text(MarkedText(string)) }

    /// The name of its type, for errors.
    var type: String {
        switch self {
        case .undefined: "undefined"
        case .none: "none"
        case .bool: "a boolean"
        case .integer, .large, .float: "a number"
        case .text: "a string"
        case .list: "a list"
        case .tuple: "a tuple"
        case .dictionary: "a mapping"
        case .namespace: "a namespace"
        case .round: "a loop"
        case .function: "a function"
        }
    }

    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let bool): bool
        case .integer(let value): value != 0
        case .float(let value): value != 0
        case .large: true
        case .text(let text): !text.isEmpty
        case .list(let elements), .tuple(let elements, _): !elements.isEmpty
        case .dictionary(let members): !members.isEmpty
        case .namespace, .round, .function: true
        }
    }

    /// The elements of a list or a tuple.
    var elements: [JinjaValue]? {
        switch self {
        case .list(let elements), .tuple(let elements, _): elements
        default: nil
        }
    }

    /// The same in lower case if it is a string.
    var ignoringCase: JinjaValue { if case .text(let text) = self { .text(text.lowercased) } else { self } }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }

    /// The value as a number if Python treats it as one; booleans are numbers.
    var number: Double? {
        switch self {
        case .bool(let bool): bool ? 1 : 0
        case .integer(let value): Double(value)
        case .float(let value): value
        case .large(let digits): Double(digits)
        default: nil
        }
    }

    /// Whether it is a whole number, of any size.
    var isWhole: Bool {
        switch self {
        case .integer, .large: true
        default: false
        }
    }

    /// A whole number's digits as Python writes them; nil for any other text.
    static func wholeDigits(_ text: String) -> String? {
        let isNegative = text.hasPrefix("-")
        let digits = isNegative || text.hasPrefix("+") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let plain = digits.drop { $0 == "0" }
        return plain.isEmpty ? "0" : (isNegative ? "-" : "") + plain
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

    /// The value's form in the output: Python's `str`.
    var written: MarkedText {
        switch self {
        case .undefined: MarkedText()
        case .text(let text): text
        default: represented
        }
    }

    /// Python's `repr`.
    var represented: MarkedText {
        switch self {
        case .undefined: MarkedText("Undefined")
        case .none: MarkedText("None")
        case .bool(let bool): MarkedText(bool ? "True" : "False")
        case .integer(let value): MarkedText(String(value))
        case .large(let digits): MarkedText(digits)
        case .float(let value): MarkedText(Self.python(value))
        case .text(let text): Self.quoted(text)
        case .list(let elements):
            MarkedText("[") + Self.joined(elements.map(\.represented), MarkedText(", ")) + MarkedText("]")
        case .tuple(let elements, _):
            MarkedText("(") + Self.joined(elements.map(\.represented), MarkedText(", "))
                + MarkedText(elements.count == 1 ? ",)" : ")")
        case .dictionary(let members):
            MarkedText("{")
                + Self.joined(
                    members.map { Self.quoted(MarkedText($0.key)) + MarkedText(": ") + $0.value.represented },
                    MarkedText(", ")) + MarkedText("}")
        case .namespace: MarkedText("<Namespace>")
        case .round: MarkedText("<LoopContext>")
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
            case _ where String(scalar) == quote: "\\\(quote)"
            default: isPrintable(scalar) ? String(scalar) : escaped(scalar)
            }
        }
        return MarkedText(quote) + body + MarkedText(quote)
    }

    /// Python's `str.isprintable` for one character: false for control and format characters, unassigned ones, and
    /// blanks other than the space.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: scalar == " "
        default: true
        }
    }

    /// `\x07`, `\u2028`, `\U000e0001`.
    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        let (mark, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
        return "\\" + mark + String(repeating: "0", count: width - digits.count) + digits
    }

    static func python(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        // Swift turns to powers of ten above 2^53, Python at 10^16.
        if value.magnitude < 1e16, value.magnitude >= 0x1p53 { return "\(Int(value)).0" }
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

    /// The order of two whole numbers of which at least one is beyond 64 bits: below 0, 0 or above 0; nil for other
    /// values.
    static func order(_ a: JinjaValue, _ b: JinjaValue) -> Int? {
        func digits(_ value: JinjaValue) -> String? {
            switch value {
            case .large(let digits): digits
            default: value.whole.map(String.init)
            }
        }
        guard a.isLarge || b.isLarge, let x = digits(a), let y = digits(b) else { return nil }
        let (isBelow, isOtherBelow) = (x.hasPrefix("-"), y.hasPrefix("-"))
        guard isBelow == isOtherBelow else { return isBelow ? -1 : 1 }
        let order = x.utf8.count == y.utf8.count ? (x == y ? 0 : x < y ? -1 : 1) : x.utf8.count < y.utf8.count ? -1 : 1
        return isBelow ? -order : order
    }

    var isLarge: Bool { if case .large = self { true } else { false } }

    /// Python's `==`.
    func equals(_ other: JinjaValue) -> Bool {
        if let order = Self.order(self, other) { return order == 0 }
        if let a = number, let b = other.number { return a == b }
        switch (self, other) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.text(let a), .text(let b)): return a == b
        case (.list(let a), .list(let b)), (.tuple(let a, _), .tuple(let b, _)):
            return a.count == b.count && zip(a, b).allSatisfy { $0.equals($1) }
        case (.dictionary(let a), .dictionary(let b)):
            return a.count == b.count && a.allSatisfy { member in other[member.key].map(member.value.equals) ?? false }
        case (.namespace(let a), .namespace(let b)): return a === b
        default: return false
        }
    }
}

/// The result of `namespace()`: variables that the body of a loop can change.
final class JinjaNamespace {
    var members: [String: JinjaValue] = [:]
}

/// Something that can be called.
struct JinjaFunction {
    typealias Arguments = (positional: [JinjaValue], named: [(name: String, value: JinjaValue)])
    let call: (Arguments, inout JinjaInterpreter) throws(JinjaError) -> JinjaValue
}

extension JinjaValue {
    /// The value of a JSON document; objects keep their order.
    init(_ tree: JSONTree) {
        switch tree {
        case .null: self = .none
        case .bool(let bool): self = .bool(bool)
        case .number(let text):
            if let digits = Self.wholeDigits(text) {
                self = Int(digits).map { .integer($0) } ?? .large(digits)
            } else {
                self = .float(Double(text) ?? .nan)
            }
        case .string(let bytes): self = .text(String(decoding: bytes, as: UTF8.self))
        case .array(let elements): self = .list(elements.map(JinjaValue.init))
        case .object(let members):
            // As in Python, the last of two members with the same name counts, at the place of the first.
            var places: [[UInt8]: Int] = [:]
            var all: [(key: String, value: JinjaValue)] = []
            for (name, value) in members {
                let member = (key: String(decoding: name, as: UTF8.self), value: JinjaValue(value))
                if let place = places[name] {
                    all[place] = member
                } else {
                    places[name] = all.count
                    all.append(member)
                }
            }
            self = .dictionary(all)
        }
    }
}

extension JinjaValue {
    /// Messages as transformers passes them to a template: without members that are null, and with the text of a
    /// thought under each of the names that templates read, whichever name it came by.
    var asMessages: JinjaValue {
        guard case .list(let messages) = self else { return self }
        return .list(messages.map(\.asMessage))
    }

    private var asMessage: JinjaValue {
        guard case .dictionary(let all) = self else { return self }
        var members = all.filter { if case JinjaValue.none = $0.value { false } else { true } }
        let names = ["reasoning_content", "thinking", "reasoning"]
        let given = names.compactMap { name in members.first { $0.key == name }?.value }
        guard let reasoning = given.first else { return .dictionary(members) }
        let thinking = members.first { $0.key == "thinking" }?.value ?? reasoning
        members.removeAll { $0.key == "thinking" }
        members.insert((key: "thinking", value: thinking), at: 0)
        if let place = members.firstIndex(where: { $0.key == "reasoning_content" }) {
            members[place].value = reasoning
        } else {
            members.append((key: "reasoning_content", value: reasoning))
        }
        return .dictionary(members)
    }
}
