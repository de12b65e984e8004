/// Numbers, words and everything else that a factor may begin with.
extension MathParser {
    mutating func primary() throws -> MathNode {
        guard let token = current else { throw MathSyntaxError("it ends too early") }
        return try nested { parser in
            switch token.kind {
            case .number(let digits):
                parser.index += 1
                return try parser.number(digits)
            case .name(let name):
                parser.index += 1
                return try parser.named(name)
            case .command(let name):
                parser.index += 1
                return try parser.command(name)
            case .text(let words):
                parser.index += 1
                return Self.words(words)
            case .mark(let mark): return try parser.bracketed(mark)
            }
        }
    }

    static func words(_ words: String) -> MathNode {
        if let value = MathNames.number(words) { return .integer(value) }
        let trimmed = words.trimmingCharacters(in: .whitespaces)
        if trimmed.count == 1, let letter = trimmed.first, letter.isLetter { return symbol(trimmed) }
        // A number or a formula inside \text{}; words stay words.
        if trimmed.contains(where: \.isNumber), trimmed.utf8.count < 60, !trimmed.contains(where: \.isLetter),
            let node = try? MathParser.parse(trimmed)
        {
            return node
        }
        return .text(words)
    }

    mutating func number(_ digits: String) throws -> MathNode {
        let parts = digits.split(whereSeparator: { $0 == "e" || $0 == "E" })
        guard let first = parts.first, let exponent = parts.count == 2 ? Int(parts[1]) : 0,
            var value = Rational(decimal: first, exponent: exponent)
        else { throw MathFault.tooLarge }
        let places = first.firstIndex(of: ".").map { first.distance(from: $0, to: first.endIndex) - 1 - exponent }
        // 0.\overline{27}
        if let places, current?.isCommand("overline") == true, peek(1)?.isMark("{") == true,
            case .number(let period)? = peek(2)?.kind, peek(3)?.isMark("}") == true,
            let tail = Rational(decimal: period, exponent: -places), let nines = Rational(10).power(period.count)
        {
            index += 4
            value = value + tail / (nines - 1)
            return .number(value, places: nil)
        }
        return .number(value, places: places.map { max($0, 0) } ?? (exponent < 0 ? -exponent : nil))
    }

    static func symbol(_ name: String) -> MathNode {
        switch MathNames.constants[name] {
        case "oo": .infinity
        case let constant?: .symbol(constant)
        case nil: .symbol(name)
        }
    }
}
