/// A JSON document with its strings byte for byte, its numbers as written and its objects in order.
///
/// Foundation's decoders keep objects in dictionaries of `String`, whose equality is canonical equivalence: a vocabulary
/// that holds both `é` and `e` + accent would lose one of them. (RFC 8259.)
package enum JSONTree: Sendable {
    case null
    case bool(Bool)
    /// As it is written: `2`, `2.0` and `2e0` are three texts.
    case number(String)
    case string([UInt8])
    case array([JSONTree])
    case object([(name: [UInt8], value: JSONTree)])

    /// Why a text is not JSON, and where.
    package struct SyntaxError: Error, CustomStringConvertible {
        package let reason: String
        package let offset: Int

        package var description: String { "\(reason) at byte \(offset)" }
    }

    /// What becomes of an escape that is half of a surrogate pair, which no text in UTF-8 can hold.
    package enum HalfPairs: Sendable {
        /// It is U+FFFD.
        case replaced
        case refused
    }

    /// Parses a document; nesting deeper than 200 is refused. Python's `NaN` and `Infinity` are read too, and a byte-order
    /// mark is passed over.
    package static func parse(_ bytes: [UInt8], halfPairs: HalfPairs = .replaced) throws(SyntaxError) -> JSONTree {
        var parser = JSONParser(bytes: bytes, halfPairs: halfPairs)
        return try parser.document()
    }

    package subscript(_ name: String) -> JSONTree? {
        guard case .object(let members) = self else { return nil }
        let key = Array(name.utf8)
        return members.first { $0.name == key }?.value
    }

    package var bytes: [UInt8]? { if case .string(let bytes) = self { bytes } else { nil } }
    package var string: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
    package var array: [JSONTree]? { if case .array(let elements) = self { elements } else { nil } }
    package var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
    package var isNull: Bool { if case .null = self { true } else { false } }

    /// A whole number that fits a token's id.
    package var id: Int32? {
        if case .number(let digits) = self { Double(digits).flatMap(Int32.init(exactly:)) } else { nil }
    }
}

private struct JSONParser {
    private let bytes: [UInt8]
    private let halfPairs: JSONTree.HalfPairs
    private var position = 0

    private static let deepest = 200

    init(bytes: [UInt8], halfPairs: JSONTree.HalfPairs) { (self.bytes, self.halfPairs) = (bytes, halfPairs) }

    private typealias SyntaxError = JSONTree.SyntaxError

    mutating func document() throws(JSONTree.SyntaxError) -> JSONTree {
        // A byte-order mark, as editors of Windows write it (RFC 8259, section 8.1: readers may ignore it).
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        let tree = try value(depth: 0)
        skipBlanks()
        guard position == bytes.count else { throw error("more text behind the document") }
        return tree
    }

    private func error(_ reason: String) -> SyntaxError { SyntaxError(reason: reason, offset: position) }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipBlanks() {
        while let byte = next, " \t\r\n".utf8.contains(byte) { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func take(word: StaticString) -> Bool {
        let end = position + word.utf8CodeUnitCount
        guard end <= bytes.count,
            word.withUTF8Buffer({ $0.elementsEqual(bytes[position..<end]) })
        else { return false }
        position = end
        return true
    }

    private mutating func value(depth: Int) throws(JSONTree.SyntaxError) -> JSONTree {
        guard depth < Self.deepest else { throw error("nested deeper than \(Self.deepest)") }
        skipBlanks()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        default:
            if take(word: "true") { return .bool(true) }
            if take(word: "false") { return .bool(false) }
            if take(word: "null") { return .null }
            return .number(try number())
        }
    }

    private mutating func object(depth: Int) throws(JSONTree.SyntaxError) -> JSONTree {
        position += 1
        var members: [(name: [UInt8], value: JSONTree)] = []
        skipBlanks()
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipBlanks()
            guard next == UInt8(ascii: "\"") else { throw error("a name is missing") }
            let name = try string()
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw error("':' is missing") }
            members.append((name, try value(depth: depth + 1)))
            skipBlanks()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw error("'}' is missing") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONTree.SyntaxError) -> JSONTree {
        position += 1
        var elements: [JSONTree] = []
        skipBlanks()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        repeat {
            elements.append(try value(depth: depth + 1))
            skipBlanks()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw error("']' is missing") }
        return .array(elements)
    }

    private mutating func number() throws(JSONTree.SyntaxError) -> String {
        for word in ["NaN", "Infinity", "-Infinity"] as [StaticString] where take(word: word) { return "\(word)" }
        let start = position
        _ = take(UInt8(ascii: "-"))
        let startsWithZero = next == UInt8(ascii: "0")
        let whole = digits()
        guard whole > 0 else { throw error("a value is missing") }
        if startsWithZero, whole > 1 { throw error("a number starts with 0") }
        if take(UInt8(ascii: ".")), digits() == 0 { throw error("a number ends with its point") }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            if digits() == 0 { throw error("an exponent is missing") }
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    /// Skips digits.
    /// - Returns: how many.
    private mutating func digits() -> Int {
        let start = position
        while let byte = next, (0x30...0x39).contains(byte) { position += 1 }
        return position - start
    }

    private mutating func string() throws(JSONTree.SyntaxError) -> [UInt8] {
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return text
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw error("a control character stands in a string")
            default: text.append(byte)
            }
        }
        throw error("a string does not end")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONTree.SyntaxError) {
        guard let byte = next else { throw error("a string does not end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text += Array(String(try scalar()).utf8)
        default: throw error("an unknown escape")
        }
    }

    /// The character of `\uXXXX`, or of a surrogate pair of them.
    private mutating func scalar() throws(JSONTree.SyntaxError) -> Unicode.Scalar {
        let first = try codeUnit()
        guard (0xD800...0xDBFF).contains(first), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        else {
            if let scalar = Unicode.Scalar(first) { return scalar }
            return try halfPair()
        }
        let back = position
        position += 2
        let second = try codeUnit()
        guard (0xDC00...0xDFFF).contains(second) else {
            position = back
            return try halfPair()
        }
        return Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)) ?? "\u{FFFD}"
    }

    private func halfPair() throws(JSONTree.SyntaxError) -> Unicode.Scalar {
        guard halfPairs == .replaced else { throw error("an escape is half of a surrogate pair") }
        return "\u{FFFD}"
    }

    private mutating func codeUnit() throws(JSONTree.SyntaxError) -> UInt32 {
        guard position + 4 <= bytes.count,
            bytes[position..<position + 4].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let unit = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
        else { throw error("four hexadecimal digits are missing") }
        position += 4
        return unit
    }
}
