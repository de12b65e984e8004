import Foundation

/// Any JSON value, with integers kept apart from other numbers so that a record never changes type on its way to
/// disk and back.
///
/// Integers beyond 64 bits are held as `{"$int": "digits"}`, and non-finite numbers travel as `{"$float": "nan"}`, because
/// JSON itself has no lossless form for them. `ExactJSON` reads and writes texts without loss; Foundation's coders write
/// `2.0` as `2`.
public enum JSONValue: Sendable, Hashable {
    /// Python's `None`.
    case null
    /// True or false.
    case bool(Bool)
    /// A whole number of 64 bits.
    case integer(Int)
    /// A floating-point number.
    case number(Double)
    /// A text.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// Members by name, without order.
    case object([String: JSONValue])

    /// The string inside, when this is a string.
    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The elements, when this is an array.
    public var array: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The members, when this is an object.
    public var object: [String: JSONValue]? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The member `key` of an object, or nil.
    public subscript(key: String) -> JSONValue? { object?[key] }

    /// How the value reads as an answer or an argument: strings as they are, numbers in plain digits, the rest as JSON.
    public var text: String {
        switch self {
        case .null: return "None"
        case .bool(let value): return value ? "True" : "False"
        case .integer(let value): return String(value)
        case .number(let value):
            if value == value.rounded(), abs(value) < 1e15 { return String(format: "%.1f", value) }
            return "\(value)"
        case .string(let value): return value
        case .object(let members):
            if members.count == 1, let digits = members["$int"]?.string ?? members["$float"]?.string { return digits }
            return jsonText
        case .array: return jsonText
        }
    }

    /// Compact JSON with sorted keys, each number as what it is.
    public var jsonText: String { ExactJSON.text(self) }
}

extension JSONValue: Codable {
    /// Reads whatever value is there; a number without fraction and exponent that fits 64 bits is an integer.
    /// - Throws: `DecodingError` of the decoder.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    /// Writes the value as plain JSON; numbers that JSON does not have become `{"$float": …}`.
    /// - Throws: `EncodingError` of the encoder.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value):
            if value.isFinite {
                try container.encode(value)
            } else {
                try container.encode(["$float": value.isNaN ? "nan" : value < 0 ? "-inf" : "inf"])
            }
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// `"text"` is a string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// `1` is an integer.
    public init(integerLiteral value: Int) { self = .integer(value) }
    /// `true` is a truth value.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// `1.0` is a number that is no integer.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// `[1, "a"]` is an array.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// `["name": 1]` is an object; of two members with one name the last counts.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { _, last in last }))
    }
}

/// The one JSON dialect of the project: sorted keys, unescaped slashes, ISO 8601 dates.
public enum JSONCoding {
    /// Compact, for JSONL and for the store.
    public static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return encoder
    }

    /// Indented, for files people open.
    public static var prettyEncoder: JSONEncoder {
        let encoder = encoder
        encoder.outputFormatting.insert(.prettyPrinted)
        return encoder
    }

    /// Reads what the encoders write, and anyone's JSON.
    public static var decoder: Decoder { Decoder() }

    /// A decoder for texts of strangers. Foundation's ends the process at some valid numbers (`0.` with 130 zeros and
    /// `1e147`), and reads `2.0` as an integer.
    public struct Decoder: Sendable {
        /// - Throws: `DecodingError` for a text that is not JSON or holds something else.
        public func decode<Value: Decodable>(_ type: Value.Type, from bytes: some Sequence<UInt8>) throws -> Value {
            let value: JSONValue
            do {
                value = try ExactJSON.value(of: bytes, marks: .asTheyAre)
            } catch {
                throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "\(error)"))
            }
            return try ExactJSON.decode(type, from: value)
        }
    }
}
