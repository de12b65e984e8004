import Foundation

extension JinjaInterpreter {
    private static let textFilters: [String: [String]] = [
        "trim": ["chars"], "upper": [], "lower": [], "title": [], "capitalize": [], "string": [], "safe": [],
        "replace": ["old", "new", "count"], "indent": ["width", "first", "blank"], "escape": [], "e": [],
        "center": ["width"],
    ]
    private static let numberFilters: [String: [String]] = [
        "int": ["default", "base"], "float": ["default"], "abs": [], "round": ["precision", "method"],
        "length": [], "count": [], "wordcount": [],
    ]
    private static let valueFilters: [String: [String]] = [
        "default": ["default_value", "boolean"], "d": ["default_value", "boolean"], "items": [], "attr": ["name"],
        "dictsort": ["case_sensitive", "by", "reverse"],
    ]

    /// Applies a filter to a value.
    mutating func filter(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaFunction.Arguments
    ) throws(JinjaError) -> JinjaValue {
        try step(at: line, cost: size(of: value))
        func given(_ parameters: [String]) throws(JinjaError) -> JinjaGiven {
            try JinjaGiven(arguments, for: parameters, of: name, line: line)
        }
        switch name {
        case "tojson": return .text(try JinjaJSON(arguments, line: line).text(of: value))
        case "format": return .text(try JinjaFormat(line: line).filter(value.written, arguments))
        case "map": return .list(try mapped(value, arguments))
        case "select", "reject", "selectattr", "rejectattr": return .list(try selection(name, value, arguments))
        default: break
        }
        if let parameters = Self.textFilters[name] {
            return .text(try textFilter(name, value.written, try given(parameters)))
        }
        if let parameters = Self.numberFilters[name] { return try numberFilter(name, value, try given(parameters)) }
        if let parameters = Self.valueFilters[name] { return try valueFilter(name, value, try given(parameters)) }
        guard let parameters = Self.listFilters[name] else { throw .unsupported(line: line, "the filter '\(name)'") }
        return try listFilter(name, value, try given(parameters))
    }

    private func size(of value: JinjaValue) -> Int {
        if case .text(let text) = value { return text.count / 64 }
        return (value.elements?.count ?? 0) / 8
    }

    func length(of value: JinjaValue) throws(JinjaError) -> Int {
        switch value {
        case .text(let text): text.count
        case .list(let elements), .tuple(let elements, _): elements.count
        case .dictionary(let members): members.count
        case .undefined: 0
        default: throw failure("\(value.type) has no length")
        }
    }

    // MARK: Any value

    private mutating func valueFilter(
        _ name: String, _ value: JinjaValue, _ given: JinjaGiven
    ) throws(JinjaError) -> JinjaValue {
        switch name {
        case "items":
            if value.isUndefined { return .list([]) }
            guard case .dictionary(let members) = value else { throw failure("\(value.type) has no items") }
            return .list(members.map { .tuple([.text($0.key), $0.value]) })
        case "dictsort":
            guard case .dictionary(let members) = value else { throw failure("\(value.type) is no mapping") }
            return try sortedItems(members, given)
        case "attr":
            guard let part = given.text("name")?.string else { throw failure("attr needs a name") }
            // Unlike a dot, it finds no member of a mapping.
            if case .dictionary = value { return JinjaLibrary.method(part, of: value) ?? .undefined(part) }
            return try attribute(part, of: value)
        default:
            let replaces = value.isUndefined || (given.isTrue("boolean") && !value.isTrue)
            return replaces ? given["default_value"] ?? .text("") : value
        }
    }

    private mutating func sortedItems(
        _ members: [(key: String, value: JinjaValue)], _ given: JinjaGiven
    ) throws(JinjaError) -> JinjaValue {
        let by = given["by"]?.written.string ?? "key"
        guard ["key", "value"].contains(by) else { throw failure("dictsort sorts by 'key' or by 'value'") }
        let folds = !given.isTrue("case_sensitive")
        let keys = members.map { member in
            let key = by == "key" ? JinjaValue.text(member.key) : member.value
            return folds ? key.ignoringCase : key
        }
        let items = members.map { JinjaValue.tuple([.text($0.key), $0.value]) }
        return .list(try sorted(items, by: keys, reversed: given.isTrue("reverse")))
    }

    // MARK: Text

    private func textFilter(_ name: String, _ text: MarkedText, _ given: JinjaGiven) throws(JinjaError) -> MarkedText {
        switch name {
        case "trim":
            guard given.some("chars") == nil || given.text("chars") != nil else { throw failure("trim takes a string") }
            return text.stripped(given.text("chars"))
        case "upper": return text.uppercased
        case "lower": return text.lowercased
        case "title": return text.titledByBlanks
        case "capitalize": return text.capitalized
        case "replace":
            guard let old = given["old"]?.written, let new = given["new"]?.written else {
                throw failure("replace takes two strings")
            }
            return try bounded(text.replacing(old, with: new, limit: given["count"]?.whole, within: Self.longestText))
        case "indent": return try indented(text, given)
        case "escape", "e": return text.mapping { Self.entities[$1] ?? String($1) }
        case "center":
            let width = given["width"]?.whole ?? 80
            guard width <= 1 << 16 else { throw .exhausted("a text of \(width) characters") }
            return text.centred(in: width, fill: " ")
        default: return text
        }
    }

