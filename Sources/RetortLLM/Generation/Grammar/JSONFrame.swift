import Foundation
import RetortCore

/// A part of a JSON text that is still to come, held to a schema.
///
/// What can be written is a part of what is valid: texts without a limit have one of 256 characters, numbers have no
/// exponent, values of any kind nest four deep, and an object whose schema names members has only those.
enum JSONFrame: Sendable {
    case value(JSONSchema, depth: Int)
    /// Blanks that may stand between two parts.
    case blanks(left: Int)
    /// What follows `{` or a member.
    case members(JSONSchema.ObjectSchema, left: [String], count: Int, depth: Int)
    /// What follows `[` or an element.
    case elements(JSONSchema, count: Int, minimum: Int, maximum: Int, depth: Int)
    /// What follows the opening quotation mark.
    case string(JSONStringState)
    case number(JSONNumberState)

    private static let deepest = 4
    private static let longestText = 256
    private static let mostElements = 16
    private static let gap = GrammarFrame.json(.blanks(left: 4))

    var expansion: GrammarFrame.Expansion {
        switch self {
        case .value(let schema, let depth): .is(Self.values(schema, depth))
        case .blanks(let left): left > 0 ? .readsOrEnds : .is([[]])
        case .members(let schema, let left, let count, let depth): .is(Self.members(schema, left, count, depth))
        case .elements(let schema, let count, let minimum, let maximum, let depth):
            .is(Self.elements(schema, count, minimum, maximum, depth))
        case .string: .reads
        case .number(let number): number.isComplete ? .readsOrEnds : .reads
        }
    }

    /// The same without what may be left out.
    var closing: JSONFrame {
        switch self {
        case .value(.any, _): .value(.any, depth: Self.deepest)
        case .value, .number: self
        case .blanks: .blanks(left: 0)
        case .members(let schema, let left, let count, let depth):
            .members(
                schema.withoutOthers, left: left.filter(schema.required.contains), count: count, depth: depth)
        case .elements(let schema, let count, let minimum, let maximum, let depth):
            .elements(schema, count: count, minimum: minimum, maximum: min(max(count, minimum), maximum), depth: depth)
        case .string(let state): .string(state.closing)
        }
    }

    func reading(_ byte: UInt8) -> [GrammarFrame]? {
        switch self {
        case .blanks(let left): [0x20, 0x0A, 0x09].contains(byte) ? [.json(.blanks(left: left - 1))] : nil
        case .string(let state):
            switch state.reading(byte) {
            case .closed: []
            case .open(let next): [.json(.string(next))]
            case nil: nil
            }
        case .number(let number): number.reading(byte).map { [.json(.number($0))] }
        case .value, .members, .elements: nil
        }
    }

    private static func values(_ schema: JSONSchema, _ depth: Int) -> [[GrammarFrame]] {
        switch schema {
        case .any:
            let scalars: [JSONSchema] = [
                .null, .boolean, .number(minimum: nil, maximum: nil), .string(maximumLength: nil),
            ]
            let nested: [JSONSchema] = [.array(of: .any, minimum: 0, maximum: nil), .anyObject]
            return (depth < deepest ? scalars + nested : scalars).flatMap { values($0, depth) }
        case .null: return [[.text("null")]]
        case .boolean: return [[.text("true")], [.text("false")]]
        case .integer(let low, let high):
            return [[.json(.number(JSONNumberState(low.map(Double.init), high.map(Double.init), isWhole: true)))]]
        case .number(let low, let high): return [[.json(.number(JSONNumberState(low, high, isWhole: false)))]]
        case .string(let limit):
            return [[.text("\""), .json(.string(JSONStringState(left: limit ?? longestText)))]]
        case .constants(let constants): return constants.map { [.text($0.jsonText)] }
        case .array(let element, let minimum, let maximum):
            let most = maximum ?? max(mostElements, minimum)
            return [
                [
                    .text("["),
                    .json(.elements(element, count: 0, minimum: minimum, maximum: most, depth: depth + 1)),
                ]
            ]
        case .object(let object):
            let names = object.properties.keys.sorted()
            return [[.text("{"), .json(.members(object, left: names, count: 0, depth: depth + 1))]]
        case .anyOf(let choices): return choices.flatMap { values($0, depth) }
        }
    }

