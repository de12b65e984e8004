import BigInt

/// Brings expressions to a normal form by exact arithmetic.
///
/// Sums and products of rationals, roots of rationals, π, i and variables have the same form exactly when they are
/// equal: products of roots of different primes are linearly independent over the rationals (Besicovitch 1940). Where
/// anything else takes part, such as a logarithm or a root of a sum, equal forms are still equal values, but different
/// forms may also be equal: `isComplete` says so.
final class Normalizer {
    /// Whether different forms always have different values.
    var isComplete = true
    private var work = 0
    /// The sums under roots, by the atom that stands for the sum itself.
    var compounds: [String: NormalForm] = [:]

    /// - Throws: `MathFault`.
    func form(_ node: MathNode) throws -> NormalForm {
        switch node {
        case .number(let value, _): return NormalForm(value)
        case .symbol(let name): return NormalForm(Polynomial(Monomial(name), 1))
        case .sum(let parts): return try parts.reduce(.zero) { try add($0, form($1)) }
        case .product(let parts): return try parts.reduce(.one) { try multiply($0, form($1)) }
        case .quotient(let top, let bottom): return try divide(form(top), form(bottom))
        case .power(let base, let exponent): return try power(form(base), form(exponent))
        case .function(let name, let arguments): return try function(name, arguments)
        case .degrees(let value):
            return try multiply(form(value), NormalForm(Polynomial(Monomial("pi"), Rational(1, 180))))
        case .percent(let value): return try multiply(form(value), NormalForm(Rational(1, 100)))
        case .quantity(let value, _): return try form(value)
        case .infinity, .numeral, .relation, .list, .union, .matrix, .ratio, .text, .plusMinus:
            throw MathFault.notAValue
        }
    }

    /// Whether two forms are the same value; nil when that is not known.
    func areEqual(_ a: NormalForm, _ b: NormalForm) throws -> Bool? {
        let left = try multiply(NormalForm(a.numerator), NormalForm(b.denominator))
        let right = try multiply(NormalForm(b.numerator), NormalForm(a.denominator))
        if left == right { return true }
        return isComplete ? false : nil
    }

    // MARK: Arithmetic

    func add(_ a: NormalForm, _ b: NormalForm) throws -> NormalForm {
        if a.denominator == b.denominator { return try checked(a.numerator + b.numerator, a.denominator) }
        let left = try multiply(NormalForm(a.numerator), NormalForm(b.denominator))
        let right = try multiply(NormalForm(b.numerator), NormalForm(a.denominator))
        let bottom = try multiply(NormalForm(a.denominator), NormalForm(b.denominator))
        return try divide(add(left, right), bottom)
    }

    func negated(_ a: NormalForm) -> NormalForm { NormalForm(a.numerator.scaled(-1), a.denominator) }

    func multiply(_ a: NormalForm, _ b: NormalForm) throws -> NormalForm {
        if a.denominator == .one, b.denominator == .one { return try multiply(a.numerator, b.numerator) }
        let top = try multiply(a.numerator, b.numerator)
        let bottom = try multiply(a.denominator, b.denominator)
        return try divide(top, bottom)
    }

    func divide(_ a: NormalForm, _ b: NormalForm) throws -> NormalForm {
        guard !b.numerator.terms.isEmpty else { throw MathFault.undefined }
        if a.denominator == .one, b.denominator == .one { return try quotient(a.numerator, b.numerator) }
        let top = try multiply(NormalForm(a.numerator), NormalForm(b.denominator))
        let bottom = try multiply(NormalForm(a.denominator), NormalForm(b.numerator))
        guard top.denominator == .one, bottom.denominator == .one else { throw MathFault.tooLarge }
        return try quotient(top.numerator, bottom.numerator)
    }

    /// Moves a denominator of one term into the numerator.
    private func quotient(_ top: Polynomial, _ bottom: Polynomial) throws -> NormalForm {
        if bottom.terms.count == 1, let (monomial, coefficient) = bottom.terms.first {
            return try multiply(top.scaled(.one / coefficient), Polynomial(monomial.power(-1), 1))
        }
        let content = bottom.content
        return try checked(top.scaled(.one / content), bottom.scaled(.one / content))
    }

    private func checked(_ top: Polynomial, _ bottom: Polynomial) throws -> NormalForm {
        guard max(top.terms.count, bottom.terms.count) <= MathLimits.terms else { throw MathFault.tooLarge }
        return NormalForm(top, top.terms.isEmpty ? .one : bottom)
    }

    private func multiply(_ a: Polynomial, _ b: Polynomial) throws -> NormalForm {
        try spend(a.terms.count * b.terms.count)
        var sum = Polynomial.zero
        var rest = NormalForm.zero
        for (m, c) in a.terms {
            for (n, d) in b.terms {
                let product = try reduced(m * n, c * d)
                if product.denominator == .one {
                    sum = product.numerator.terms.count == 1 ? sum : sum + product.numerator
                    if product.numerator.terms.count == 1, let (monomial, value) = product.numerator.terms.first {
                        sum.add(monomial, value)
                    }
                } else {
                    rest = try add(rest, product)
                }
            }
        }
        let plain = try checked(sum, .one)
        return rest == .zero ? plain : try add(plain, rest)
    }

    private func spend(_ amount: Int) throws {
        work += amount
        guard work <= MathLimits.work else { throw MathFault.tooLarge }
    }

    /// A product of powers whose exponents are within their bounds: whole powers of primes become numbers, i² becomes
    /// −1, and whole powers of a root's radicand become the radicand itself.
    func reduced(_ monomial: Monomial, _ coefficient: Rational) throws -> NormalForm {
        let (bounded, rest) = monomial.split { power in
            if power.atom == "i" { return !(power.exponent == 1) }
            guard power.atom.first?.isNumber == true || power.atom.hasPrefix("{") else { return false }
            return power.exponent.isNegative || !(power.exponent < 1)
        }
        guard !bounded.isEmpty else { return NormalForm(Polynomial(monomial, coefficient)) }
        var (value, result) = (coefficient, rest)
        var factors: [NormalForm] = []
        for power in bounded {
            let whole = power.exponent.floor
            guard let count = Int(exactly: whole) else { throw MathFault.tooLarge }
            if power.atom == "i" {
                guard power.exponent.isInteger else { throw MathFault.undefined }
                let turn = ((count % 4) + 4) % 4
                if turn >= 2 { value = -value }
                if turn % 2 == 1 { result = result * Monomial("i") }
                continue
            }
            result = result * Monomial(power.atom, power.exponent - Rational(whole))
            if let inner = compounds[power.atom] {
                factors.append(try self.power(inner, count))
            } else if let prime = BigInt(power.atom), let whole = Rational(prime).power(count) {
                value = value * whole
            } else {
                throw MathFault.tooLarge
            }
        }
        let start = NormalForm(Polynomial(result, value))
        return try factors.reduce(start) { try multiply($0, $1) }
    }
}
