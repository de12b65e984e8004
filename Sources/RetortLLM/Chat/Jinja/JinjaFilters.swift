import Foundation

extension JinjaInterpreter {
    /// Applies a filter to a value.
    mutating func filter(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaFunction.Arguments
    ) throws(JinjaError) -> JinjaValue {
        func argument(_ position: Int, _ name: String) -> JinjaValue? {
            position < arguments.positional.count
                ? arguments.positional[position] : arguments.named.first { $0.name == name }?.value
        }
        try step(at: line, cost: size(of: value))
        switch name {
        case "trim", "upper", "lower", "title", "capitalize", "string", "safe", "replace", "indent":
            return .text(try textFilter(name, value.written, argument))
        case "default", "d":
            let replaces = value.isUndefined || (argument(1, "boolean")?.isTrue ?? false && !value.isTrue)
            return replaces ? argument(0, "default_value") ?? .text("") : value
        case "tojson":
            let writing = try JinjaJSON(arguments, line: line)
            return .text(try writing.text(of: value))
        case "length", "count": return .integer(try length(of: value))
        case "int", "float", "abs", "round": return try numberFilter(name, value, argument)
        case "items":
            guard case .dictionary(let members) = value else { throw failure("\(value.type) has no items") }
            return .list(members.map { .list([.text($0.key), $0.value]) })
        case "dictsort":
            guard case .dictionary(let members) = value else { throw failure("\(value.type) is no mapping") }
            let sorted = members.sorted { ($0.key.lowercased(), $0.key) < ($1.key.lowercased(), $1.key) }
            return .list(sorted.map { .list([.text($0.key), $0.value]) })
        default: return try listFilter(name, value, arguments, argument)
        }
    }

    private func size(of value: JinjaValue) -> Int {
        switch value {
        case .text(let text): text.count / 64
        case .list(let elements): elements.count / 8
        default: 0
        }
    }

    private func length(of value: JinjaValue) throws(JinjaError) -> Int {
        switch value {
        case .text(let text): text.count
        case .list(let elements): elements.count
        case .dictionary(let members): members.count
        case .undefined: 0
        default: throw failure("\(value.type) has no length")
        }
    }

    private typealias Lookup = (Int, String) -> JinjaValue?

    private func textFilter(_ name: String, _ text: MarkedText, _ argument: Lookup) throws(JinjaError) -> MarkedText {
        switch name {
        case "trim":
            if case .text(let characters)? = argument(0, "chars") { return text.stripped(characters) }
            return text.stripped()
        case "upper": return text.uppercased
        case "lower": return text.lowercased
        case "title": return text.titled
        case "capitalize": return text.capitalized
        case "replace":
            guard case .text(let old)? = argument(0, "old"), case .text(let new)? = argument(1, "new") else {
                throw failure("replace takes two strings")
            }
            let limit = argument(2, "count")?.whole
            guard let replaced = text.replacing(old, with: new, limit: limit, within: Self.longestText) else {
                throw .exhausted("a replacement of more than \(Self.longestText) characters")
            }
            return replaced
        case "indent":
            let width = argument(0, "width")?.whole ?? 4
            guard 0...64 ~= width else { throw failure("an indent of \(width)") }
            let blanks = MarkedText(String(repeating: " ", count: width))
            let isFirst = argument(1, "first")?.isTrue ?? false
            let lines = text.split(by: MarkedText("\n"))
            let moved = lines.enumerated().map { index, line in
                (index == 0 ? isFirst : !line.isEmpty) ? blanks + line : line
            }
            guard let joined = JinjaValue.joined(moved, MarkedText("\n"), within: Self.longestText) else {
                throw .exhausted("a text of more than \(Self.longestText) characters")
            }
            return joined
        default: return text
        }
    }

    private func numberFilter(_ name: String, _ value: JinjaValue, _ argument: Lookup) throws(JinjaError) -> JinjaValue
    {
        let text = value.written.string.trimmingCharacters(in: .whitespaces)
        // Whole numbers beyond 64 bits are kept as digits.
        if name == "int" || name == "abs", let digits = JinjaValue.wholeDigits(text), Int(digits) == nil {
            return .large(name == "abs" && digits.first == "-" ? String(digits.dropFirst()) : digits)
        }
        let number = value.number ?? Double(text)
        switch name {
        case "int":
            return number.flatMap { Int(exactly: $0.rounded(.towardZero)) }.map { .integer($0) } ?? argument(
                0, "default") ?? .integer(0)
        case "float": return number.map { .float($0) } ?? argument(0, "default") ?? .float(0)
        default:
            guard let number else { throw failure("\(value.type) is no number") }
            if name == "abs" {
                guard let whole = value.whole else { return .float(number.magnitude) }
                return whole == .min ? .large("9223372036854775808") : .integer(abs(whole))
            }
            let scale = Foundation.pow(10, Double(argument(0, "precision")?.whole ?? 0))
            return .float((number * scale).rounded(.toNearestOrEven) / scale)
        }
    }

