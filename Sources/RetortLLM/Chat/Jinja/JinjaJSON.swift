/// The filter `tojson` as transformers defines it: Python's `json.dumps(x, ensure_ascii=False, indent=None,
/// separators=None, sort_keys=False)`, with its arguments in this order.
struct JinjaJSON {
    private static let names = ["ensure_ascii", "indent", "separators", "sort_keys"]

    private var escapesAll = false
    /// The indentation of one level; nil writes a single line.
    private var indent: String?
    private var betweenItems = ", "
    private var behindKeys = ": "
    private var sortsKeys = false
    private let line: Int

    /// - Throws: `JinjaError` for an argument that `json.dumps` does not accept.
    init(_ arguments: JinjaFunction.Arguments, line: Int) throws(JinjaError) {
        self.line = line
        var given: [String: JinjaValue] = [:]
        for (place, value) in arguments.positional.enumerated() {
            guard place < Self.names.count else { throw .evaluation(line: line, "tojson takes at most four arguments") }
            given[Self.names[place]] = value
        }
        for (name, value) in arguments.named {
            guard Self.names.contains(name), given.updateValue(value, forKey: name) == nil else {
                throw .evaluation(line: line, "tojson has no argument '\(name)', or has it twice")
            }
        }
        escapesAll = given["ensure_ascii"]?.isTrue ?? false
        sortsKeys = given["sort_keys"]?.isTrue ?? false
        indent = try Self.indent(given["indent"], line)
        if indent != nil { betweenItems = "," }
        switch given["separators"] {
        case nil, JinjaValue.none?: break
        case let pair?:
            guard let two = Self.twoTexts(pair) else {
                throw .evaluation(line: line, "tojson's separators are two strings")
            }
            (betweenItems, behindKeys) = two
        }
    }

    private static func twoTexts(_ value: JinjaValue) -> (String, String)? {
        guard let pair = value.elements, pair.count == 2, case .text(let first) = pair[0],
            case .text(let second) = pair[1]
        else { return nil }
        return (first.string, second.string)
    }

    private static func indent(_ value: JinjaValue?, _ line: Int) throws(JinjaError) -> String? {
        switch value {
        case nil, JinjaValue.none?: return nil
        case .text(let text)? where text.count <= 64: return text.string
        default:
            guard let count = value?.whole, count <= 64 else {
                throw .evaluation(line: line, "tojson's indent is a string or a number up to 64")
            }
            return String(repeating: " ", count: max(count, 0))
        }
    }

    /// - Throws: `JinjaError` for a value that JSON cannot express.
    func text(of value: JinjaValue) throws(JinjaError) -> MarkedText { try text(of: value, level: 0) }

    private func text(of value: JinjaValue, level: Int) throws(JinjaError) -> MarkedText {
        switch value {
        case .none: return MarkedText("null")
        case .bool(let bool): return MarkedText(bool ? "true" : "false")
        case .integer(let number): return MarkedText(String(number))
        case .large(let digits): return MarkedText(digits)
        case .float(let number):
            if number.isNaN { return MarkedText("NaN") }
            return MarkedText(number.isInfinite ? number < 0 ? "-Infinity" : "Infinity" : JinjaValue.python(number))
        case .text(let text): return quoted(text)
        case .list(let elements), .tuple(let elements, _):
            var parts: [MarkedText] = []
            for element in elements { parts.append(try self.text(of: element, level: level + 1)) }
            return enclosed(parts, "[", "]", level)
        case .dictionary(let members):
            var parts: [MarkedText] = []
            let ordered = sortsKeys ? members.sorted { MarkedText($0.key) < MarkedText($1.key) } : members
            for (key, value) in ordered {
                parts.append(
                    quoted(MarkedText(key)) + MarkedText(behindKeys) + (try self.text(of: value, level: level + 1)))
            }
            return enclosed(parts, "{", "}", level)
        case .undefined, .namespace, .round, .function:
            throw .evaluation(line: line, "\(value.type) cannot be written as JSON")
        }
    }

    private func enclosed(_ parts: [MarkedText], _ open: String, _ close: String, _ level: Int) -> MarkedText {
        guard !parts.isEmpty else { return MarkedText(open + close) }
        func newline(_ level: Int) -> String { indent.map { "\n" + String(repeating: $0, count: level) } ?? "" }
        return MarkedText(open + newline(level + 1))
            + JinjaValue.joined(parts, MarkedText(betweenItems + newline(level + 1)))
            + MarkedText(newline(level) + close)
    }

    private func quoted(_ text: MarkedText) -> MarkedText {
        MarkedText("\"") + text.mapping { escaped($1) } + MarkedText("\"")
    }

    private func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case "\u{8}": "\\b"
        case "\u{C}": "\\f"
        case _ where scalar.value < 0x20 || (escapesAll && scalar.value > 0x7E):
            String(scalar).utf16.map(Self.escaped).joined()
        default: String(scalar)
        }
    }

    private static func escaped(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
