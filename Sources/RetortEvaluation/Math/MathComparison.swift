import Foundation

/// The result of a comparison.
enum MathOutcome: Sendable, Hashable {
    case equal(String)
    case different(String)
    /// Neither exact arithmetic nor numeric values decide.
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
/// What it cannot decide itself it looks up in `known`; a question that is not there goes to `open` and counts as
/// undecided.
struct MathComparison {
    let known: [SymbolicQuestion: MathOutcome]
    private(set) var open: Set<SymbolicQuestion> = []

    init(known: [SymbolicQuestion: MathOutcome] = [:]) { self.known = known }

    mutating func compare(_ reference: MathNode, _ answer: MathNode) -> MathOutcome {
        if reference == answer { return .equal("the same") }
        // 2/3 ≈ 0.67: either side of a reference is accepted; in an answer the exact side counts.
        if case .relation(let parts, let relations) = reference, relations.allSatisfy({ $0 == .approximately }) {
            return first(of: parts) { comparison, part in comparison.compare(part, answer) }
        }
        if case .relation(let parts, let relations) = answer, relations.contains(.approximately) {
            let kept = relations.prefix { $0 != .approximately }
            let left = Array(parts.prefix(kept.count + 1))
            let exact = compare(reference, left.count == 1 ? left[0] : .relation(left, Array(kept)))
            // `400/1.5 ≈ 267` ends with a rounded number.
            guard !exact.isEqual, let last = parts.last, let value = left.last,
                Self.isVariable(value) || Self.isRounding(last, of: value)
            else { return exact }
            let rounded = compare(reference, last)
            return rounded.isEqual ? rounded : exact
        }
        // `x = 3 * 6 = 18` and `3 * 6 = 18` give 18, whatever the reference calls it.
        if case .relation(let parts, _) = answer, parts.count > 2 || Self.isArithmetic(answer),
            let value = Self.assigned(answer)
        {
            return compare(reference, value)
        }
        // In `3 * 2 = 6, 6 + 5 = 11` the last step counts.
        if case .list(let steps, .none) = answer, let last = steps.last, steps.allSatisfy(Self.isStep) {
            return compare(reference, last)
        }
        // `1/2, or 50%` gives the same value twice.
        if case .list(let parts, .none) = answer, parts.count > 1, reference.isExpression,
            parts.allSatisfy(\.isExpression),
            parts.allSatisfy({ compare(reference, $0).isEqual })
        {
            return .equal("equal, said more than once")
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

    /// Equal where any alternative is; otherwise undecided where one is, or the result of the last one.
    mutating func first<T>(
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

    mutating func values(_ a: MathNode, _ b: MathNode) -> MathOutcome {
        switch (a, b) {
        case (.numeral(let x, let f), .numeral(let y, let g)):
            return x == y && f == g ? .equal("the same numeral") : .different("another numeral")
        case (.numeral(let x, let base), _): return numeral(x, base, b)
        case (_, .numeral(let y, let base)): return base == 10 ? numeral(y, base, a) : .different("another base")
        case (.infinity, _), (_, .infinity): return .different("not the same infinity")
        case (.percent(let x), .percent(let y)): return values(x, y)
        case (.quantity(.percent(let x), let u), .quantity(.percent(let y), let v)) where Opposites.areOpposed(u, v):
            return x == y ? .different("the opposite") : .different("another value")
        case (.percent(let x), _):
            return first(of: [x, .quotient(x, .integer(100))]) { $0.values($1, b) }
        case (_, .percent(let y)):
            // "50 %" for 50: the sign repeats the question's unit. For 0.5 it would be another value.
            let isLarge = (try? NumericValue.of(a)).map { $0.length >= 1 } ?? false
            return first(of: [.quotient(y, .integer(100))] + (isLarge ? [y] : [])) { $0.values(a, $1) }
        case (.degrees(let x), .degrees(let y)): return values(x, y)
        case (.degrees(let x), _): return first(of: [x, a]) { $0.expressions($1, b) }
        case (_, .degrees(let y)): return first(of: [y, b]) { $0.expressions(a, $1) }
        case (.quantity(let x, let u), .quantity(let y, let v)): return quantities(x, u, y, v)
        case (.quantity(let x, let unit), _): return first(of: Self.bare(x, unit)) { $0.values($1, b) }
        case (_, .quantity(let y, let unit)): return first(of: Self.bare(y, unit)) { $0.values(a, $1) }
        default: return expressions(a, b)
        }
    }

    mutating func numeral(_ digits: String, _ base: Int, _ other: MathNode) -> MathOutcome {
        guard case .number(let value, nil) = other, value.isInteger else { return .different("no numeral") }
        let isSame = "\(value.numerator)" == digits
        return isSame
            ? .equal(base == 10 ? "equal" : "the same digits, without their base") : .different("another numeral")
    }

    /// The numbers that a quantity may be written as without its unit: its own, and for money and dozens also the
    /// amount in dollars or in things. `75 cents` is 75 or 0.75, `12 dozen` 12 or 144.
    private static func bare(_ value: MathNode, _ unit: String) -> [MathNode] {
        guard let known = MathNames.units[unit], ["count", "money"].contains(known.kind), known.factor != 1 else {
            return [value]
        }
        return [value, .product([value, .number(known.factor, places: nil)])]
    }

    mutating func quantities(_ x: MathNode, _ u: String, _ y: MathNode, _ v: String) -> MathOutcome {
        guard u != v else { return values(x, y) }
        guard !Opposites.areOpposed(u, v) else { return .different("the opposite") }
        guard let first = UnitSize(u), let second = UnitSize(v) else {
            let areDegrees = u.hasPrefix("°") && v.hasPrefix("°")
            return areDegrees ? .different("another unit") : values(x, y)
        }
        guard first.dimensions == second.dimensions else { return .different("another unit") }
        func based(_ value: MathNode, _ unit: UnitSize) -> MathNode {
            .product([value, .number(unit.factor, places: nil)])
        }
        return expressions(based(x, first), based(y, second))
    }

    mutating func expressions(_ a: MathNode, _ b: MathNode) -> MathOutcome {
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
            // Numeric values may still show that they differ.
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

    /// Whether a number is within one unit of its last written digit of a value: 267 for 400/1.5, 300 for 267.
    static func isRounding(_ number: MathNode, of value: MathNode) -> Bool {
        guard case .number(let rounded, let places) = number, let exact = try? NumericValue.of(value) else {
            return false
        }
        var unit = pow(10, -Double(places ?? 0))
        if (places ?? 0) == 0, rounded.isInteger, !rounded.isZero {
            unit = pow(10, Double("\(rounded.numerator)".reversed().prefix { $0 == "0" }.count))
        }
        return abs(exact.real - rounded.double) <= unit && abs(exact.imaginary) < 1e-9
    }

    static func isBare(_ node: MathNode) -> Bool {
        !node.contains { if case .symbol = $0 { true } else { false } }
    }

    mutating func ask(_ a: MathNode, _ b: MathNode) -> MathOutcome {
        let question = SymbolicQuestion(reference: a, answer: b)
        if let answer = known[question] { return answer }
        open.insert(question)
        return .undecided
    }

}

extension MathNode.Brackets {
    /// Whether it is open at one end and closed at the other.
    var isMixed: Bool {
        if case .pair(let first, let second) = self { first != second } else { false }
    }
}

extension MathNode.Relation {
    /// Whether it is `<` or `≤`.
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
