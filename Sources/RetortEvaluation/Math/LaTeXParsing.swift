import Foundation

/// Commands, brackets and matrices, mostly as LaTeX writes them.
extension MathParser {
    /// A group in braces, or the single token that LaTeX would take.
    mutating func group() throws -> MathNode {
        if take("{") {
            let node = try element()
            try expect("}")
            return node
        }
        if case .number(let digits)? = current?.kind { return try firstDigit(of: digits) }
        return try primary()
    }

    /// `\frac43`: LaTeX takes one digit at a time.
    mutating func firstDigit(of digits: String) throws -> MathNode {
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

    init(tokens: [MathToken], continuing parser: MathParser) {
        self.tokens = tokens
        (index, depth, barDepth) = (parser.index, parser.depth, parser.barDepth)
    }

    mutating func command(_ name: String) throws -> MathNode {
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
            // Everyone except TeX reads \sqrt51 as the root of 51.
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
        case "bar", "overline":
            let value = try group()
            // A conjugate or a mean; over several letters, as in `\overline{AB}`, it is a segment.
            guard case .symbol(let letter) = value, letter.first?.isLowercase == true else { return value }
            return .symbol("\(letter)\u{304}")
        case "underline", "vec", "hat", "widehat", "overrightarrow", "mathcal": return try group()
        default:
            guard MathNames.greek.contains(name) || name.count == 1 || name == "ell" else {
                throw MathSyntaxError("\\\(name) is not known")
            }
            return try subscripted(.symbol(name))
        }
    }

    static func root(_ value: MathNode, _ degree: MathNode?) -> MathNode {
        .power(value, .quotient(.integer(1), degree ?? .integer(2)))
    }

    mutating func bracketed(_ mark: String) throws -> MathNode {
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
            // A text from Python.
            index += 1
            let value = try element()
            try expect(mark)
            return value
        default: throw MathSyntaxError("'\(mark)' does not belong there")
        }
    }

    mutating func pair(opening: String) throws -> MathNode {
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
    static func rows(_ parts: [MathNode]) -> [[MathNode]]? {
        let rows = parts.compactMap { part -> [MathNode]? in
            if case .list(let row, .pair(openIsRound: false, closeIsRound: false)) = part { return row }
            return nil
        }
        guard let width = rows.first?.count, rows.count == parts.count, rows.allSatisfy({ $0.count == width })
        else { return nil }
        return rows
    }

    mutating func elements(until closings: Set<String>) throws -> (parts: [MathNode], closing: String) {
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

    mutating func environment() throws -> MathNode {
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
        // Bars make it a determinant.
        return name == "vmatrix" ? try Self.determinant(rows) : .matrix(rows)
    }

    /// By expansion along the first row.
    private static func determinant(_ rows: [[MathNode]]) throws -> MathNode {
        guard let first = rows.first, first.count == rows.count, rows.count <= 4 else { throw MathFault.tooLarge }
        guard rows.count > 1 else { return first[0] }
        let terms = try first.indices.map { column -> MathNode in
            let minor = rows.dropFirst().map { row in row.indices.filter { $0 != column }.map { row[$0] } }
            let term = MathNode.product([first[column], try determinant(minor)])
            return column.isMultiple(of: 2) ? term : .negated(term)
        }
        return .sum(terms)
    }

    mutating func row() throws -> [MathNode] {
        var cells = [try element()]
        while take("&") { cells.append(try element()) }
        return cells
    }

    mutating func environmentName() throws -> String {
        try expect("{")
        var name = ""
        while let token = current, !token.isMark("}") {
            name += token.display
            index += 1
        }
        try expect("}")
        return name
    }
}
