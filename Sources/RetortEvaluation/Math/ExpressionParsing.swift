/// Sums, products, powers and what follows a value.
extension MathParser {
    mutating func sum() throws -> MathNode {
        try nested { parser in
            var terms: [MathNode] = []
            if parser.take("±") {
                terms = [.plusMinus(nil, try parser.product())]
            } else {
                terms = [try parser.product()]
            }
            while true {
                if parser.take("+") {
                    terms.append(try parser.product())
                } else if parser.isMark("-") {
                    parser.index += 1
                    terms.append(.negated(try parser.product()))
                } else if parser.take("±") {
                    let left: MathNode = terms.count == 1 ? terms[0] : .sum(terms)
                    terms = [.plusMinus(left, try parser.product())]
                } else {
                    break
                }
                guard terms.count <= MathLimits.parts else { throw MathFault.tooLarge }
            }
            return parser.withUnit(terms.count == 1 ? terms[0] : .sum(terms))
        }
    }

    mutating func product() throws -> MathNode {
        var value = try signed()
        while let token = current {
            if token.isMark("*") {
                index += 1
                value = Self.times(value, try signed())
            } else if token.isMark("/") || token.isMark("∖") {
                index += 1
                value = Self.quotient(value, try signed())
            } else if startsFactor(token), !isUnit() {
                if case .text = value { throw MathSyntaxError("words stand before '\(token.display)'") }
                value = try juxtaposed(value)
            } else {
                break
            }
        }
        return value
    }

    /// In `20/3%` the whole fraction is a percentage: nobody divides by a percentage of a whole number.
    private static func quotient(_ a: MathNode, _ b: MathNode) -> MathNode {
        func isWhole(_ node: MathNode) -> Bool {
            if case .number(let value, _) = node { value.isInteger } else { false }
        }
        if case .percent(let bottom) = b, isWhole(a), isWhole(bottom) { return .percent(.quotient(a, bottom)) }
        return .quotient(a, b)
    }

    static func times(_ a: MathNode, _ b: MathNode) -> MathNode {
        if case .product(let parts) = a { return .product(parts + [b]) }
        return .product([a, b])
    }

    /// A factor that follows without an operator.
    mutating func juxtaposed(_ value: MathNode) throws -> MathNode {
        let start = index
        // Python's 5j
        if current?.isSpaced == false, case .number = value, current?.kind == .name("j") {
            index += 1
            return Self.times(value, .symbol("i"))
        }
        let factor = try power()
        if case .number = factor, case .number = value, start > 0 {
            throw MathSyntaxError("two numbers stand side by side")
        }
        return Self.times(value, factor)
    }

    mutating func signed() throws -> MathNode {
        try nested { parser in
            if parser.take("-") { return .negated(try parser.signed()) }
            if parser.take("+") { return try parser.signed() }
            return try parser.power()
        }
    }

    /// - Parameter numbers: whether a whole number takes the fraction after it; TeX's exponents are single tokens.
    mutating func power(_ numbers: MixedNumbers = .read) throws -> MathNode {
        let base = try postfix(numbers)
        guard isMark("^") else { return base }
        return try raised(base)
    }

    mutating func raised(_ base: MathNode) throws -> MathNode {
        index += 1
        // 90^\circ and 90^{\circ}
        if take("°") { return degrees(base) }
        if isMark("{"), peek(1)?.isMark("°") == true, peek(2)?.isMark("}") == true {
            index += 3
            return degrees(base)
        }
        let exponent = try nested { parser in
            if parser.take("-") { return MathNode.negated(try parser.power(.leave)) }
            _ = parser.take("+")
            return try parser.power(.leave)
        }
        return .power(base, exponent)
    }

    /// An angle, or a temperature where a scale follows.
    mutating func degrees(_ value: MathNode) -> MathNode {
        let scale: String
        switch current?.kind {
        case .name(let name): scale = name
        case .text(let words): scale = words.trimmingCharacters(in: .whitespaces)
        case .mark("{"):
            guard case .name(let name)? = peek(1)?.kind, peek(2)?.isMark("}") == true, name == "C" || name == "F"
            else { return .degrees(value) }
            index += 3
            return .quantity(value, unit: "°\(name)")
        default: return .degrees(value)
        }
        let names = ["C": "C", "Celsius": "C", "celsius": "C", "F": "F", "Fahrenheit": "F", "fahrenheit": "F"]
        guard let name = names[scale] else { return .degrees(value) }
        index += 1
        return .quantity(value, unit: "°\(name)")
    }

    /// Whether a whole number and a fraction side by side are one number.
    enum MixedNumbers { case read, leave }

    /// A number with its fraction: `2\frac{1}{2}`, `4 1/2`, `{-2}{\frac12}`. The sign and the marks around it, as in
    /// `-2\frac{1}{2}\%`, apply to the whole.
    mutating func mixed() throws -> MathNode {
        let first = current
        let node = try primary()
        guard let first, case .number(let value, nil) = node, value.isInteger else { return node }
        let isBraced = first.isMark("{")
        guard isBraced || first.isNumber, isBraced || !value.isNegative else { return node }
        if let fraction = try properFraction() {
            return .number(value.isNegative ? value - fraction : value + fraction, places: nil)
        }
        // `4 1/2`
        if !isBraced, case .number(let digits)? = current?.kind, current?.isSpaced == true,
            peek(1)?.isMark("/") == true,
            case .number(let other)? = peek(2)?.kind, let top = Rational(decimal: digits), top.isInteger,
            let bottom = Rational(decimal: other), bottom.isInteger, Rational.zero < top, top < bottom
        {
            index += 3
            return .number(value + top / bottom, places: nil)
        }
        return node
    }

    /// Moves past a `\frac` below 1, perhaps in braces of its own; nil, and no move, where none is here.
    private mutating func properFraction() throws -> Rational? {
        let start = self
        let isBraced = isMark("{") && peek(1)?.isCommand("frac") == true
        if isBraced { index += 1 }
        guard takeCommand("frac") else { return nil }
        if case .number(let top, nil) = try group(), case .number(let bottom, nil) = try group(), top.isInteger,
            bottom.isInteger, Rational.zero < top, top < bottom, !isBraced || take("}"), !isMark("^") || isDegree()
        {
            return top / bottom
        }
        self = start
        return nil
    }

    /// Whether the exponent that follows is the mark of degrees.
    private func isDegree() -> Bool { peek(1)?.isMark("°") == true || peek(2)?.isMark("°") == true }

    mutating func postfix(_ numbers: MixedNumbers = .read) throws -> MathNode {
        var value = numbers == .read ? try mixed() : try primary()
        while let token = current {
            if token.isMark("!") {
                value = .function("factorial", [value])
            } else if token.isMark("%") {
                value = .percent(value)
            } else if token.isMark("°") {
                index += 1
                value = degrees(value)
                continue
            } else if token.isMark("'") || token.isCommand("prime") {
                // A derivative's mark is part of its name.
                guard case .symbol(let name) = value else { break }
                value = .symbol(name + "'")
            } else {
                break
            }
            index += 1
        }
        return value
    }

    func startsFactor(_ token: MathToken) -> Bool {
        switch token.kind {
        case .number, .name: true
        case .command(let name): !["\\", "end", "rfloor", "rceil", "choose"].contains(name)
        case .text: false
        case .mark(let mark): ["(", "[", "{", "\\{", "√"].contains(mark) || (mark == "|" && barDepth == 0)
        }
    }
}
