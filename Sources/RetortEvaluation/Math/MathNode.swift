/// A mathematical answer as it was written: an expression, or a list, an interval, a relation of expressions.
indirect enum MathNode: Hashable, Sendable {
    /// A number; `places` is the number of digits after its point, nil for a whole number or a fraction.
    case number(Rational, places: Int?)
    /// A variable, or one of the constants `pi`, `e` and `i`.
    case symbol(String)
    case infinity
    case sum([MathNode])
    case product([MathNode])
    case quotient(MathNode, MathNode)
    case power(MathNode, MathNode)
    /// A named function with canonical name, such as `sin` or `log` (natural).
    case function(String, [MathNode])
    /// `a ± b`; the sign is `-` for `a ∓ b`.
    case plusMinus(MathNode?, MathNode)
    case percent(MathNode)
    case degrees(MathNode)
    /// A value with its unit, in canonical spelling.
    case quantity(MathNode, unit: String)
    /// A numeral in another base.
    case numeral(String, base: Int)
    case relation([MathNode], [Relation])
    /// Parts in brackets or without any.
    case list([MathNode], Brackets)
    case union([MathNode])
    /// Rows of equal length.
    case matrix([[MathNode]])
    /// `a : b`, a ratio or a time of day.
    case ratio([MathNode])
    case text(String)

    enum Relation: String, Hashable, Sendable {
        case equal = "=", less = "<", atMost = "<=", greater = ">", atLeast = ">=", different = "!="
        case element = "in", approximately = "≈"
    }

    enum Brackets: Hashable, Sendable {
        /// `1, -2`: solutions, whose order does not matter.
        case none
        /// A bracket for each end: a tuple, a point or an interval.
        case pair(openIsRound: Bool, closeIsRound: Bool)
        /// `{1, 2}`.
        case braces
    }

    /// The variable of an inequality that is written without one.
    static let unnamed = MathNode.symbol("□")

    static func integer(_ value: Int) -> MathNode { .number(Rational(value), places: nil) }

    static func negated(_ node: MathNode) -> MathNode {
        switch node {
        case .number(let value, let places): .number(-value, places: places)
        // The sign of `-5%` and `-30°` belongs to the number.
        case .percent(let value): .percent(negated(value))
        case .degrees(let value): .degrees(negated(value))
        default: .product([.integer(-1), node])
        }
    }

    /// An interval's two ends, in SymPy's terms.
    static func interval(_ low: MathNode, _ high: MathNode, leftOpen: Bool, rightOpen: Bool) -> MathNode {
        .list([low, high], .pair(openIsRound: leftOpen, closeIsRound: rightOpen))
    }

    /// Whether it is an expression with a value, not a list, a relation or a text.
    var isExpression: Bool {
        switch self {
        case .list, .union, .relation, .matrix, .ratio, .text, .plusMinus: false
        default: true
        }
    }

    /// The parts that an expression consists of.
    var children: [MathNode] {
        switch self {
        case .number, .symbol, .infinity, .text, .numeral: []
        case .sum(let parts), .product(let parts), .function(_, let parts), .list(let parts, _), .union(let parts),
            .ratio(let parts), .relation(let parts, _):
            parts
        case .quotient(let a, let b), .power(let a, let b): [a, b]
        case .plusMinus(let a, let b): (a.map { [$0] } ?? []) + [b]
        case .percent(let a), .degrees(let a), .quantity(let a, _): [a]
        case .matrix(let rows): rows.flatMap { $0 }
        }
    }

    /// Whether the condition holds for the node itself or any part.
    func contains(_ condition: (MathNode) -> Bool) -> Bool {
        condition(self) || children.contains { $0.contains(condition) }
    }
}
