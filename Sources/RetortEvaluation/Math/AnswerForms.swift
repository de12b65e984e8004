import Foundation

/// Different forms of the same answer: a pair of signs is a list, a chain of bounds an interval.
extension MathComparison {
    /// One form for different notations: ± as two values, a list of one element as that element, bounds as an interval.
    static func simplified(_ node: MathNode) -> MathNode {
        switch node {
        case .list(let parts, let brackets):
            let expanded = parts.flatMap(signs)
            if brackets == .none, expanded.count == 1 { return simplified(expanded[0]) }
            if brackets == .braces, expanded.count == 1 { return simplified(expanded[0]) }
            return .list(expanded, brackets)
        case .relation(let parts, let relations): return interval(parts, relations) ?? node
        case .union(let parts) where parts.count == 1: return simplified(parts[0])
        case .union(let parts): return .union(parts.map(simplified))
        default:
            let values = signs(node)
            return values.count == 1 ? values[0] : .list(values, .none)
        }
    }

    /// The values that ± stands for.
    static func signs(_ node: MathNode) -> [MathNode] {
        guard node.isExpression || { if case .plusMinus = node { true } else { false } }(),
            node.contains({ if case .plusMinus = $0 { true } else { false } })
        else { return [node] }
        return [true, false].map { choose(node, plus: $0) }
    }

    static func choose(_ node: MathNode, plus: Bool) -> MathNode {
        func next(_ node: MathNode) -> MathNode { choose(node, plus: plus) }
        switch node {
        case .plusMinus(let left, let right):
            let signed = plus ? next(right) : .negated(next(right))
            return left.map { .sum([next($0), signed]) } ?? signed
        case .sum(let parts): return .sum(parts.map(next))
        case .product(let parts): return .product(parts.map(next))
        case .quotient(let a, let b): return .quotient(next(a), next(b))
        case .power(let a, let b): return .power(next(a), next(b))
        case .function(let name, let parts): return .function(name, parts.map(next))
        case .degrees(let value): return .degrees(next(value))
        case .percent(let value): return .percent(next(value))
        case .quantity(let value, let unit): return .quantity(next(value), unit: unit)
        default: return node
        }
    }

    /// `x ∈ [a, b]`, `a ≤ x < b` and `x > a` as intervals, `x ≠ a` as two.
    static func interval(_ parts: [MathNode], _ relations: [MathNode.Relation]) -> MathNode? {
        func isVariable(_ node: MathNode) -> Bool {
            if case .symbol(let name) = node { return !["pi", "e", "i"].contains(name) }
            return false
        }
        func isBound(_ node: MathNode) -> Bool {
            node.isExpression && !node.contains(isVariable)
        }
        let minus = MathNode.negated(.infinity)
        if parts.count == 3, relations.count == 2, isVariable(parts[1]), isBound(parts[0]), isBound(parts[2]) {
            let (f, g) = (relations[0], relations[1])
            if f.isRising, g.isRising {
                return .interval(parts[0], parts[2], leftOpen: f == .less, rightOpen: g == .less)
            }
            if f.turned?.isRising == true, g.turned?.isRising == true {
                return .interval(parts[2], parts[0], leftOpen: g == .greater, rightOpen: f == .greater)
            }
            return nil
        }
        guard parts.count == 2, let relation = relations.first, relation != .equal else { return nil }
        if isVariable(parts[1]), isBound(parts[0]), let turned = relation.turned {
            return interval([parts[1], parts[0]], [turned])
        }
        guard isVariable(parts[0]) else { return nil }
        if relation == .element { return simplified(parts[1]) }
        guard isBound(parts[1]) else { return nil }
        switch relation {
        case .less, .atMost: return .interval(minus, parts[1], leftOpen: true, rightOpen: relation == .less)
        case .greater, .atLeast:
            return .interval(parts[1], .infinity, leftOpen: relation == .greater, rightOpen: true)
        case .different:
            return .union([
                .interval(minus, parts[1], leftOpen: true, rightOpen: true),
                .interval(parts[1], .infinity, leftOpen: true, rightOpen: true),
            ])
        case .equal, .element, .approximately: return nil
        }
    }
}
