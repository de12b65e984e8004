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
                value = .quotient(value, try signed())
            } else if startsFactor(token), !isUnit() {
                value = try juxtaposed(value)
            } else {
                break
            }
        }
        return value
    }

    static func times(_ a: MathNode, _ b: MathNode) -> MathNode {
        if case .product(let parts) = a { return .product(parts + [b]) }
        return .product([a, b])
    }

    /// What follows without an operator: a factor, or the fraction of a mixed number.
    mutating func juxtaposed(_ value: MathNode) throws -> MathNode {
        let isSpaced = current?.isSpaced == true
        let start = index
        // Python's 5j
        if !isSpaced, case .number = value, current?.kind == .name("j") {
            index += 1
            return Self.times(value, .symbol("i"))
        }
        let factor = try power()
        if case .number(let whole, nil) = value, whole.isInteger, !whole.isNegative {
            if case .quotient(.number(let top, nil), .number(let bottom, nil)) = factor, top.isInteger,
                bottom.isInteger, Rational(0) < top, top < bottom
            {
                return .number(whole + top / bottom, places: nil)
            }
            // `4 1/2`
            if isSpaced, case .number(let top, nil) = factor, top.isInteger, isMark("/"),
                case .number(let digits)? = peek(1)?.kind, let bottom = Rational(decimal: digits), bottom.isInteger,
                top < bottom
            {
                index += 2
                return .number(whole + top / bottom, places: nil)
            }
        }
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

    mutating func power() throws -> MathNode {
        let base = try postfix()
        guard isMark("^") else { return base }
        return try raised(base)
    }

    mutating func raised(_ base: MathNode) throws -> MathNode {
        index += 1
        // 90^\circ and 90^{\circ}
        if take("°") { return .degrees(base) }
        if isMark("{"), peek(1)?.isMark("°") == true, peek(2)?.isMark("}") == true {
            index += 3
            return .degrees(base)
        }
        let exponent = try nested { parser in
            if parser.take("-") { return MathNode.negated(try parser.power()) }
            if parser.take("+") { return try parser.power() }
            return try parser.power()
        }
        return .power(base, exponent)
    }

    mutating func postfix() throws -> MathNode {
        var value = try primary()
        while let token = current {
            if token.isMark("!") {
                value = .function("factorial", [value])
            } else if token.isMark("%") {
                value = .percent(value)
            } else if token.isMark("°") {
                value = .degrees(value)
            } else if token.isMark("'") || token.isCommand("prime") {
                // A derivative's mark belongs to its name.
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
