import Foundation

/// Equations and other relations.
extension MathComparison {
    mutating func relations(
        _ a: [MathNode], _ f: [MathNode.Relation], _ b: [MathNode], _ g: [MathNode.Relation]
    ) -> MathOutcome {
        guard f.count == 1, g.count == 1 else {
            return f == g ? ordered(a, b) : .different("other relations")
        }
        guard f[0] == .equal, g[0] == .equal else {
            if f[0] == g[0] { return ordered(a, b) }
            return f[0].turned == g[0] ? ordered(a, [b[1], b[0]]) : .different("another relation")
        }
        return equations(a, b)
    }

    /// Equations are equal when one is a multiple of the other.
    mutating func equations(_ a: [MathNode], _ b: [MathNode]) -> MathOutcome {
        let (left, right) = (MathNode.sum([a[0], .negated(a[1])]), MathNode.sum([b[0], .negated(b[1])]))
        let normalizer = Normalizer()
        if let x = try? normalizer.form(left).numerator, let y = try? normalizer.form(right).numerator,
            normalizer.isComplete
        {
            if x.terms.isEmpty || y.terms.isEmpty {
                return x == y ? .equal("the same equation") : .different("another equation")
            }
            let isSame = x.scaled(.one / x.content) == y.scaled(.one / y.content)
            return isSame ? .equal("the same equation") : .different("another equation")
        }
        let direct = ordered(a, b)
        return direct.isEqual ? direct : ordered(a, [b[1], b[0]])
    }

    /// An equation `x = 5` and a value.
    mutating func assignment(_ a: MathNode, _ b: MathNode) -> MathOutcome {
        if let value = Self.assigned(a) { return compare(value, b) }
        if let value = Self.assigned(b) { return compare(a, value) }
        return .different("a relation and a value")
    }

    /// The value assigned to a variable, to f(x) or in a chain of values `a = b = c`.
    static func assigned(_ node: MathNode) -> MathNode? {
        guard case .relation(let parts, let relations) = node, relations.allSatisfy({ $0 == .equal }),
            let last = parts.last, parts.count >= 2
        else { return nil }
        // `3 * 6 = 18` gives 18.
        if isArithmetic(node) { return last }
        // `2V = 2 * 11 = 22` gives 22.
        if parts.count > 2, !hasVariable(last), !hasVariable(parts[parts.count - 2]) { return last }
        // `5 = x`
        if parts.count == 2, isVariable(last), !hasVariable(parts[0]) { return parts[0] }
        switch parts[0] {
        case .symbol(let name) where !["pi", "e", "i"].contains(name): return last
        case let side where isNamed(side): return hasVariable(last) ? nil : last
        // `\text{Area} = 12`
        case .text: return last
        // `m + n = 5` asks for the sum; `2x + 3y = 5` is a line.
        case .sum(let terms) where terms.count > 1 && terms.allSatisfy(isVariable) && Set(terms).count == terms.count:
            return hasVariable(last) ? nil : last
        case .product(let factors) where factors.count == 2:
            guard case .symbol(let function) = factors[0], "fghFPpqy".contains(function) else { return nil }
            if case .symbol = factors[1] { return last }
            if case .number = factors[1] { return last }
            return nil
        default: return nil
        }
    }

    /// Whether it contains neither variables nor words.
    static func isArithmetic(_ node: MathNode) -> Bool { !hasVariable(node) }

    /// An equation between numbers.
    static func isStep(_ node: MathNode) -> Bool {
        guard case .relation(_, let relations) = node else { return false }
        return relations.allSatisfy { $0 == .equal } && isArithmetic(node)
    }

    /// Something measured and not solved for: `AB`, `\angle ABC`, `|AB|`, `a/b`.
    private static func isNamed(_ node: MathNode) -> Bool {
        switch node {
        case .product(let factors):
            factors.count > 1
                && factors.allSatisfy { factor in
                    guard case .symbol(let name) = factor else { return false }
                    return ["angle", "triangle"].contains(name) || name.first?.isUppercase == true
                }
        case .function("abs", let parts): parts.allSatisfy(isNamed)
        case .quotient(let top, let bottom):
            top != bottom && (isVariable(top) || isNamed(top)) && (isVariable(bottom) || isNamed(bottom))
        default: false
        }
    }

    static func isVariable(_ node: MathNode) -> Bool {
        if case .symbol(let name) = node { !["pi", "e", "i"].contains(name) } else { false }
    }

    private static func hasVariable(_ node: MathNode) -> Bool {
        node.contains { part in
            if case .text = part { true } else { isVariable(part) }
        }
    }
}
