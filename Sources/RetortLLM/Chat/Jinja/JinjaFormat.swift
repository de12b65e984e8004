import Foundation

/// Python's ways to put values into a text: `'%s' % x` with the filter `format`, and `'{}'.format(x)`.
struct JinjaFormat {
    let line: Int

    func failure(_ reason: String) -> JinjaError { .evaluation(line: line, reason) }

    /// `text | format(…)`
    func filter(_ text: MarkedText, _ arguments: JinjaFunction.Arguments) throws(JinjaError) -> MarkedText {
        guard arguments.positional.isEmpty || arguments.named.isEmpty else {
            throw failure("format takes values by position or by name, not both")
        }
        guard !arguments.named.isEmpty else { return try percent(text, .tuple(arguments.positional)) }
        return try percent(text, .dictionary(arguments.named.map { (key: $0.name, value: $0.value) }))
    }

    /// `text % values`
    func percent(_ text: MarkedText, _ values: JinjaValue) throws(JinjaError) -> MarkedText {
        var reader = Reader(text: text)
        var rest = if case .tuple(let all, _) = values { all } else { [values] }
        func next() throws(JinjaError) -> JinjaValue {
            guard !rest.isEmpty else { throw failure("there are fewer values than places for them") }
            return rest.removeFirst()
        }
        var written = MarkedText()
        var takesKeys = false
        while let start = reader.find("%") {
            written += start
            if reader.take("%") {
                written += MarkedText("%")
                continue
            }
            var key: String?
            if reader.take("(") { key = try reader.upTo(")", self).string }
            var layout = Layout(isPercent: true)
            reader.readFlags(&layout)
            if reader.take("*") { layout.width = try next().whole ?? 0 } else { layout.width = reader.number() }
            if reader.take(".") {
                layout.precision = try reader.take("*") ? next().whole ?? 0 : reader.number() ?? 0
            }
            _ = reader.take { "hlL".unicodeScalars.contains($0) }
            guard let type = reader.next() else { throw failure("a format ends early") }
            layout.type = type
            guard let key else {
                written += try converted(next(), &layout)
                continue
            }
            guard let value = values[key] else { throw failure("the format has no value for '\(key)'") }
            takesKeys = true
            written += try converted(value, &layout)
        }
        if !takesKeys, !rest.isEmpty, values.isMappingFree {
            throw failure("there are more values than places for them")
        }
        return written + reader.rest
    }

    private func converted(_ value: JinjaValue, _ layout: inout Layout) throws(JinjaError) -> MarkedText {
        switch layout.type {
        case "s": return try layout.laidOut(value.written)
        case "r", "a": return try layout.laidOut(value.represented)
        case "c":
            if case .text(let text) = value, text.count == 1 { return try layout.laidOut(text) }
            guard let scalar = value.whole.flatMap({ UInt32(exactly: $0) }).flatMap(Unicode.Scalar.init) else {
                throw failure("%c takes a character")
            }
            return try layout.laidOut(MarkedText(String(scalar)))
        case "i", "u": layout.type = "d"
        default: break
        }
        if layout.type == "d", case .float(let number) = value, let whole = Int(exactly: number.rounded(.towardZero)) {
            return try layout.number(.integer(whole), self)
        }
        return try layout.number(value, self)
    }

    /// `text.format(…)`
    func braces(
        _ text: MarkedText, _ arguments: JinjaFunction.Arguments, _ interpreter: JinjaInterpreter
    ) throws(JinjaError) -> MarkedText {
        var reader = Reader(text: text)
        var written = MarkedText()
        var place = 0
        while let (start, brace) = reader.find("{", "}") {
            written += start
            if reader.take(brace) {
                written += MarkedText(String(brace))
                continue
            }
            guard brace == "{" else { throw failure("a format has a '}' without '{'") }
            let field = try reader.upTo("}", self)
            guard !field.contains(MarkedText("{")) else { throw failure("a format within a format") }
            let parts = field.split(by: MarkedText(":"), limit: 1)
            var name = parts.first ?? MarkedText()
            var isRepresented = false
            if name.hasSuffix(MarkedText("!r")) || name.hasSuffix(MarkedText("!s")) {
                isRepresented = name.hasSuffix(MarkedText("!r"))
                name = name[0..<name.count - 2]
            }
            let value = try argument(name.string, arguments, &place, interpreter)
            let shown = isRepresented ? JinjaValue.text(value.represented) : value
            written += try Layout(parts.count > 1 ? parts[1] : MarkedText(), self).value(shown, self)
        }
        return written + reader.rest
    }