    private mutating func listFilter(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaFunction.Arguments, _ argument: Lookup
    ) throws(JinjaError) -> JinjaValue {
        let elements = try elements(of: value)
        switch name {
        case "list": return .list(elements)
        case "first": return elements.first ?? .undefined("first")
        case "last": return elements.last ?? .undefined("last")
        case "reverse":
            if case .text = value { return .text(elements.reversed().reduce(into: MarkedText()) { $0 += $1.written }) }
            return .list(elements.reversed())
        case "join":
            var parts = elements
            if let attribute = argument(1, "attribute") { parts = try mapped(elements, by: attribute) }
            let separator = argument(0, "d")?.written ?? MarkedText()
            guard let joined = JinjaValue.joined(parts.map(\.written), separator, within: Self.longestText) else {
                throw .exhausted("a text of more than \(Self.longestText) characters")
            }
            return .text(joined)
        case "map":
            if let attribute = arguments.named.first(where: { $0.name == "attribute" })?.value {
                return .list(try mapped(elements, by: attribute))
            }
            guard let filterName = arguments.positional.first?.written.string else {
                throw failure("map needs a filter")
            }
            var results: [JinjaValue] = []
            for element in elements {
                results.append(
                    try filter(filterName, element, (Array(arguments.positional.dropFirst()), arguments.named)))
            }
            return .list(results)
        case "select", "reject", "selectattr", "rejectattr": return try selection(name, elements, arguments.positional)
        case "unique":
            return .list(
                elements.reduce(into: []) { kept, element in
                    if !kept.contains(where: { $0.equals(element) }) { kept.append(element) }
                })
        case "sort": return .list(try sorted(elements, argument))
        case "sum":
            var total = JinjaValue.integer(0)
            for element in elements {
                guard let a = total.number, let b = element.number, !element.isLarge else {
                    throw failure(element.isLarge ? "the number is too large" : "\(element.type) is no number")
                }
                total = total.whole.flatMap { x in element.whole.map { x &+ $0 } }.map { .integer($0) } ?? .float(a + b)
            }
            return total
        case "min", "max":
            var best = elements.first
            for element in elements.dropFirst() {
                if let held = best, try compares(name == "min" ? "<" : ">", element, held) { best = element }
            }
            return best ?? .undefined(name)
        default: throw .unsupported(line: line, "the filter '\(name)'")
        }
    }

    private func mapped(_ elements: [JinjaValue], by attribute: JinjaValue) throws(JinjaError) -> [JinjaValue] {
        var values: [JinjaValue] = []
        for element in elements { values.append(try item(attribute, of: element)) }
        return values
    }

    private mutating func selection(
        _ name: String, _ elements: [JinjaValue], _ arguments: [JinjaValue]
    ) throws(JinjaError) -> JinjaValue {
        let byAttribute = name.hasSuffix("attr")
        let testArguments = byAttribute ? arguments.dropFirst() : arguments[...]
        var kept: [JinjaValue] = []
        for element in elements {
            var tested = element
            if byAttribute {
                guard let attribute = arguments.first else { throw failure("\(name) needs an attribute") }
                tested = try item(attribute, of: element)
            }
            let passes =
                try testArguments.first.map { name throws(JinjaError) in
                    try test(name.written.string, tested, Array(testArguments.dropFirst()))
                } ?? tested.isTrue
            if passes == name.hasPrefix("select") { kept.append(element) }
        }
        return .list(kept)
    }

    private mutating func sorted(_ elements: [JinjaValue], _ argument: Lookup) throws(JinjaError) -> [JinjaValue] {
        let keys =
            try argument(2, "attribute").map { attribute throws(JinjaError) in
                try mapped(elements, by: attribute)
            } ?? elements
        let isReversed = argument(0, "reverse")?.isTrue ?? false
        // Insertion sort, so that an incomparable element is an error instead of a crash; lists here are short.
        var order: [Int] = []
        for index in elements.indices {
            var position = order.count
            while position > 0, try compares(isReversed ? ">" : "<", keys[index], keys[order[position - 1]]) {
                position -= 1
            }
            try step(at: line, cost: 1 + (order.count - position))
            order.insert(index, at: position)
        }
        return order.map { elements[$0] }
    }

    // MARK: Tests

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
        case "iterable", "sequence":
            switch value {
            case .list, .text, .dictionary: return true
            case .undefined: return true
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
        case "equalto", "eq", "==", "sameas": return arguments.first.map(value.equals) ?? false
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