    private static func members(
        _ schema: JSONSchema.ObjectSchema, _ left: [String], _ count: Int, _ depth: Int
    ) -> [[GrammarFrame]] {
        let comma: [GrammarFrame] = count > 0 ? [gap, .text(","), gap] : [gap]
        func member(_ key: [GrammarFrame], _ value: JSONSchema, left: [String]) -> [GrammarFrame] {
            comma + key + [
                gap, .text(":"), gap, .json(.value(value, depth: depth)),
                .json(.members(schema, left: left, count: count + 1, depth: depth)),
            ]
        }
        var choices = left.compactMap { name in
            schema.properties[name].map { value in
                member([.text(JSONValue.string(name).jsonText)], value, left: left.filter { $0 != name })
            }
        }
        // A free name could be that of a member with a schema of its own.
        if let others = schema.others, schema.properties.isEmpty, count < mostElements {
            choices.append(member([.text("\""), .json(.string(JSONStringState(left: 64)))], others, left: []))
        }
        if schema.required.isDisjoint(with: left) { choices.append([gap, .text("}")]) }
        return choices
    }

    private static func elements(
        _ schema: JSONSchema, _ count: Int, _ minimum: Int, _ maximum: Int, _ depth: Int
    ) -> [[GrammarFrame]] {
        var choices: [[GrammarFrame]] = count >= minimum ? [[gap, .text("]")]] : []
        if count < maximum {
            choices.append(
                (count > 0 ? [gap, .text(","), gap] : [gap]) + [
                    .json(.value(schema, depth: depth)),
                    .json(.elements(schema, count: count + 1, minimum: minimum, maximum: maximum, depth: depth)),
                ])
        }
        return choices
    }
}

/// Inside a JSON text, behind its opening quotation mark: valid UTF-8 and valid escapes, no half of a surrogate pair.
struct JSONStringState: Sendable {
    /// After a byte.
    enum Next {
        case closed
        case open(JSONStringState)
    }

    private enum Mode {
        case plain
        case escape
        /// Hexadecimal digits to come; whether the code may still be a surrogate's.
        case hex(left: Int, isSurrogate: Bool)
        /// Bytes of a character to come, the next of them within a range.
        case character(left: Int, ClosedRange<UInt8>)
    }

    /// Characters that may still come.
    private var left: Int
    private var mode = Mode.plain

    init(left: Int) { self.left = left }

    /// The same without room for another character.
    var closing: JSONStringState {
        var closing = self
        closing.left = 0
        return closing
    }

    func reading(_ byte: UInt8) -> Next? {
        var next = self
        switch mode {
        case .plain:
            if byte == UInt8(ascii: "\"") { return .closed }
            guard left > 0, let mode = Self.beginning(byte) else { return nil }
            next.left -= 1
            next.mode = mode
        case .escape:
            if byte == UInt8(ascii: "u") {
                next.mode = .hex(left: 4, isSurrogate: false)
            } else {
                guard "\"\\/bfnrt".utf8.contains(byte) else { return nil }
                next.mode = .plain
            }
        case .hex(let digits, let isSurrogate):
            guard let value = Character(UnicodeScalar(byte)).hexDigitValue, byte < 0x80 else { return nil }
            if isSurrogate, digits == 3, value >= 8 { return nil }
            next.mode = digits == 1 ? .plain : .hex(left: digits - 1, isSurrogate: digits == 4 && value == 0xD)
        case .character(let bytes, let range):
            guard range.contains(byte) else { return nil }
            next.mode = bytes == 1 ? .plain : .character(left: bytes - 1, 0x80...0xBF)
        }
        return .open(next)
    }

