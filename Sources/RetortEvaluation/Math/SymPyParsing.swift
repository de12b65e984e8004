import Foundation

/// Constructors of Python and SymPy.
extension MathParser {
    mutating func built(_ name: String) throws -> MathNode {
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

    static func value(_ name: String, _ variant: String, _ parts: [MathNode]) -> MathNode? {
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

    static func isInfinite(_ node: MathNode) -> Bool {
        node == .infinity || node == .negated(.infinity)
    }
}
