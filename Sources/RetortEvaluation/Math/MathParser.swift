import Foundation

/// Reads an answer written in LaTeX, plain text, Python or SymPy.
///
/// Hand-written because Swift has no such library; checked against Math-Verify by `Tools/compare_graders.py`.
struct MathParser {
    let tokens: [MathToken]
    var index = 0
    var depth = 0
    /// Marks that end an expression where the parser stands, such as `|` inside an absolute value.
    var barDepth = 0

    /// - Throws: `MathSyntaxError`, `MathFault.tooLarge`.
    static func parse(_ text: String, groupsThousands: Bool = true) throws -> MathNode {
        if let numeral = numeral(text) { return numeral }
        var parser = MathParser(tokens: try MathLexer.tokens(text, groupsThousands: groupsThousands))
        while parser.tokens.count > parser.index, parser.take(".") {}
        guard parser.current != nil else { throw MathSyntaxError("nothing is written") }
        let node = try parser.answer()
        while parser.take(".") {}
        if let token = parser.current { throw MathSyntaxError("'\(token.display)' does not belong there") }
        return node
    }

    init(tokens: [MathToken]) { self.tokens = tokens }

    /// `52_8`, `-37_{8}`, `A5_{11}` or `\text{A5}_{11}`.
    static func numeral(_ text: String) -> MathNode? {
        guard text.contains("_") else { return nil }
        let pattern = /^\s*(-?)\s*\(?(?:\\text\{)?([0-9A-Za-z]+)\}?\)?\s*_\s*\{?([0-9]{1,2})\}?\s*$/
        guard let match = text.firstMatch(of: pattern), let base = Int(match.3), (2...36).contains(base),
            match.2.contains(where: \.isNumber), match.2.count <= 400,
            match.2.allSatisfy({ ($0.hexDigitValue ?? $0.base36Value ?? 99) < base })
        else { return nil }
        return .numeral(match.1 + match.2.uppercased(), base: base)
    }

    // MARK: Tokens

    var current: MathToken? { index < tokens.count ? tokens[index] : nil }

    func peek(_ offset: Int) -> MathToken? { index + offset < tokens.count ? tokens[index + offset] : nil }

    func isMark(_ mark: String) -> Bool { current?.isMark(mark) == true }

    mutating func take(_ mark: String) -> Bool {
        guard isMark(mark) else { return false }
        index += 1
        return true
    }

    mutating func takeCommand(_ name: String) -> Bool {
        guard current?.isCommand(name) == true else { return false }
        index += 1
        return true
    }

    mutating func expect(_ mark: String) throws {
        guard take(mark) else {
            throw MathSyntaxError("'\(mark)' is missing before '\(current?.display ?? "the end")'")
        }
    }

    /// Bounds the recursion, so that nested brackets cost no stack.
    mutating func nested<T>(_ body: (inout MathParser) throws -> T) throws -> T {
        depth += 1
        defer { depth -= 1 }
        guard depth <= MathLimits.depth else { throw MathFault.tooLarge }
        return try body(&self)
    }

    // MARK: Lists and relations

    mutating func answer() throws -> MathNode {
        var parts = [try element()]
        while takeSeparator() {
            guard let token = current, !token.isMark(".") else { break }
            _ = token
            parts.append(try element())
            guard parts.count <= MathLimits.parts else { throw MathFault.tooLarge }
        }
        return parts.count == 1 ? parts[0] : .list(parts, .none)
    }

    /// A comma, a semicolon, `and` or `or`; several of them count as one.
    mutating func takeSeparator() -> Bool {
        var found = false
        while let token = current {
            switch token.kind {
            case .mark(","), .mark(";"): break
            case .text(let words) where ["and", "or"].contains(words.trimmingCharacters(in: .whitespaces).lowercased()):
                break
            default: return found
            }
            index += 1
            found = true
        }
        return found
    }

    /// An expression or a chain of relations.
    mutating func element() throws -> MathNode {
        try nested { parser in
            var parts = [try parser.union()]
            var relations: [MathNode.Relation] = []
            while let relation = parser.takeRelation() {
                relations.append(relation)
                parts.append(try parser.union())
                guard parts.count <= 16 else { throw MathFault.tooLarge }
            }
            return relations.isEmpty ? parts[0] : .relation(parts, relations)
        }
    }

