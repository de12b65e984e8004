import Foundation

/// Reads an answer written in LaTeX, plain text, Python or SymPy.
///
/// Hand-written because Swift has no such library; checked against Math-Verify by `Tools/compare_graders.py`.
struct MathParser {
    private let tokens: [MathToken]
    private var index = 0
    private var depth = 0
    /// Marks that end an expression where the parser stands, such as `|` inside an absolute value.
    private var barDepth = 0

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

    private init(tokens: [MathToken]) { self.tokens = tokens }

    /// `52_8`, `-37_{8}`, `A5_{11}` or `\text{A5}_{11}`.
    private static func numeral(_ text: String) -> MathNode? {
        guard text.contains("_") else { return nil }
        let pattern = /^\s*(-?)\s*\(?(?:\\text\{)?([0-9A-Za-z]+)\}?\)?\s*_\s*\{?([0-9]{1,2})\}?\s*$/
        guard let match = text.firstMatch(of: pattern), let base = Int(match.3), (2...36).contains(base),
            match.2.contains(where: \.isNumber), match.2.count <= 400,
            match.2.allSatisfy({ ($0.hexDigitValue ?? $0.base36Value ?? 99) < base })
        else { return nil }
        return .numeral(match.1 + match.2.uppercased(), base: base)
    }

    // MARK: Tokens

    private var current: MathToken? { index < tokens.count ? tokens[index] : nil }

    private func peek(_ offset: Int) -> MathToken? { index + offset < tokens.count ? tokens[index + offset] : nil }

    private func isMark(_ mark: String) -> Bool { current?.isMark(mark) == true }

    private mutating func take(_ mark: String) -> Bool {
        guard isMark(mark) else { return false }
        index += 1
        return true
    }

    private mutating func takeCommand(_ name: String) -> Bool {
        guard current?.isCommand(name) == true else { return false }
        index += 1
        return true
    }

    private mutating func expect(_ mark: String) throws {
        guard take(mark) else {
            throw MathSyntaxError("'\(mark)' is missing before '\(current?.display ?? "the end")'")
        }
    }

    /// Bounds the recursion, so that nested brackets cost no stack.
    private mutating func nested<T>(_ body: (inout MathParser) throws -> T) throws -> T {
        depth += 1
        defer { depth -= 1 }
        guard depth <= MathLimits.depth else { throw MathFault.tooLarge }
        return try body(&self)
    }

    // MARK: Lists and relations

