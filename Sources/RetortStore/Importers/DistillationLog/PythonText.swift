import RetortCore

/// Reads the text that Python's `str` makes of dictionaries, lists and scalars.
///
/// An expression that is not a literal, such as a SymPy symbol, becomes its own source text; nothing is executed.
struct PythonText {
    private let scalars: [Unicode.Scalar]
    private var position = 0

    private static let deepest = 100

    private init(_ text: String) { scalars = Array(text.unicodeScalars) }

    /// The value of a text; nil when its brackets and quotes are not balanced.
    static func value(of text: String) -> JSONValue? {
        var reader = PythonText(text)
        guard let value = reader.value(depth: 0) else { return nil }
        reader.skipBlanks()
        return reader.position == reader.scalars.count ? value : nil
    }

    private var next: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private mutating func skipBlanks() {
        while let scalar = next, scalar.properties.isWhitespace { position += 1 }
    }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard next == scalar else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) -> JSONValue? {
        guard depth < Self.deepest else { return nil }
        skipBlanks()
        switch next {
        case "{": return dictionary(depth: depth)
        case "[": return list(until: "]", depth: depth)
        case "(": return list(until: ")", depth: depth)
        case "'", "\"": return string().map { .string($0) }
        default: return expression()
        }
    }

    private mutating func dictionary(depth: Int) -> JSONValue? {
        position += 1
        var members: [String: JSONValue] = [:]
        while !take("}") {
            guard let name = value(depth: depth + 1), take(":"), let member = value(depth: depth + 1) else {
                return nil
            }
            members[name.text] = member
            guard take(",") else { return take("}") ? .object(members) : nil }
        }
        return .object(members)
    }

    private mutating func list(until end: Unicode.Scalar, depth: Int) -> JSONValue? {
        position += 1
        var elements: [JSONValue] = []
        while !take(end) {
            guard let element = value(depth: depth + 1) else { return nil }
            elements.append(element)
            guard take(",") else { return take(end) ? .array(elements) : nil }
        }
        return .array(elements)
    }

    private mutating func string() -> String? {
        guard let quote = next else { return nil }
        position += 1
        var text = String.UnicodeScalarView()
        while let scalar = next {
            position += 1
            if scalar == quote { return String(text) }
            guard scalar == "\\" else {
                text.append(scalar)
                continue
            }
            guard let escape = next else { return nil }
            position += 1
            switch escape {
            case "n": text.append("\n")
            case "r": text.append("\r")
            case "t": text.append("\t")
            case "x", "u", "U":
                guard let coded = code(digits: escape == "x" ? 2 : escape == "u" ? 4 : 8) else { return nil }
                text.append(coded)
            default: text.append(escape)
            }
        }
        return nil
    }

    private mutating func code(digits: Int) -> Unicode.Scalar? {
        guard position + digits <= scalars.count else { return nil }
        let hexadecimal = String(String.UnicodeScalarView(scalars[position..<position + digits]))
        position += digits
        return UInt32(hexadecimal, radix: 16).flatMap(Unicode.Scalar.init)
    }

    /// A scalar, or the source of anything else up to its end.
    private mutating func expression() -> JSONValue? {
        let start = position
        var depth = 0
        while let scalar = next {
            if depth == 0, ",:}])".unicodeScalars.contains(scalar) { break }
            if "([{".unicodeScalars.contains(scalar) { depth += 1 }
            if ")]}".unicodeScalars.contains(scalar) { depth -= 1 }
            position += 1
        }
        let source = String(String.UnicodeScalarView(scalars[start..<position])).trimmingBlanks
        switch source {
        case "": return nil
        case "None": return .null
        case "True": return true
        case "False": return false
        case "nan", "inf", "-inf": return Double(source).map { .number($0) }
        default: return (try? ExactJSON.value(of: source)) ?? .string(source)
        }
    }
}

extension StringProtocol {
    /// Without white space at either end.
    var trimmingBlanks: String {
        let start = firstIndex { !$0.isWhitespace } ?? endIndex
        let end = lastIndex { !$0.isWhitespace }.map { index(after: $0) } ?? start
        return String(self[start..<end])
    }
}
