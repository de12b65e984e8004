import Foundation

/// What a comparison comes to.
enum MathOutcome: Sendable, Hashable {
    case equal(String)
    case different(String)
    /// Neither exact arithmetic nor numbers decide.
    case undecided

    var isEqual: Bool {
        if case .equal = self { return true }
        return false
    }

    var isUndecided: Bool { self == .undecided }
}

/// Two expressions that only algebra can tell apart.
struct SymbolicQuestion: Hashable, Sendable {
    let reference: MathNode
    let answer: MathNode
}

/// Compares a reference answer with a given one, part by part.
///
/// What it cannot decide itself it asks `known`; what is not known there it leaves in `open` and counts as undecided.
struct MathComparison {
    private let known: [SymbolicQuestion: MathOutcome]
    private(set) var open: Set<SymbolicQuestion> = []

    init(known: [SymbolicQuestion: MathOutcome] = [:]) { self.known = known }

    mutating func compare(_ reference: MathNode, _ answer: MathNode) -> MathOutcome {
        if reference == answer { return .equal("the same") }
        // 2/3 ≈ 0.67: either side of a reference is accepted; of an answer the exact one counts.
        if case .relation(let parts, let relations) = reference, relations.allSatisfy({ $0 == .approximately }) {
            return first(of: parts) { comparison, part in comparison.compare(part, answer) }
        }
        if case .relation(let parts, let relations) = answer, relations.contains(.approximately) {
            let kept = relations.prefix { $0 != .approximately }
            let left = Array(parts.prefix(kept.count + 1))
            return compare(reference, left.count == 1 ? left[0] : .relation(left, Array(kept)))
        }
        let (a, b) = (Self.simplified(reference), Self.simplified(answer))
        if a == b { return .equal("the same") }
        switch (a, b) {
        case (.text(let x), .text(let y)):
            return AnswerText.words(x) == AnswerText.words(y) ? .equal("the same words") : .different("other words")
        case (.text, _), (_, .text): return .different("words and a value")
        case (.matrix(let x), .matrix(let y)): return matrices(x, y)
        case (.matrix(let x), .list(let y, let brackets)) where brackets != .braces: return vector(x, y)
        case (.list(let x, let brackets), .matrix(let y)) where brackets != .braces: return vector(y, x, isFirst: false)
        case (.union(let x), .union(let y)): return unordered(x, y)
        case (.ratio(let x), .ratio(let y)): return ordered(x, y)
        case (.ratio(let x), _) where x.count == 2 && b.isExpression:
            return compare(.quotient(x[0], x[1]), b)
        case (_, .ratio(let y)) where y.count == 2 && a.isExpression:
            return compare(a, .quotient(y[0], y[1]))
        case (.relation(let x, let f), .relation(let y, let g)): return relations(x, f, y, g)
        case (.relation, _), (_, .relation): return assignment(a, b)
        case (.list(let x, let f), .list(let y, let g)): return lists(x, f, y, g)
        default:
            guard a.isExpression, b.isExpression else { return .different("not the same kind of answer") }
            return values(a, b)
        }
    }

    /// The first alternative that is equal, or else what the last one comes to.
    private mutating func first<T>(
        of alternatives: [T], _ compare: (inout MathComparison, T) -> MathOutcome
    ) -> MathOutcome {
        var last = MathOutcome.different("no alternative")
        for alternative in alternatives {
            let outcome = compare(&self, alternative)
            if outcome.isEqual { return outcome }
            if !last.isUndecided { last = outcome }
        }
        return last
    }

    // MARK: Kinds

    /// One form for what is written in several: ± as two values, a list of one as that one, bounds as an interval.
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
    private static func signs(_ node: MathNode) -> [MathNode] {
        guard node.isExpression || { if case .plusMinus = node { true } else { false } }(),
            node.contains({ if case .plusMinus = $0 { true } else { false } })
        else { return [node] }
        return [true, false].map { choose(node, plus: $0) }
    }