    /// `0.name[key]`: an argument, and the way down from it.
    private func argument(
        _ path: String, _ arguments: JinjaFunction.Arguments, _ place: inout Int, _ interpreter: JinjaInterpreter
    ) throws(JinjaError) -> JinjaValue {
        let name = path.prefix { $0 != "." && $0 != "[" }
        var value: JinjaValue
        if let index = name.isEmpty ? place : Int(name) {
            guard arguments.positional.indices.contains(index) else { throw failure("a format has no value \(index)") }
            value = arguments.positional[index]
            place += 1
        } else {
            guard let named = arguments.named.first(where: { $0.name == name })?.value else {
                throw failure("a format has no value '\(name)'")
            }
            value = named
        }
        for step in path.dropFirst(name.count).matches(of: /\.([^.\[]+)|\[([^\]]+)\]/) {
            if let attribute = step.output.1 {
                value = try interpreter.attribute(String(attribute), of: value)
            } else if let key = step.output.2 {
                value = try interpreter.item(Int(key).map { .integer($0) } ?? .text(String(key)), of: value)
            }
        }
        return value
    }
}

extension JinjaValue {
    /// Whether it is neither a mapping nor a list: what `%` accepts without a place for it.
    fileprivate var isMappingFree: Bool {
        switch self {
        case .dictionary, .list: false
        default: true
        }
    }
}

/// Reads a format from left to right.
private struct Reader {
    let text: MarkedText
    private var position = 0

    init(text: MarkedText) { self.text = text }

    var rest: MarkedText { text[position..<text.count] }

    /// The text up to a character, which is passed over; nil when there is none.
    mutating func find(_ mark: Unicode.Scalar) -> MarkedText? { find(mark, mark)?.before }

    mutating func find(
        _ mark: Unicode.Scalar, _ other: Unicode.Scalar
    ) -> (before: MarkedText, mark: Unicode.Scalar)? {
        guard let place = text.scalars[position...].firstIndex(where: { $0 == mark || $0 == other }) else { return nil }
        defer { position = place + 1 }
        return (text[position..<place], text.scalars[place])
    }

    mutating func upTo(_ end: Unicode.Scalar, _ format: JinjaFormat) throws(JinjaError) -> MarkedText {
        guard let part = find(end) else { throw format.failure("a format has no '\(end)'") }
        return part
    }

    mutating func next() -> Unicode.Scalar? {
        guard position < text.count else { return nil }
        position += 1
        return text.scalars[position - 1]
    }

    mutating func take(where condition: (Unicode.Scalar) -> Bool) -> Unicode.Scalar? {
        guard position < text.count, condition(text.scalars[position]) else { return nil }
        return next()
    }

    mutating func take(_ scalar: Unicode.Scalar) -> Bool { take { $0 == scalar } != nil }

    mutating func number() -> Int? {
        var digits = ""
        while let digit = take(where: { ("0"..."9").contains($0) }) { digits.unicodeScalars.append(digit) }
        return Int(digits)
    }

    mutating func readFlags(_ layout: inout Layout) {
        while let flag = take(where: { "-+ #0".unicodeScalars.contains($0) }) {
            switch flag {
            case "-": layout.alignment = "<"
            case "0": layout.fillsWithZeros = true
            case "#": layout.isAlternate = true
            default: layout.sign = layout.sign == "+" ? "+" : flag
            }
        }
    }
}

/// How a value is laid out: width, sign, precision and type.
private struct Layout {
    var fill: Unicode.Scalar = " "
    var alignment: Unicode.Scalar?
    var sign: Unicode.Scalar = "-"
    var isAlternate = false
    var fillsWithZeros = false
    var width: Int?
    var grouping: Unicode.Scalar?
    var precision: Int?
    var type: Unicode.Scalar?
    /// Whether it comes from `%`, where texts are at the right.
    let isPercent: Bool

    init(isPercent: Bool) { self.isPercent = isPercent }

    /// The part of a replacement field behind the colon.
    init(_ text: MarkedText, _ format: JinjaFormat) throws(JinjaError) {
        isPercent = false
        var reader = Reader(text: text)
        let aligns = "<>^=".unicodeScalars
        if text.count > 1, aligns.contains(text.scalars[1]) {
            (fill, alignment) = (text.scalars[0], text.scalars[1])
            (_, _) = (reader.next(), reader.next())
        } else {
            alignment = reader.take { aligns.contains($0) }
        }
        sign = reader.take { "+- ".unicodeScalars.contains($0) } ?? "-"
        isAlternate = reader.take("#")
        fillsWithZeros = reader.take("0")
        width = reader.number()
        grouping = reader.take { $0 == "," || $0 == "_" }
        if reader.take(".") { precision = reader.number() }
        type = reader.next()
        guard reader.rest.isEmpty else { throw format.failure("the format '\(text.string)' cannot be read") }
    }

