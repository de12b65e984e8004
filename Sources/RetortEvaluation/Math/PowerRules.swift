import BigInt

/// Powers and roots, with numbers factored into primes.
extension Normalizer {
    func power(_ base: NormalForm, _ exponent: NormalForm) throws -> NormalForm {
        if let value = exponent.constant {
            if let count = value.int { return try power(base, count) }
            guard value.isInteger == false else { throw MathFault.tooLarge }
            return try root(base, value)
        }
        guard exponent.denominator == .one else { return opaque("pow", [base, exponent]) }
        isComplete = false
        let sum = exponent.numerator.sorted
        if base == NormalForm(Polynomial(Monomial("e"), 1)) { return try exponential("e", sum) }
        if let value = base.constant, !value.isNegative, !value.isZero {
            return try primes(value).reduce(.one) { product, prime in
                let scaled = sum.map { ($0.key, $0.monomial, $0.coefficient * Rational(prime.count)) }
                return try multiply(product, exponential(prime.atom, scaled))
            }
        }
        return opaque("pow", [base, exponent])
    }

    /// base^(c₁m₁ + c₂m₂ + …) as a product of powers of base^m.
    private func exponential(
        _ base: String, _ exponent: [(key: String, monomial: Monomial, coefficient: Rational)]
    ) throws -> NormalForm {
        try exponent.reduce(.one) { product, term in
            let atom = term.monomial == .one ? base : "exp[\(base),\(term.key)]"
            return try multiply(product, reduced(Monomial(atom, term.coefficient), 1))
        }
    }

    func power(_ base: NormalForm, _ count: Int) throws -> NormalForm {
        if count < 0 { return try divide(.one, power(base, -count)) }
        if base.denominator == .one, base.numerator.terms.count <= 1 {
            guard let (monomial, coefficient) = base.numerator.terms.first else { return count == 0 ? .one : .zero }
            guard let value = coefficient.power(count) else { throw MathFault.tooLarge }
            return try reduced(monomial.power(Rational(count)), value)
        }
        guard count <= 100 else { throw MathFault.tooLarge }
        var (result, square, left) = (NormalForm.one, base, count)
        while left > 0 {
            if left % 2 == 1 { result = try multiply(result, square) }
            left /= 2
            if left > 0 { square = try multiply(square, square) }
        }
        return result
    }

    /// A power with a fraction as exponent.
    func root(_ base: NormalForm, _ exponent: Rational) throws -> NormalForm {
        guard !base.numerator.terms.isEmpty else {
            guard !exponent.isNegative else { throw MathFault.undefined }
            return .zero
        }
        if base.denominator == .one, base.numerator.terms.count == 1,
            let (monomial, coefficient) = base.numerator.terms.first
        {
            let isPlain = monomial.powers.allSatisfy { Self.isPositive($0.atom) }
            let isVariable = monomial.powers.count == 1 && monomial.powers[0].exponent == 1
            if isPlain || (isVariable && !coefficient.isNegative) {
                return try multiply(root(coefficient, exponent), reduced(monomial.power(exponent), 1))
            }
        }
        isComplete = false
        let content = base.numerator.content.magnitude
        let primitive = NormalForm(base.numerator.scaled(.one / content), base.denominator)
        let atom = "{\(primitive.key)}"
        compounds[atom] = primitive
        return try multiply(root(content, exponent), reduced(Monomial(atom, exponent), 1))
    }

    private static func isPositive(_ atom: String) -> Bool {
        atom == "pi" || atom == "e" || atom.first?.isNumber == true
    }

    func root(_ value: Rational, _ exponent: Rational) throws -> NormalForm {
        if value.isNegative {
            let positive = try root(-value, exponent)
            // The real root where there is one, as taught in schools.
            if !exponent.denominator.isMultiple(of: 2) {
                return exponent.numerator.isMultiple(of: 2) ? positive : negated(positive)
            }
            guard exponent.denominator == 2, let count = Int(exactly: exponent.numerator) else {
                throw MathFault.undefined
            }
            return try multiply(positive, reduced(Monomial("i", Rational(count)), 1))
        }
        return try primes(value).reduce(.one) { product, prime in
            try multiply(product, reduced(Monomial(prime.atom, Rational(prime.count) * exponent), 1))
        }
    }

    /// The prime powers of a positive rational. A factor without small primes is kept whole.
    func primes(_ value: Rational) throws -> [(atom: String, count: Int)] {
        var factors: [(String, Int)] = []
        for (number, sign) in [(value.numerator, 1), (value.denominator, -1)] where number > 1 {
            guard number.bitWidth <= 4000 else { throw MathFault.tooLarge }
            for (prime, count) in Self.factored(number) { factors.append((String(prime), count * sign)) }
        }
        return factors
    }

    private static func factored(_ number: BigInt) -> [(BigInt, Int)] {
        var factors: [(BigInt, Int)] = []
        var rest = number
        var candidate = 2
        while candidate <= 20_000, rest > 1 {
            let prime = BigInt(candidate)
            if rest.bitWidth < 62, prime * prime > rest { break }
            var count = 0
            while case (let quotient, let remainder) = rest.quotientAndRemainder(dividingBy: prime), remainder.isZero {
                rest = quotient
                count += 1
            }
            if count > 0 { factors.append((prime, count)) }
            candidate += candidate == 2 ? 1 : 2
        }
        guard rest > 1 else { return factors }
        let root = rest.squareRoot()
        if root * root == rest {
            factors.append((root, 2))
        } else {
            factors.append((rest, 1))
        }
        return factors
    }
}
