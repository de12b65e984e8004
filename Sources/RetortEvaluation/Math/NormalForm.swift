import BigInt

/// A product of powers, such as `√2 · x² · π`.
///
/// An atom is a prime, with an exponent between 0 and 1, a variable, a constant, or a text that stands for a function
/// of something.
struct Monomial: Hashable, Sendable {
    struct Power: Hashable, Sendable {
        let atom: String
        let exponent: Rational
    }

    /// Sorted by atom, without exponents of zero.
    private(set) var powers: [Power]

    static let one = Monomial(powers: [])

    init(_ atom: String, _ exponent: Rational = 1) {
        powers = exponent.isZero ? [] : [Power(atom: atom, exponent: exponent)]
    }

    private init(powers: [Power]) { self.powers = powers }

    /// The product before any reduction.
    static func * (a: Monomial, b: Monomial) -> Monomial {
        if a.powers.isEmpty { return b }
        if b.powers.isEmpty { return a }
        var merged: [Power] = []
        var (i, j) = (0, 0)
        while i < a.powers.count || j < b.powers.count {
            if j >= b.powers.count || (i < a.powers.count && a.powers[i].atom < b.powers[j].atom) {
                merged.append(a.powers[i])
                i += 1
            } else if i >= a.powers.count || b.powers[j].atom < a.powers[i].atom {
                merged.append(b.powers[j])
                j += 1
            } else {
                let exponent = a.powers[i].exponent + b.powers[j].exponent
                if !exponent.isZero { merged.append(Power(atom: a.powers[i].atom, exponent: exponent)) }
                i += 1
                j += 1
            }
        }
        return Monomial(powers: merged)
    }

    func power(_ exponent: Rational) -> Monomial {
        guard !exponent.isZero else { return .one }
        return Monomial(powers: powers.map { Power(atom: $0.atom, exponent: $0.exponent * exponent) })
    }

    /// Splits off the powers for which a condition holds.
    func split(_ condition: (Power) -> Bool) -> (taken: [Power], rest: Monomial) {
        (powers.filter(condition), Monomial(powers: powers.filter { !condition($0) }))
    }

    /// A text that is the same only for equal monomials.
    var key: String {
        powers.map { "\($0.atom)^\($0.exponent.numerator)/\($0.exponent.denominator)" }.joined(separator: "*")
    }
}

/// A sum of monomials with rational coefficients.
struct Polynomial: Hashable, Sendable {
    private(set) var terms: [Monomial: Rational]

    static let zero = Polynomial(terms: [:])
    static let one = Polynomial(.one, 1)

    init(_ monomial: Monomial, _ coefficient: Rational) {
        terms = coefficient.isZero ? [:] : [monomial: coefficient]
    }

    private init(terms: [Monomial: Rational]) { self.terms = terms }

    /// The value of a polynomial without atoms.
    var constant: Rational? {
        if terms.isEmpty { return .zero }
        return terms.count == 1 ? terms[.one] : nil
    }

    mutating func add(_ monomial: Monomial, _ coefficient: Rational) {
        let sum = (terms[monomial] ?? .zero) + coefficient
        terms[monomial] = sum.isZero ? nil : sum
    }

    static func + (a: Polynomial, b: Polynomial) -> Polynomial {
        var sum = a
        for (monomial, coefficient) in b.terms { sum.add(monomial, coefficient) }
        return sum
    }

    func scaled(_ factor: Rational) -> Polynomial {
        factor.isZero ? .zero : Polynomial(terms: terms.mapValues { $0 * factor })
    }

    func times(_ monomial: Monomial) -> Polynomial {
        Polynomial(terms: Dictionary(terms.map { ($0.key * monomial, $0.value) }, uniquingKeysWith: +))
    }

    /// The terms in an order that is the same for equal polynomials.
    var sorted: [(key: String, monomial: Monomial, coefficient: Rational)] {
        terms.map { ($0.key.key, $0.key, $0.value) }.sorted { $0.key < $1.key }
    }

    /// The greatest rational that divides all coefficients, with the sign of the first one.
    var content: Rational {
        guard let first = sorted.first?.coefficient else { return .one }
        var (top, bottom) = (BigInt(0), BigInt(1))
        for coefficient in terms.values {
            top = top.greatestCommonDivisor(with: coefficient.numerator)
            bottom = bottom / bottom.greatestCommonDivisor(with: coefficient.denominator) * coefficient.denominator
        }
        let content = Rational(top, bottom)
        return first.isNegative ? -content : content
    }

    var key: String {
        sorted.map { "\($0.coefficient.numerator)/\($0.coefficient.denominator)*\($0.key)" }.joined(separator: "+")
    }
}

/// A quotient of sums: the form that every expression is brought to before it is compared.
struct NormalForm: Hashable, Sendable {
    let numerator: Polynomial
    /// Either one, or a sum of several terms.
    let denominator: Polynomial

    static let zero = NormalForm(.zero)
    static let one = NormalForm(1)

    init(_ value: Rational) { (numerator, denominator) = (Polynomial(.one, value), .one) }

    init(_ numerator: Polynomial, _ denominator: Polynomial = .one) {
        (self.numerator, self.denominator) = (numerator, denominator)
    }

    /// The value of a form without atoms.
    var constant: Rational? { denominator == .one ? numerator.constant : nil }

    var key: String { denominator == .one ? numerator.key : "(\(numerator.key))/(\(denominator.key))" }
}