    private static func choose(_ node: MathNode, plus: Bool) -> MathNode {
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
    private static func interval(_ parts: [MathNode], _ relations: [MathNode.Relation]) -> MathNode? {
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

    // MARK: Lists

    private mutating func ordered(_ a: [MathNode], _ b: [MathNode]) -> MathOutcome {
        guard a.count == b.count else { return .different("\(b.count) parts instead of \(a.count)") }
        var isUndecided = false
        for (index, pair) in zip(a, b).enumerated() {
            switch compare(pair.0, pair.1) {
            case .equal: continue
            case .undecided: isUndecided = true
            case .different(let reason): return .different("part \(index + 1): \(reason)")
            }
        }
        return isUndecided ? .undecided : .equal("all parts are equal")
    }

    private mutating func unordered(_ a: [MathNode], _ b: [MathNode]) -> MathOutcome {
        guard a.count == b.count else { return .different("\(b.count) parts instead of \(a.count)") }
        guard a.count <= 200 else { return ordered(a, b) }
        var left = b
        var isUndecided = false
        for (index, part) in a.enumerated() {
            var doubtful: Int?
            var found: Int?
            for (candidate, other) in left.enumerated() {
                let outcome = compare(part, other)
                if outcome.isEqual {
                    found = candidate
                    break
                }
                if outcome.isUndecided { doubtful = candidate }
            }
            guard let match = found ?? doubtful else { return .different("no part equals part \(index + 1)") }
            if found == nil { isUndecided = true }
            left.remove(at: match)
        }
        return isUndecided ? .undecided : .equal("the same parts")
    }

    private mutating func lists(
        _ a: [MathNode], _ f: MathNode.Brackets, _ b: [MathNode], _ g: MathNode.Brackets
    ) -> MathOutcome {
        switch (f, g) {
        case (.pair, .pair):
            // What has more than two parts is no interval: [1, 2, 3] is a Python list.
            if f != g, a.count == 2 || b.count == 2 || f.isMixed || g.isMixed {
                return .different("an end is open instead of closed, or the reverse")
            }
            return ordered(a, b)
        case (.pair, .none): return ordered(a, b)
        case (.none, .braces), (.braces, .none), (.braces, .braces):
            return unordered(distinct(stripped(a, ifNot: b)), distinct(stripped(b, ifNot: a)))
        case (.none, .pair), (.none, .none):
            return unordered(stripped(a, ifNot: b), stripped(b, ifNot: a))
        case (.braces, .pair(openIsRound: false, closeIsRound: false)):
            return unordered(a, b)
        case (.braces, .pair), (.pair, .braces): return .different("a set and an ordered answer")
        }
    }

    /// A set holds nothing twice.
    private func distinct(_ parts: [MathNode]) -> [MathNode] {
        var seen: Set<MathNode> = []
        return parts.filter { seen.insert($0).inserted }
    }

    /// `x = 1, y = 2` without the names where the other list has none.
    private func stripped(_ parts: [MathNode], ifNot others: [MathNode]) -> [MathNode] {
        func isRelation(_ node: MathNode) -> Bool {
            if case .relation = node { return true }
            return false
        }
        guard parts.contains(where: isRelation), !others.contains(where: isRelation) else { return parts }
        return parts.map { Self.assigned($0) ?? $0 }
    }

    private mutating func matrices(_ a: [[MathNode]], _ b: [[MathNode]]) -> MathOutcome {
        guard a.count == b.count, a.first?.count == b.first?.count else {
            // A row of numbers for a column.
            if a.first?.count == 1 || a.count == 1, b.first?.count == 1 || b.count == 1 {
                return ordered(a.flatMap { $0 }, b.flatMap { $0 })
            }
            return .different("a matrix of another shape")
        }
        return ordered(a.flatMap { $0 }, b.flatMap { $0 })
    }

    private mutating func vector(_ matrix: [[MathNode]], _ list: [MathNode], isFirst: Bool = true) -> MathOutcome {
        guard matrix.count == 1 || matrix.first?.count == 1 else { return .different("a list and a matrix") }
        let cells = matrix.flatMap { $0 }
        return isFirst ? ordered(cells, list) : ordered(list, cells)
    }

    // MARK: Relations

    private mutating func relations(
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

    /// Equations are the same when one is a multiple of the other.
    private mutating func equations(_ a: [MathNode], _ b: [MathNode]) -> MathOutcome {
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
    private mutating func assignment(_ a: MathNode, _ b: MathNode) -> MathOutcome {
        if let value = Self.assigned(a) { return compare(value, b) }
        if let value = Self.assigned(b) { return compare(a, value) }
        return .different("a relation and a value")
    }

    /// What is assigned to a variable, to f(x) or to a chain of values `a = b = c`.
    private static func assigned(_ node: MathNode) -> MathNode? {
        guard case .relation(let parts, let relations) = node, relations.allSatisfy({ $0 == .equal }),
            let last = parts.last, parts.count >= 2
        else { return nil }
        switch parts[0] {
        case .symbol(let name) where !["pi", "e", "i"].contains(name): return last
        case .product(let factors) where factors.count == 2:
            guard case .symbol(let function) = factors[0], case .symbol = factors[1],
                "fghFPpqy".contains(function)
            else { return nil }
            return last
        default: return nil
        }
    }

    // MARK: Values

    private mutating func values(_ a: MathNode, _ b: MathNode) -> MathOutcome {
        switch (a, b) {
        case (.numeral(let x, let f), .numeral(let y, let g)):
            return x == y && f == g ? .equal("the same numeral") : .different("another numeral")
        case (.numeral(let x, let base), _): return numeral(x, base, b)
        case (_, .numeral(let y, let base)): return base == 10 ? numeral(y, base, a) : .different("another base")
        case (.infinity, _), (_, .infinity): return .different("not the same infinity")
        case (.percent(let x), .percent(let y)): return values(x, y)
        case (.percent(let x), _):
            return first(of: [x, .quotient(x, .integer(100))]) { $0.values($1, b) }
        case (_, .percent(let y)):
            // "50 %" for 50: the sign repeats what the question says. For 0.5 it would be another value.
            let isLarge = (try? NumericValue.of(a)).map { $0.length >= 1 } ?? false
            return first(of: [.quotient(y, .integer(100))] + (isLarge ? [y] : [])) { $0.values(a, $1) }
        case (.degrees(let x), .degrees(let y)): return values(x, y)
        case (.degrees(let x), _): return first(of: [x, a]) { $0.expressions($1, b) }
        case (_, .degrees(let y)): return first(of: [y, b]) { $0.expressions(a, $1) }
        case (.quantity(let x, let u), .quantity(let y, let v)): return quantities(x, u, y, v)
        case (.quantity(let x, _), _): return values(x, b)
        case (_, .quantity(let y, _)): return values(a, y)
        default: return expressions(a, b)
        }
    }

    private mutating func numeral(_ digits: String, _ base: Int, _ other: MathNode) -> MathOutcome {
        guard case .number(let value, nil) = other, value.isInteger else { return .different("no numeral") }
        let isSame = "\(value.numerator)" == digits
        return isSame
            ? .equal(base == 10 ? "equal" : "the same digits, without their base") : .different("another numeral")
    }

    private mutating func quantities(_ x: MathNode, _ u: String, _ y: MathNode, _ v: String) -> MathOutcome {
        guard u != v, let first = MathNames.units[u], let second = MathNames.units[v] else { return values(x, y) }
        guard first.kind == second.kind else { return .different("another unit") }
        func based(_ value: MathNode, _ unit: MathNames.Unit) -> MathNode {
            .product([value, .number(unit.factor, places: nil)])
        }
        return expressions(based(x, first), based(y, second))
    }

    private mutating func expressions(_ a: MathNode, _ b: MathNode) -> MathOutcome {
        let normalizer = Normalizer()
        var isTooLarge = false
        do {
            let (x, y) = (try normalizer.form(a), try normalizer.form(b))
            if let isEqual = try normalizer.areEqual(x, y) {
                if isEqual { return .equal("equal") }
                if let reason = Self.approximation(a, b, x.constant, y.constant) { return .equal(reason) }
                return .different("another value")
            }
        } catch MathFault.tooLarge {
            // Numbers may still tell that they differ.
            isTooLarge = true
        } catch {
            return .different("it has no value")
        }
        if Self.approximation(a, b, nil, nil) != nil { return .equal("a rounded value") }
        switch NumericValue.compare(a, b) {
        case .different: return .different("another value")
        case .unknown where isTooLarge: return .different("it is too large to decide")
        case .unknown where Self.isBare(a) != Self.isBare(b): return .different("it has no comparable value")
        case .same, .unknown: return ask(a, b)
        }
    }

    private static func isBare(_ node: MathNode) -> Bool {
        !node.contains { if case .symbol = $0 { true } else { false } }
    }

    private mutating func ask(_ a: MathNode, _ b: MathNode) -> MathOutcome {
        let question = SymbolicQuestion(reference: a, answer: b)
        if let answer = known[question] { return answer }
        open.insert(question)
        return .undecided
    }

    // MARK: Rounded values

    /// Whether one of two values is the other, written out to at least six significant digits; the last one may be cut
    /// off instead of rounded. Whole numbers are never approximate.
    private static func approximation(_ a: MathNode, _ b: MathNode, _ x: Rational?, _ y: Rational?) -> String? {
        if isRounded(b, of: a, exactly: x) || isRounded(a, of: b, exactly: y) { return "equal when rounded" }
        return nil
    }

    private static func isRounded(_ literal: MathNode, of node: MathNode, exactly value: Rational?) -> Bool {
        guard case .number(let given, let places?) = literal, places > 0, value?.isInteger != true,
            significantDigits(given, places) >= 6
        else { return false }
        let target: Rational
        if let value {
            target = value
        } else {
            guard let number = try? NumericValue.of(node), abs(number.imaginary) < 1e-12, number.isFinite,
                let value = Rational(double: number.real), !value.isInteger
            else { return false }
            target = value
        }
        let distance = (given - target).magnitude
        guard let unit = Rational(10).power(-places) else { return false }
        // Doubles carry about fifteen digits, whatever is printed.
        return distance < unit || !(Rational(2, 1_000_000_000_000_000) * target.magnitude < distance)
    }

    private static func significantDigits(_ value: Rational, _ places: Int) -> Int {
        guard let scale = Rational(10).power(places) else { return 0 }
        return (value.magnitude * scale).numerator.description.count
    }
}

extension MathNode.Brackets {
    /// Open at one end, closed at the other.
    fileprivate var isMixed: Bool {
        if case .pair(let first, let second) = self { first != second } else { false }
    }
}

extension MathNode.Relation {
    /// `<` or `≤`.
    var isRising: Bool { self == .less || self == .atMost }

    /// The relation with its sides exchanged.
    var turned: MathNode.Relation? {
        switch self {
        case .less: .greater
        case .greater: .less
        case .atMost: .atLeast
        case .atLeast: .atMost
        case .equal, .different, .approximately: self
        case .element: nil
        }
    }
}

extension Rational {
    /// The exact value of a double; nil when it is not finite or far out of range.
    init?(double: Double) {
        guard double.isFinite, abs(double) < 1e30, abs(double) > 1e-30 || double == 0 else { return nil }
        let exponent = double == 0 ? 0 : Int(double.exponent) - 52
        let digits = Rational(Int(double.significand * 0x1p+52))
        guard let scale = Rational(2).power(exponent) else { return nil }
        self = double == 0 ? .zero : digits * scale * Rational(double < 0 ? -1 : 1)
    }
}