    mutating func takeRelation() -> MathNode.Relation? {
        if case .name("in")? = current?.kind, let next = peek(1), next.isMark("[") || next.isMark("(") {
            index += 1
            return .element
        }
        guard case .mark(let mark)? = current?.kind, let relation = MathNode.Relation(rawValue: mark) else {
            return nil
        }
        index += 1
        return relation
    }

    mutating func union() throws -> MathNode {
        var parts = [try ratio()]
        while take("∪") { parts.append(try ratio()) }
        return parts.count == 1 ? parts[0] : .union(parts)
    }

    mutating func ratio() throws -> MathNode {
        var parts = [try sum()]
        while take(":") { parts.append(try sum()) }
        guard parts.count > 1 else { return parts[0] }
        // `8:34 p.m.`
        if case .quantity(let value, _)? = parts.last { parts[parts.count - 1] = value }
        return .ratio(parts)
    }

    // MARK: Expressions

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

    // MARK: Primaries

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

    /// A name with its subscript, a function with its arguments, or a Python or SymPy constructor.
    mutating func named(_ name: String) throws -> MathNode {
        if ["np", "sympy"].contains(name), take("."), case .name(let member)? = current?.kind {
            index += 1
            return try named(member)
        }
        if MathNames.builders.contains(name) { return try built(name) }
        if let function = MathNames.functions[name] { return try applied(function) }
        if name == "Reals" { return .interval(.negated(.infinity), .infinity, leftOpen: true, rightOpen: true) }
        if name == "EmptySet" { return emptySet() }
        return try subscripted(Self.symbol(name))
    }

    mutating func emptySet() -> MathNode {
        if isMark("("), peek(1)?.isMark(")") == true { index += 2 }
        return .list([], .braces)
    }

    mutating func subscripted(_ value: MathNode) throws -> MathNode {
        guard case .symbol(let name) = value, take("_") else { return value }
        var text = ""
        if take("{") {
            while let token = current, !token.isMark("}") {
                text += token.display
                index += 1
            }
            try expect("}")
        } else if let token = current {
            text = token.display
            index += 1
        }
        return .symbol("\(name)_\(text)")
    }

    /// A function and what it is applied to: `\sin^2 x`, `\log_2 8`, `\cos 2x`, `acos(1/8)`.
    mutating func applied(_ function: String) throws -> MathNode {
        var base: MathNode?
        var exponent: MathNode?
        if function == "log", take("_") { base = try group() }
        if take("^") { exponent = try isMark("-") ? signed() : group() }
        let arguments = try arguments()
        var value: MathNode
        switch (function, base, arguments.count) {
        case ("log", let base?, _): value = Self.logarithm(arguments[0], base)
        case ("log", nil, 2): value = Self.logarithm(arguments[0], arguments[1])
        case ("log2", _, _): value = Self.logarithm(arguments[0], .integer(2))
        case ("log10", _, _): value = Self.logarithm(arguments[0], .integer(10))
        default: value = .function(function, arguments)
        }
        if let exponent {
            if exponent == .integer(-1), ["sin", "cos", "tan", "cot", "sec", "csc"].contains(function) {
                value = .function("arc\(function)", arguments)
            } else {
                value = .power(value, exponent)
            }
        }
        return value
    }

    static func logarithm(_ value: MathNode, _ base: MathNode) -> MathNode {
        .quotient(.function("log", [value]), .function("log", [base]))
    }

    /// Arguments in brackets, or the factors that follow.
    mutating func arguments() throws -> [MathNode] {
        if isMark("(") {
            index += 1
            return try elements(until: [")"]).parts
        }
        var value = try signed()
        while let token = current, startsFactor(token), !isFunction(token), !isUnit() {
            value = Self.times(value, try power())
        }
        return [value]
    }

    func isFunction(_ token: MathToken) -> Bool {
        switch token.kind {
        case .name(let name), .command(let name): MathNames.functions[name] != nil
        default: false
        }
    }
}

extension MathToken {
    /// As it is named in messages.
    var display: String {
        switch kind {
        case .number(let text), .name(let text), .text(let text), .mark(let text): text
        case .command(let name): "\\\(name)"
        }
    }
}

extension Character {
    /// 10 for `A`, 35 for `Z`.
    var base36Value: Int? {
        guard let value = uppercased().unicodeScalars.first?.value, (65...90).contains(value) else { return nil }
        return Int(value) - 55
    }
}