    /// What the first byte of a character calls for (RFC 3629, section 4).
    private static func beginning(_ byte: UInt8) -> Mode? {
        switch byte {
        case UInt8(ascii: "\\"): .escape
        case 0x20...0x7E: .plain
        case 0xC2...0xDF: .character(left: 1, 0x80...0xBF)
        case 0xE0: .character(left: 2, 0xA0...0xBF)
        case 0xED: .character(left: 2, 0x80...0x9F)
        case 0xE1...0xEF: .character(left: 2, 0x80...0xBF)
        case 0xF0: .character(left: 3, 0x90...0xBF)
        case 0xF1...0xF3: .character(left: 3, 0x80...0xBF)
        case 0xF4: .character(left: 3, 0x80...0x8F)
        default: nil
        }
    }
}

/// Inside a JSON number: what was read can always be brought within the bounds.
struct JSONNumberState: Sendable {
    private let low: Double
    private let high: Double
    private let isWhole: Bool
    private var isNegative = false
    private var digits = 0
    /// Digits behind the point; nil before it.
    private var decimals: Int?
    private var value = 0.0

    private static let mostDigits = 15
    private static let mostDecimals = 6

    init(_ low: Double?, _ high: Double?, isWhole: Bool) {
        self.low = low ?? -1e15
        self.high = high ?? 1e15
        self.isWhole = isWhole
    }

    private var signed: Double { isNegative ? -value : value }

    /// Whether the number may end here.
    var isComplete: Bool {
        digits > 0 && decimals != 0 && (low...max(low, high)).contains(signed) && !(isNegative && value == 0)
    }

    func reading(_ byte: UInt8) -> JSONNumberState? {
        var next = self
        switch byte {
        case UInt8(ascii: "-"):
            guard digits == 0, !isNegative, low < 0 else { return nil }
            next.isNegative = true
        case UInt8(ascii: "."):
            guard !isWhole, digits > 0, decimals == nil else { return nil }
            next.decimals = 0
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            let digit = Double(byte - UInt8(ascii: "0"))
            if let decimals {
                guard decimals < Self.mostDecimals else { return nil }
                next.decimals = decimals + 1
                next.value += digit * pow(10, -Double(decimals + 1))
            } else {
                // No leading zeros.
                guard digits < Self.mostDigits, digits == 0 || value > 0 else { return nil }
                next.digits += 1
                next.value = value * 10 + digit
            }
        default: return nil
        }
        return next.isWithinReach ? next : nil
    }

    /// Whether some continuation lies within the bounds.
    private var isWithinReach: Bool {
        guard digits > 0 else { return low <= high }
        if let decimals {
            return reaches(value, value + pow(10, -Double(decimals)), isOpen: decimals < Self.mostDecimals)
        }
        let fraction = isWhole ? 0.0 : 1
        // With so many digits more; a zero takes none.
        return (0...(value == 0 ? 0 : Self.mostDigits - digits)).contains { more in
            let scale = pow(10, Double(more))
            return reaches(value * scale, value * scale + (scale - 1) + fraction, isOpen: !isWhole)
        }
    }

    /// Whether a magnitude from `from` to `to`, the latter left out where open, can be within the bounds.
    private func reaches(_ from: Double, _ to: Double, isOpen: Bool) -> Bool {
        let (least, most) = isNegative ? (-to, -from) : (from, to)
        if isNegative, isWhole, value == 0 { return false }
        if isOpen { return isNegative ? most >= low && least < high : least <= high && most > low }
        return most >= low && least <= high
    }
}

extension JSONSchema.ObjectSchema {
    /// The same with named members only.
    fileprivate var withoutOthers: JSONSchema.ObjectSchema {
        var schema = self
        schema.others = nil
        return schema
    }
}