    private static let entities: [Unicode.Scalar: String] = [
        "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", "\"": "&#34;",
    ]

    private func bounded(_ text: MarkedText?) throws(JinjaError) -> MarkedText {
        guard let text else { throw .exhausted("a text of more than \(Self.longestText) characters") }
        return text
    }

    private func indented(_ text: MarkedText, _ given: JinjaGiven) throws(JinjaError) -> MarkedText {
        var indent = given.text("width")
        if indent == nil {
            guard let width = given["width"].map(\.whole) ?? 4, width <= 64 else {
                throw failure("an indent is a string, or a number up to 64")
            }
            indent = MarkedText(String(repeating: " ", count: max(width, 0)))
        }
        guard let indent, indent.count <= 64 else { throw failure("an indent of more than 64 characters") }
        let (isFirst, isBlank) = (given.isTrue("first"), given.isTrue("blank"))
        let lines = (text + MarkedText("\n")).lines().enumerated().map { index, line in
            (index == 0 ? isFirst : isBlank || !line.isEmpty) ? indent + line : line
        }
        return try bounded(JinjaValue.joined(lines, MarkedText("\n"), within: Self.longestText))
    }

    // MARK: Numbers

    private func numberFilter(_ name: String, _ value: JinjaValue, _ given: JinjaGiven) throws(JinjaError) -> JinjaValue
    {
        switch name {
        case "length", "count": return .integer(try length(of: value))
        case "wordcount":
            let letters = value.written.scalars.map(\.isWordInPython)
            return .integer(letters.indices.count { letters[$0] && ($0 == 0 || !letters[$0 - 1]) })
        case "int": return Self.whole(value, base: given["base"]?.whole ?? 10) ?? given["default"] ?? .integer(0)
        case "float": return Self.decimal(value).map { .float($0) } ?? given["default"] ?? .float(0)
        case "abs":
            if case .large(let digits) = value { return .large(digits.replacing("-", with: "")) }
            guard let number = value.number else { throw failure("\(value.type) is no number") }
            guard let whole = value.whole else { return .float(number.magnitude) }
            return whole == .min ? .large("9223372036854775808") : .integer(abs(whole))
        default: return try rounded(value, given)
        }
    }

    private static func decimal(_ value: JinjaValue) -> Double? {
        guard case .text(let text) = value else { return value.number }
        return decimal(text.stripped().string)
    }

    /// Unlike Swift, Python reads no hexadecimal fractions.
    private static func decimal(_ text: String) -> Double? { text.lowercased().contains("x") ? nil : Double(text) }

    /// Python's `int`; nil for what is no number.
    private static func whole(_ value: JinjaValue, base: Int) -> JinjaValue? {
        guard case .text(let text) = value else {
            if value.isLarge { return value }
            if let whole = value.whole { return .integer(whole) }
            return value.number.flatMap { Int(exactly: $0.rounded(.towardZero)) }.map { .integer($0) }
        }
        var digits = text.stripped().string.replacing("_", with: "").lowercased()
        if base == 10 {
            // Whole numbers beyond 64 bits are kept as digits.
            if let plain = JinjaValue.wholeDigits(digits) { return Int(plain).map { .integer($0) } ?? .large(plain) }
            return decimal(digits).flatMap { Int(exactly: $0.rounded(.towardZero)) }.map { .integer($0) }
        }
        guard 2...36 ~= base else { return nil }
        let mark = [2: "0b", 8: "0o", 16: "0x"][base] ?? ""
        if !mark.isEmpty, digits.hasPrefix(mark) { digits.removeFirst(mark.count) }
        return Int(digits, radix: base).map { .integer($0) }
    }

    private func rounded(_ value: JinjaValue, _ given: JinjaGiven) throws(JinjaError) -> JinjaValue {
        guard let number = value.number, !value.isLarge else { throw failure("\(value.type) cannot be rounded") }
        let precision = given["precision"]?.whole ?? 0
        guard -18...18 ~= precision else { throw failure("a precision of \(precision)") }
        let scale = Foundation.pow(10, Double(precision))
        switch given["method"]?.written.string ?? "common" {
        case "ceil": return .float((number * scale).rounded(.up) / scale)
        case "floor": return .float((number * scale).rounded(.down) / scale)
        case "common":
            if let whole = value.whole, precision >= 0 { return .integer(whole) }
            // Rounded by its exact decimal digits, as in Python: 2.675 is below 2.675.
            let exact = Double(String(format: "%.\(max(precision, 0))f", number)) ?? number
            let result = precision >= 0 ? exact : (number * scale).rounded(.toNearestOrEven) / scale
            return value.whole == nil ? .float(result) : .integer(Int(result))
        default: throw failure("round's method is 'common', 'ceil' or 'floor'")
        }
    }
}