    /// A value as `format` writes it.
    func value(_ value: JinjaValue, _ format: JinjaFormat) throws(JinjaError) -> MarkedText {
        if case .text(let text) = value {
            guard type == nil || type == "s" else { throw format.failure("a string has no format '\(type ?? " ")'") }
            return try laidOut(text)
        }
        if type == nil, precision == nil, grouping == nil, sign == "-", value.number == nil || width == nil {
            return try laidOut(value.written)
        }
        return try number(value, format)
    }

    func laidOut(_ text: MarkedText) throws(JinjaError) -> MarkedText {
        let cut = text[0..<min(precision ?? text.count, text.count)]
        return try padded(cut, signLength: 0, usual: isPercent ? ">" : "<")
    }

    func number(_ value: JinjaValue, _ format: JinjaFormat) throws(JinjaError) -> MarkedText {
        guard let number = value.number else { throw format.failure("\(value.type) is no number for a format") }
        let (body, isNegative) = try digits(of: value, number, format)
        let mark = isNegative ? "-" : sign == "-" ? "" : String(sign)
        return try padded(MarkedText(mark + body), signLength: mark.count, usual: ">")
    }

    private func digits(
        of value: JinjaValue, _ number: Double, _ format: JinjaFormat
    ) throws(JinjaError) -> (String, isNegative: Bool) {
        guard (precision ?? 0) <= 100 else { throw format.failure("a precision of \(precision ?? 0)") }
        let isNegative = number < 0 || (number == 0 && number.sign == .minus)
        let bases: [Unicode.Scalar: (Int, String)] = ["x": (16, "0x"), "X": (16, "0X"), "o": (8, "0o"), "b": (2, "0b")]
        if let type, let (base, mark) = bases[type] {
            guard let whole = value.whole else { throw format.failure("\(value.type) has no format '\(type)'") }
            let text = String(whole.magnitude, radix: base, uppercase: type == "X")
            return ((isAlternate ? mark : "") + zeros(text), isNegative)
        }
        switch type {
        case nil where !(value.isWhole || value.whole != nil) && precision == nil:
            return (grouped(JinjaValue.python(number.magnitude)), isNegative)
        case nil where value.isWhole || value.whole != nil, "d":
            guard value.isWhole || value.whole != nil else {
                throw format.failure("a decimal number has no format 'd'")
            }
            let text = value.whole.map { String($0.magnitude) } ?? value.written.string.replacing("-", with: "")
            return (grouped(zeros(text)), isNegative)
        case "%": return (String(format: "%.\(precision ?? 6)f%%", number.magnitude * 100), isNegative)
        case nil, "f", "F", "e", "E", "g", "G":
            let text = String(format: "%.\(precision ?? 6)\(type ?? "g")", number.magnitude)
            return (grouped(text), isNegative)
        case let type?: throw format.failure("the format type '\(type)'")
        }
    }

    /// In `%`, a precision is the least number of digits.
    private func zeros(_ digits: String) -> String {
        guard isPercent, let precision, digits.count < precision else { return digits }
        return String(repeating: "0", count: precision - digits.count) + digits
    }

    private func grouped(_ text: String) -> String {
        guard let grouping else { return text }
        let whole = text.prefix { $0.isNumber }
        var groups = ""
        for (index, digit) in whole.enumerated() {
            if index > 0, (whole.count - index) % 3 == 0 { groups.unicodeScalars.append(grouping) }
            groups.append(digit)
        }
        return groups + text.dropFirst(whole.count)
    }

    private func padded(
        _ text: MarkedText, signLength: Int, usual: Unicode.Scalar
    ) throws(JinjaError) -> MarkedText {
        let width = width ?? 0
        guard abs(width) <= 1 << 16 else { throw .exhausted("a text of \(width) characters") }
        let isZeroed = fillsWithZeros && alignment == nil && usual == ">"
        let fill = MarkedText(String(isZeroed ? "0" : fill))
        let missing = max(0, abs(width) - text.count)
        switch isZeroed ? "=" : width < 0 ? "<" : alignment ?? usual {
        case "<": return text + fill.repeated(missing)
        case "^": return fill.repeated(missing / 2) + text + fill.repeated(missing - missing / 2)
        case "=": return text[0..<signLength] + fill.repeated(missing) + text[signLength..<text.count]
        default: return fill.repeated(missing) + text
        }
    }
}
