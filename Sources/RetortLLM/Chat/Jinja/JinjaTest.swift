extension JinjaInterpreter {
    /// `value is name(arguments)`.
    func test(_ name: String, _ value: JinjaValue, _ arguments: [JinjaValue]) throws(JinjaError) -> Bool {
        switch name {
        case "defined": return !value.isUndefined
        case "undefined": return value.isUndefined
        case "none": if case .none = value { return true } else { return false }
        case "string": if case .text = value { return true } else { return false }
        case "mapping": if case .dictionary = value { return true } else { return false }
        case "boolean": if case .bool = value { return true } else { return false }
        case "true": if case .bool(true) = value { return true } else { return false }
        case "false": if case .bool(false) = value { return true } else { return false }
        case "integer": return value.isWhole
        case "float": if case .float = value { return true } else { return false }
        case "number": return value.number != nil
        case "callable": if case .function = value { return true } else { return false }
        case "upper": return value.written.isUpper
        case "lower": return value.written.isLower
        case "iterable", "sequence":
            switch value {
            case .list, .tuple, .text, .dictionary, .undefined: return true
            default: return false
            }
        case "odd", "even":
            guard let whole = value.whole else { throw failure("\(value.type) is neither odd nor even") }
            return (whole % 2 == 0) == (name == "even")
        case "divisibleby":
            guard let whole = value.whole, let divisor = arguments.first?.whole, divisor != 0 else {
                throw failure("divisibleby needs whole numbers")
            }
            return divisor == -1 || whole % divisor == 0
        case "equalto", "eq", "==": return arguments.first.map(value.equals) ?? false
        case "sameas": return arguments.first.map { $0.type == value.type && value.equals($0) } ?? false
        case "ne", "!=": return !(arguments.first.map(value.equals) ?? false)
        case "lt", "lessthan", "<": return try compares("<", value, arguments.first ?? .none)
        case "gt", "greaterthan", ">": return try compares(">", value, arguments.first ?? .none)
        case "le", "<=": return try compares("<=", value, arguments.first ?? .none)
        case "ge", ">=": return try compares(">=", value, arguments.first ?? .none)
        case "in": return try contains(arguments.first ?? .none, value)
        default: throw .unsupported(line: line, "the test '\(name)'")
        }
    }
}