    private mutating func answer() throws -> MathNode {
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
    private mutating func takeSeparator() -> Bool {
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
    private mutating func element() throws -> MathNode {
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

    private mutating func takeRelation() -> MathNode.Relation? {
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

    private mutating func union() throws -> MathNode {
        var parts = [try ratio()]
        while take("∪") { parts.append(try ratio()) }
        return parts.count == 1 ? parts[0] : .union(parts)
    }

    private mutating func ratio() throws -> MathNode {
        var parts = [try sum()]
        while take(":") { parts.append(try sum()) }
        guard parts.count > 1 else { return parts[0] }
        // `8:34 p.m.`
        if case .quantity(let value, _)? = parts.last { parts[parts.count - 1] = value }
        return .ratio(parts)
    }

    // MARK: Expressions

    private mutating func sum() throws -> MathNode {
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

    private mutating func product() throws -> MathNode {
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

    private static func times(_ a: MathNode, _ b: MathNode) -> MathNode {
        if case .product(let parts) = a { return .product(parts + [b]) }
        return .product([a, b])
    }

    /// What follows without an operator: a factor, or the fraction of a mixed number.
    private mutating func juxtaposed(_ value: MathNode) throws -> MathNode {
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

    private mutating func signed() throws -> MathNode {
        try nested { parser in
            if parser.take("-") { return .negated(try parser.signed()) }
            if parser.take("+") { return try parser.signed() }
            return try parser.power()
        }
    }

    private mutating func power() throws -> MathNode {
        let base = try postfix()
        guard isMark("^") else { return base }
        return try raised(base)
    }

    private mutating func raised(_ base: MathNode) throws -> MathNode {
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

    private mutating func postfix() throws -> MathNode {
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

    private func startsFactor(_ token: MathToken) -> Bool {
        switch token.kind {
        case .number, .name: true
        case .command(let name): !["\\", "end", "rfloor", "rceil", "choose"].contains(name)
        case .text: false
        case .mark(let mark): ["(", "[", "{", "\\{", "√"].contains(mark) || (mark == "|" && barDepth == 0)
        }
    }

    // MARK: Units

    /// Whether a known unit stands here, after white space and a number, as in `12 cm`.
    private func isUnit() -> Bool {
        guard let token = current, token.isSpaced, case .name(let name) = token.kind else { return false }
        guard index > 0, case .number = tokens[index - 1].kind else { return false }
        guard MathNames.units[name] != nil || name == "in" else { return false }
        return name.count > 1 || peek(1) == nil
    }

    /// A value with the words that follow it.
    private mutating func withUnit(_ value: MathNode) -> MathNode {
        var words: [String] = []
        let isNamed = isUnit()
        while let token = current {
            if case .text(let text) = token.kind, !Self.separators.contains(Self.plainWords(text)) {
                words.append(text)
            } else if words.isEmpty, isNamed, case .name(let name) = token.kind {
                words.append(name == "in" ? "inch" : name)
            } else if !words.isEmpty, token.isMark("^"), case .number(let digit)? = peek(1)?.kind {
                words.append("^\(digit)")
                index += 1
            } else if !words.isEmpty, token.isMark("^"), peek(1)?.isMark("{") == true,
                case .number(let digit)? = peek(2)?.kind, peek(3)?.isMark("}") == true
            {
                words.append("^\(digit)")
                index += 3
            } else if !words.isEmpty, token.isMark("/") || token.isMark(".") || token.isMark("'") {
                words.append("/")
            } else if !words.isEmpty, case .name(let name) = token.kind {
                words.append(name)
            } else {
                break
            }
            index += 1
        }
        return words.isEmpty ? value : Self.quantity(value, words)
    }

    private static let separators: Set<String> = ["and", "or"]

    private static func plainWords(_ text: String) -> String {
        text.trimmingCharacters(in: .whitespaces.union(.punctuationCharacters)).lowercased()
    }

    private static func quantity(_ value: MathNode, _ words: [String]) -> MathNode {
        let text = words.joined(separator: " ").replacing(" ^", with: "^")
        let name = text.trimmingCharacters(in: CharacterSet(charactersIn: " ./'")).lowercased()
        if let unit = MathNames.units[name] ?? MathNames.units[name.replacing("^2", with: "")], !name.contains("^") {
            switch unit.kind {
            case "share": return .percent(value)
            case "angle": return .degrees(value)
            default: return .quantity(value, unit: unit.name)
            }
        }
        return .quantity(value, unit: name)
    }

    // MARK: Primaries

    private mutating func primary() throws -> MathNode {
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

    private static func words(_ words: String) -> MathNode {
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

    private mutating func number(_ digits: String) throws -> MathNode {
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

    private static func symbol(_ name: String) -> MathNode {
        switch MathNames.constants[name] {
        case "oo": .infinity
        case let constant?: .symbol(constant)
        case nil: .symbol(name)
        }
    }

    /// A name with its subscript, a function with its arguments, or a Python or SymPy constructor.
    private mutating func named(_ name: String) throws -> MathNode {
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

    private mutating func emptySet() -> MathNode {
        if isMark("("), peek(1)?.isMark(")") == true { index += 2 }
        return .list([], .braces)
    }

    private mutating func subscripted(_ value: MathNode) throws -> MathNode {
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
    private mutating func applied(_ function: String) throws -> MathNode {
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

    private static func logarithm(_ value: MathNode, _ base: MathNode) -> MathNode {
        .quotient(.function("log", [value]), .function("log", [base]))
    }

    /// Arguments in brackets, or the factors that follow.
    private mutating func arguments() throws -> [MathNode] {
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

    private func isFunction(_ token: MathToken) -> Bool {
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

// MARK: - LaTeX commands and brackets

extension MathParser {
    /// A group in braces, or the one token that LaTeX would take.
    private mutating func group() throws -> MathNode {
        if take("{") {
            let node = try element()
            try expect("}")
            return node
        }
        if case .number(let digits)? = current?.kind { return try firstDigit(of: digits) }
        return try primary()
    }

    /// `\frac43`: LaTeX takes a digit at a time.
    private mutating func firstDigit(of digits: String) throws -> MathNode {
        if digits.count == 1 {
            index += 1
            return try number(digits)
        }
        guard let digit = digits.first?.wholeNumberValue else { throw MathSyntaxError("a digit is missing") }
        var rest = tokens
        rest[index] = MathToken(kind: .number(String(digits.dropFirst())), isSpaced: false)
        self = MathParser(tokens: rest, continuing: self)
        return .integer(digit)
    }

    private init(tokens: [MathToken], continuing parser: MathParser) {
        self.tokens = tokens
        (index, depth, barDepth) = (parser.index, parser.depth, parser.barDepth)
    }

    private mutating func command(_ name: String) throws -> MathNode {
        if let function = MathNames.functions[name] { return try applied(function) }
        switch name {
        case "frac":
            let top = try group()
            return .quotient(top, try group())
        case "sqrt":
            var degree: MathNode?
            if take("[") {
                degree = try element()
                try expect("]")
            }
            // \sqrt51 means the root of 51 to everyone but TeX.
            let radicand = isMark("{") ? try group() : try primary()
            return Self.root(radicand, degree)
        case "binom":
            let top = try group()
            return .function("binomial", [top, try group()])
        case "begin": return try environment()
        case "infty": return .infinity
        case "pi": return .symbol("pi")
        case "emptyset", "varnothing": return .list([], .braces)
        case "mathbb":
            let set = try group()
            guard set == .symbol("R") else { return set }
            return .interval(.negated(.infinity), .infinity, leftOpen: true, rightOpen: true)
        case "lfloor", "lceil":
            let value = try element()
            guard takeCommand(name == "lfloor" ? "rfloor" : "rceil") else {
                throw MathSyntaxError("\\\(name) is not closed")
            }
            return .function(name == "lfloor" ? "floor" : "ceil", [value])
        case "overline", "underline", "vec", "hat", "bar", "widehat", "overrightarrow", "mathcal": return try group()
        default:
            guard MathNames.greek.contains(name) || name.count == 1 || name == "ell" else {
                throw MathSyntaxError("\\\(name) is not known")
            }
            return try subscripted(.symbol(name))
        }
    }

    private static func root(_ value: MathNode, _ degree: MathNode?) -> MathNode {
        .power(value, .quotient(.integer(1), degree ?? .integer(2)))
    }

    private mutating func bracketed(_ mark: String) throws -> MathNode {
        switch mark {
        case "(", "[": return try pair(opening: mark)
        case "{", "\\{":
            index += 1
            let closing = mark == "{" ? "}" : "\\}"
            if take(closing) { return .list([], .braces) }
            let (parts, _) = try elements(until: [closing])
            return parts.count == 1 && mark == "{" ? parts[0] : .list(parts, .braces)
        case "|":
            index += 1
            barDepth += 1
            defer { barDepth -= 1 }
            let value = try element()
            try expect("|")
            return .function("abs", [value])
        case "√":
            index += 1
            return Self.root(try postfix(), nil)
        case "'", "\"":
            // A Python text.
            index += 1
            let value = try element()
            try expect(mark)
            return value
        default: throw MathSyntaxError("'\(mark)' does not belong there")
        }
    }

    private mutating func pair(opening: String) throws -> MathNode {
        index += 1
        let outer = barDepth
        barDepth = 0
        defer { barDepth = outer }
        if take(opening == "(" ? ")" : "]") { return .list([], .none) }
        let (parts, closing) = try elements(until: [")", "]"])
        if parts.count == 1, (opening == "(") == (closing == ")") { return parts[0] }
        if opening == "[", closing == "]", let rows = Self.rows(parts) { return .matrix(rows) }
        return .list(parts, .pair(openIsRound: opening == "(", closeIsRound: closing == ")"))
    }

    /// Lists of equal length are the rows of a matrix.
    private static func rows(_ parts: [MathNode]) -> [[MathNode]]? {
        let rows = parts.compactMap { part -> [MathNode]? in
            if case .list(let row, .pair(openIsRound: false, closeIsRound: false)) = part { return row }
            return nil
        }
        guard let width = rows.first?.count, rows.count == parts.count, rows.allSatisfy({ $0.count == width })
        else { return nil }
        return rows
    }

    private mutating func elements(until closings: Set<String>) throws -> (parts: [MathNode], closing: String) {
        var parts: [MathNode] = []
        while true {
            parts.append(try element())
            guard parts.count <= MathLimits.parts else { throw MathFault.tooLarge }
            let separated = takeSeparator()
            if case .mark(let mark)? = current?.kind, closings.contains(mark) {
                index += 1
                return (parts, mark)
            }
            guard separated else {
                throw MathSyntaxError("a bracket is not closed before '\(current?.display ?? "the end")'")
            }
        }
    }

    // MARK: Matrices

    private mutating func environment() throws -> MathNode {
        let name = try environmentName()
        guard ["pmatrix", "bmatrix", "matrix", "vmatrix", "Bmatrix", "Vmatrix", "smallmatrix", "array"].contains(name)
        else { throw MathSyntaxError("\\begin{\(name)} is not known") }
        if name == "array", take("{") {
            while let token = current, !token.isMark("}") {
                _ = token
                index += 1
            }
            try expect("}")
        }
        var rows: [[MathNode]] = []
        while !takeCommand("end") {
            rows.append(try row())
            guard rows.count <= MathLimits.parts else { throw MathFault.tooLarge }
            guard takeCommand("\\") || current?.isCommand("end") == true else {
                throw MathSyntaxError("the matrix is not closed")
            }
        }
        _ = try environmentName()
        guard let width = rows.first?.count, rows.allSatisfy({ $0.count == width }) else {
            throw MathSyntaxError("the matrix has rows of different lengths")
        }
        return .matrix(rows)
    }

    private mutating func row() throws -> [MathNode] {
        var cells = [try element()]
        while take("&") { cells.append(try element()) }
        return cells
    }

    private mutating func environmentName() throws -> String {
        try expect("{")
        var name = ""
        while let token = current, !token.isMark("}") {
            name += token.display
            index += 1
        }
        try expect("}")
        return name
    }

    // MARK: Python and SymPy

    private mutating func built(_ name: String) throws -> MathNode {
        var variant = ""
        if name == "Interval", take("."), case .name(let member)? = current?.kind {
            variant = member
            index += 1
        } else if name == "Interval", case .text(let member)? = current?.kind {
            variant = member
            index += 1
        }
        // sqrt 51, or sqrt51
        if name == "sqrt", !isMark("(") { return Self.root(isMark("{") ? try group() : try postfix(), nil) }
        guard take("(") else { return try subscripted(.symbol(name)) }
        var parts: [MathNode] = []
        if !take(")") { parts = try elements(until: [")"]).parts }
        guard let node = Self.value(name, variant, parts) else {
            throw MathSyntaxError("\(name) does not take \(parts.count) arguments")
        }
        return node
    }

    private static func value(_ name: String, _ variant: String, _ parts: [MathNode]) -> MathNode? {
        switch (name, parts.count) {
        case ("sqrt", 1): return root(parts[0], nil)
        case ("cbrt", 1): return root(parts[0], .integer(3))
        case ("root", 2): return root(parts[0], parts[1])
        case ("Rational", 2), ("Fraction", 2): return .quotient(parts[0], parts[1])
        case ("Pow", 2): return .power(parts[0], parts[1])
        case ("Mul", 1...): return .product(parts)
        case ("Add", 1...): return .sum(parts)
        case ("complex", 2): return .sum([parts[0], .product([parts[1], .symbol("i")])])
        case ("Rational", 1), ("Fraction", 1), ("Integer", 1), ("Float", 1...2), ("Decimal", 1), ("int", 1),
            ("float", 1), ("complex", 1):
            return parts[0]
        case ("Eq", 2): return .relation(parts, [.equal])
        case ("Interval", 2...4):
            func isOpen(_ index: Int) -> Bool { parts.count > index && parts[index] == .symbol("True") }
            return .interval(
                parts[0], parts[1], leftOpen: ["open", "Lopen"].contains(variant) || isOpen(2) || isInfinite(parts[0]),
                rightOpen: ["open", "Ropen"].contains(variant) || isOpen(3) || isInfinite(parts[1]))
        case ("FiniteSet", _): return .list(parts, .braces)
        case ("set", 0): return .list([], .braces)
        case ("Union", 1...): return .union(parts)
        case ("set", 1), ("frozenset", 1), ("tuple", 1), ("list", 1): return parts[0]
        case ("Tuple", _), ("Point", 2...), ("Point2D", _), ("Point3D", _):
            return .list(parts, .pair(openIsRound: true, closeIsRound: true))
        case ("Matrix", 1), ("ImmutableMatrix", 1), ("ImmutableDenseMatrix", 1), ("MutableDenseMatrix", 1),
            ("array", 1...2):
            if case .list(let cells, _) = parts[0] { return .matrix(cells.map { [$0] }) }
            return parts[0]
        default: return nil
        }
    }

    private static func isInfinite(_ node: MathNode) -> Bool {
        node == .infinity || node == .negated(.infinity)
    }
}
