import Foundation

/// Expressions as SymPy constructor calls that contain only known names and numbers, so they are safe to evaluate.
enum SymPyText {
    /// - Throws: `MathFault.notAValue` for what SymPy has no form for.
    static func of(_ node: MathNode) throws -> String {
        switch node {
        case .number(let value, _):
            return value.isInteger ? "Integer(\(value.numerator))" : "Rational(\(value.numerator),\(value.denominator))"
        case .symbol("pi"): return "pi"
        case .symbol("e"): return "E"
        case .symbol("i"): return "I"
        case .symbol(let name): return "Symbol('\(safe(name))',positive=True)"
        case .infinity: return "oo"
        case .sum(let parts): return try call("Add", parts)
        case .product(let parts): return try call("Mul", parts)
        case .quotient(let top, let bottom): return "Mul(\(try of(top)),Pow(\(try of(bottom)),Integer(-1)))"
        case .power(let base, let exponent): return "Pow(\(try of(base)),\(try of(exponent)))"
        case .function(let name, let arguments): return try function(name, arguments)
        case .degrees(let value): return "Mul(\(try of(value)),pi,Rational(1,180))"
        case .percent(let value): return "Mul(\(try of(value)),Rational(1,100))"
        case .quantity(let value, _): return try of(value)
        case .matrix(let rows):
            return "Matrix([\(try rows.map { "[\(try $0.map(of).joined(separator: ","))]" }.joined(separator: ","))])"
        case .list(let parts, .pair(openIsRound: true, closeIsRound: true)): return try call("Tuple", parts)
        case .list(let parts, .braces), .list(let parts, .none): return try call("FiniteSet", parts)
        case .list(let parts, .pair(let leftOpen, let rightOpen)):
            guard parts.count == 2 else { throw MathFault.notAValue }
            let ends = "\(try of(parts[0])),\(try of(parts[1]))"
            return "Interval(\(ends),\(leftOpen ? "S.true" : "S.false"),\(rightOpen ? "S.true" : "S.false"))"
        case .union(let parts):
            // A round pair in a union is an interval.
            let intervals = try parts.map { part -> String in
                guard case .list(let ends, .pair(true, true)) = part, ends.count == 2 else { return try of(part) }
                return "Interval(\(try of(ends[0])),\(try of(ends[1])),S.true,S.true)"
            }
            return "Union(\(intervals.joined(separator: ",")))"
        case .relation(let parts, [.equal]): return try call("Eq", parts)
        case .numeral, .relation, .ratio, .text, .plusMinus: throw MathFault.notAValue
        }
    }

    private static func call(_ name: String, _ parts: [MathNode]) throws -> String {
        "\(name)(\(try parts.map(of).joined(separator: ",")))"
    }

    private static func function(_ name: String, _ arguments: [MathNode]) throws -> String {
        let own = [
            "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "arcsec": "asec", "arccsc": "acsc",
            "ceil": "ceiling", "abs": "Abs", "max": "Max", "min": "Min",
        ]
        guard !["log10", "log2"].contains(name) else { throw MathFault.notAValue }
        return try call(own[name] ?? name, arguments)
    }

    /// A name without anything that could end the surrounding text.
    private static func safe(_ name: String) -> String {
        name.unicodeScalars.map { scalar in
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
            return isPlain || scalar == "_" ? String(scalar) : "u\(scalar.value)"
        }.joined()
    }
}
