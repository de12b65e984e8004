import RetortCore

/// JSON values as Python source, and simple Python literals as JSON values.
package enum PythonLiteral {
    /// The source of a value.
    package static func of(_ value: JSONValue) -> String {
        switch value {
        case .null: return "None"
        case .bool(let value): return value ? "True" : "False"
        case .integer(let value): return String(value)
        case .number(let value): return value.isFinite ? "\(value)" : "float('\(value)')"
        case .string(let text): return quoted(text)
        case .array(let elements): return "[\(elements.map(of).joined(separator: ", "))]"
        case .object(let members):
            if members.count == 1, let digits = members["$int"]?.string { return digits }
            if members.count == 1, let name = members["$float"]?.string { return "float('\(name)')" }
            let pairs = members.sorted { $0.key < $1.key }.map { "\(quoted($0.key)): \(of($0.value))" }
            return "{\(pairs.joined(separator: ", "))}"
        }
    }

    /// The source of keyword arguments, by name.
    static func keywords(_ arguments: JSONValue) -> String {
        (arguments.object ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\(of($0.value))" }
            .joined(separator: ", ")
    }

    /// The value of a literal that is a string, number, truth value or `None`; nil for any other expression.
    static func value(of source: String) -> JSONValue? {
        switch source {
        case "None": return .null
        case "True": return true
        case "False": return false
        default: break
        }
        if let quote = source.first, quote == "\"" || quote == "'" {
            return unquoted(source, quote).map { .string($0) }
        }
        // Letters would let Swift read what Python does not, such as `0x1p3` or `nan`.
        guard source.allSatisfy({ $0.isASCII && ($0.isNumber || "+-.eE".contains($0)) }) else { return nil }
        if let integer = Int(source) { return .integer(integer) }
        if source.drop(while: { $0 == "-" }).allSatisfy(\.isNumber) { return ["$int": .string(source)] }
        return Double(source).flatMap { $0.isFinite ? .number($0) : nil }
    }

    private static func quoted(_ text: String) -> String {
        var source = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": source += "\\\\"
            case "\"": source += "\\\""
            case "\n": source += "\\n"
            case "\r": source += "\\r"
            case "\t": source += "\\t"
            case _ where scalar.value < 0x20:
                source += (scalar.value < 0x10 ? "\\x0" : "\\x") + String(scalar.value, radix: 16)
            default: source.unicodeScalars.append(scalar)
            }
        }
        return source + "\""
    }

    private static func unquoted(_ source: String, _ quote: Character) -> String? {
        let triple = String(repeating: quote, count: 3)
        if source.count >= 6, source.hasPrefix(triple) {
            guard source.hasSuffix(triple) else { return nil }
            let inner = source.dropFirst(3).dropLast(3)
            return inner.contains(triple) || inner.contains("\\") ? nil : String(inner)
        }
        var text = ""
        var isEscaped = false
        for (offset, character) in source.dropFirst().enumerated() {
            if isEscaped {
                isEscaped = false
                switch character {
                case "n": text += "\n"
                case "r": text += "\r"
                case "t": text += "\t"
                case "\\", "\"", "'": text.append(character)
                default: text += "\\\(character)"
                }
            } else if character == "\\" {
                isEscaped = true
            } else if character == quote {
                // Anything after the closing quote makes it an expression.
                return offset == source.count - 2 ? text : nil
            } else {
                text.append(character)
            }
        }
        return nil
    }
}
