import Foundation

/// JSON texts in which every value keeps its type: `2.0` stays a number with a fraction, `2` an integer, `null` a value.
///
/// Foundation's coders write the number `2.0` as `2`, which reads back as an integer. Here the text is Python's:
/// integers of any size in digits, other numbers in the fewest digits that read back as the same. A number that is not
/// finite is written `{"$float": "nan"}`, and an object whose one name is `$float` as `{"$float": [value]}`.
public enum ExactJSON {
    private static let float = "$float"

    /// The value of a text. Of two members with one name the last counts, as in Python.
    /// - Throws: `ExactJSONError` with the reason and the byte's offset.
    public static func value(of bytes: some Sequence<UInt8>) throws -> JSONValue { try value(of: bytes, marks: .read) }

    /// Whose JSON a text is.
    public enum Marks: Sendable {
        /// The project's own: `{"$float": …}` is a number that is not finite.
        case read
        /// A stranger's: an object is what it is, and there is no number that is not finite.
        case asTheyAre
    }

    /// The value of a text.
    /// - Throws: `ExactJSONError` with the reason and the byte's offset.
    public static func value(of bytes: some Sequence<UInt8>, marks: Marks) throws -> JSONValue {
        do {
            return try value(JSONTree.parse(Array(bytes)), marks)
        } catch let error as JSONTree.SyntaxError {
            throw ExactJSONError.malformed(encodingFault(bytes) ?? error.description)
        }
    }

    /// Why bytes are no UTF-8; nil where they are. A NUL is in no JSON, and in most texts of UTF-16.
    package static func encodingFault(_ bytes: some Sequence<UInt8>) -> String? {
        let all = Array(bytes)
        guard all.contains(0) || String(validating: all, as: UTF8.self) == nil else { return nil }
        return "it is not UTF-8; save it in that encoding"
    }

    /// The value of a text.
    public static func value(of text: String) throws -> JSONValue { try value(of: text.utf8) }

    /// Compact text with names in byte order.
    /// - Parameter marks: for strangers, who know no marks, a number that is not finite is written as `null`.
    public static func text(_ value: JSONValue, marks: Marks = .read) -> String {
        var text = ""
        write(value, marks, to: &text)
        return text
    }

    /// Text for people: as the compact one, with each member and element on a line of its own.
    package static func indentedText(_ value: JSONValue) -> String {
        var text = ""
        write(value, .read, depth: 0, to: &text)
        return text
    }

    /// The text of anything that encodes.
    public static func encode(_ value: some Encodable) throws -> Data {
        Data(text(try tree(value)).utf8)
    }

    /// Anything that encodes, as a value.
    public static func tree(_ value: some Encodable) throws -> JSONValue { try JSONValueEncoder().encode(value) }

    /// What a value holds.
    /// - Throws: `DecodingError` for another type.
    public static func decode<Value: Decodable>(_ type: Value.Type, from value: JSONValue) throws -> Value {
        try JSONValueDecoder().decode(type, from: value)
    }

    /// What a text holds.
    /// - Throws: `DecodingError` for another type, `ExactJSONError` for a text that is not JSON.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: some Sequence<UInt8>) throws -> Value {
        try decode(type, from: value(of: bytes))
    }

    private static func value(_ tree: JSONTree, _ marks: Marks) throws -> JSONValue {
        switch tree {
        case .null: return .null
        case .bool(let value): return .bool(value)
        case .number(let digits): return number(digits)
        case .string(let bytes): return .string(try string(bytes))
        case .array(let elements): return .array(try elements.map { try value($0, marks) })
        case .object(let members):
            var object: [String: JSONValue] = [:]
            var names: [String: [UInt8]] = [:]
            for (bytes, member) in members {
                let name = try string(bytes)
                guard names.updateValue(bytes, forKey: name) ?? bytes == bytes else {
                    throw ExactJSONError.alike(name)
                }
                object[name] = try value(member, marks)
            }
            return marks == .read ? unwrapped(object) : .object(object)
        }
    }

    private static func number(_ digits: String) -> JSONValue {
        if let integer = Int(digits) { return .integer(integer) }
        if digits.utf8.allSatisfy("-0123456789".utf8.contains) { return .object(["$int": .string(digits)]) }
        return .number(Double(digits) ?? .nan)
    }

    private static func string(_ bytes: [UInt8]) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ExactJSONError.malformed("a string is not UTF-8; save it in that encoding")
        }
        return text
    }

    /// A mark's value, or the object as it is.
    private static func unwrapped(_ object: [String: JSONValue]) -> JSONValue {
        guard object.count == 1, let inner = object[float] else { return .object(object) }
        switch inner {
        case .string("nan"): return .number(.nan)
        case .string("inf"): return .number(.infinity)
        case .string("-inf"): return .number(-.infinity)
        case .array(let elements) where elements.count == 1: return .object([float: elements[0]])
        default: return .object(object)
        }
    }

    /// - Parameter depth: how far indented text is in; nil writes compact text.
    private static func write(_ value: JSONValue, _ marks: Marks, depth: Int? = nil, to text: inout String) {
        switch value {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value) where value.isFinite: text += "\(value)"
        case .number where marks == .asTheyAre: text += "null"
        case .number(let value):
            let name = value.isNaN ? "nan" : value < 0 ? "-inf" : "inf"
            text += depth == nil ? "{\"\(float)\":\"\(name)\"}" : "{\"\(float)\": \"\(name)\"}"
        case .string(let value): write(value, to: &text)
        case .array(let elements):
            write(elements, between: "[", "]", depth, to: &text) { element, depth, text in
                write(element, marks, depth: depth, to: &text)
            }
        case .object(let members):
            if members.count == 1, let digits = members["$int"]?.string, isBeyond64Bits(digits) {
                return text += digits
            }
            let isWrapped = marks == .read && members.count == 1 && members[float] != nil
            let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            write(sorted, between: "{", "}", depth, to: &text) { member, depth, text in
                write(member.key, to: &text)
                text += depth == nil ? ":" : ": "
                write(isWrapped ? [member.value] : member.value, marks, depth: depth, to: &text)
            }
        }
    }

    private static func write<Item>(
        _ items: [Item], between opening: String, _ closing: String, _ depth: Int?, to text: inout String,
        _ write: (Item, _ depth: Int?, inout String) -> Void
    ) {
        func breakLine(_ depth: Int?) { if let depth { text += "\n" + String(repeating: "  ", count: depth) } }
        text += opening
        for (index, item) in items.enumerated() {
            if index > 0 { text += "," }
            breakLine(depth.map { $0 + 1 })
            write(item, depth.map { $0 + 1 }, &text)
        }
        if !items.isEmpty { breakLine(depth) }
        text += closing
    }

    private static func isBeyond64Bits(_ digits: String) -> Bool {
        let magnitude = digits.utf8.first == UInt8(ascii: "-") ? digits.utf8.dropFirst() : digits.utf8[...]
        return magnitude.count > 18 && magnitude.first != UInt8(ascii: "0") && Int(digits) == nil
            && magnitude.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20:
                text += (scalar.value < 0x10 ? "\\u000" : "\\u00") + String(scalar.value, radix: 16)
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

/// A text that is not JSON, or that Swift's strings cannot hold apart.
public enum ExactJSONError: Error, CustomStringConvertible, Equatable {
    case malformed(String)
    /// Two members' names are the same letters in different Unicode forms.
    case alike(String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .malformed(let reason): "it is not valid JSON: \(reason)"
        case .alike(let name): "two names, both '\(name)', differ in their Unicode form only; rename one"
        }
    }
}
