import BigInt

/// Brings expressions to a normal form by exact arithmetic.
///
/// Sums and products of rationals, roots of rationals, π, i and variables come to the same form exactly when they are
/// equal: products of roots of different primes are linearly independent over the rationals (Besicovitch 1940). Where
/// something else takes part, such as a logarithm or a root of a sum, equal forms are equal values, but different
/// forms may be too: `isComplete` tells.
final class Normalizer {
    /// Whether different forms are different values.
    private(set) var isComplete = true
    private var work = 0
    /// The sums that stand under a root, by the atom that means the sum itself.
    private var compounds: [String: NormalForm] = [:]

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

    /// A denominator of one term goes into the numerator.
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
    /// −1, and whole powers of what stands under a root become the thing itself.
    private func reduced(_ monomial: Monomial, _ coefficient: Rational) throws -> NormalForm {
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

    // MARK: Powers

    private func power(_ base: NormalForm, _ exponent: NormalForm) throws -> NormalForm {
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

    private func power(_ base: NormalForm, _ count: Int) throws -> NormalForm {
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
    private func root(_ base: NormalForm, _ exponent: Rational) throws -> NormalForm {
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

    private func root(_ value: Rational, _ exponent: Rational) throws -> NormalForm {
        if value.isNegative {
            let positive = try root(-value, exponent)
            // The real root where there is one, as schools have it.
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

    /// The prime powers of a positive rational. What has no small factor stays whole.
    private func primes(_ value: Rational) throws -> [(atom: String, count: Int)] {
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

    // MARK: Functions

    private func opaque(_ name: String, _ arguments: [NormalForm]) -> NormalForm {
        isComplete = false
        return NormalForm(Polynomial(Monomial("\(name)[\(arguments.map(\.key).joined(separator: ","))]"), 1))
    }

    private func function(_ name: String, _ nodes: [MathNode]) throws -> NormalForm {
        let arguments = try nodes.map(form)
        guard let first = arguments.first else { throw MathFault.undefined }
        switch name {
        case "exp": return try power(NormalForm(Polynomial(Monomial("e"), 1)), first)
        case "tan": return try divide(sine(first), cosine(first))
        case "cot": return try divide(cosine(first), sine(first))
        case "sec": return try divide(.one, cosine(first))
        case "csc": return try divide(.one, sine(first))
        case "sin": return try sine(first)
        case "cos": return try cosine(first)
        case "log": return try logarithm(first)
        case "factorial", "binomial", "gcd", "lcm", "floor", "ceil", "abs", "max", "min":
            return try whole(name, arguments) ?? opaque(name, arguments)
        default: return opaque(name, arguments)
        }
    }

    /// Functions of rationals that have a rational value.
    private func whole(_ name: String, _ arguments: [NormalForm]) throws -> NormalForm? {
        let values = arguments.compactMap(\.constant)
        guard values.count == arguments.count, let first = values.first else { return nil }
        switch name {
        case "factorial":
            guard let n = first.int, n >= 0 else { throw MathFault.undefined }
            guard n <= 3000 else { throw MathFault.tooLarge }
            return NormalForm(Rational((0..<n).reduce(BigInt(1)) { $0 * BigInt($1 + 1) }))
        case "binomial":
            guard values.count == 2, let n = values[0].int, let k = values[1].int, n >= 0, k >= 0 else { return nil }
            guard k <= n else { return .zero }
            let count = min(k, n - k)
            guard count <= 2000 else { throw MathFault.tooLarge }
            return NormalForm(
                Rational((0..<count).reduce(BigInt(1)) { $0 * BigInt(n - $1) / BigInt($1 + 1) }))
        case "gcd", "lcm":
            guard values.allSatisfy(\.isInteger) else { return nil }
            let numbers = values.map { BigInt($0.numerator.magnitude) }
            let result = numbers.dropFirst().reduce(numbers[0]) { a, b in
                let common = a.greatestCommonDivisor(with: b)
                return name == "gcd" ? common : common.isZero ? 0 : a / common * b
            }
            return NormalForm(Rational(result))
        case "floor": return NormalForm(Rational(first.floor))
        case "ceil": return NormalForm(Rational(-(-first).floor))
        case "abs": return NormalForm(first.magnitude)
        default:
            let sorted = values.sorted(by: <)
            return (name == "max" ? sorted.last : sorted.first).map { NormalForm($0) }
        }
    }

    private func logarithm(_ argument: NormalForm) throws -> NormalForm {
        if argument.numerator.terms.isEmpty { throw MathFault.undefined }
        if let value = argument.constant, !value.isNegative {
            return try primes(value).reduce(.zero) { sum, prime in
                try add(
                    sum, multiply(NormalForm(Rational(prime.count)), opaque("log", [NormalForm(prime: prime.atom)])))
            }
        }
        if argument == NormalForm(Polynomial(Monomial("e"), 1)) { return .one }
        return opaque("log", [argument])
    }

    /// The multiple of π that a form is.
    private func turns(_ argument: NormalForm) -> Rational? {
        if argument == .zero { return .zero }
        guard argument.denominator == .one, argument.numerator.terms.count == 1 else { return nil }
        return argument.numerator.terms[Monomial("pi")]
    }

    private func sine(_ argument: NormalForm) throws -> NormalForm {
        if let turns = turns(argument) {
            if let value = try exactCosine(turns - Rational(1, 2)) { return value }
        }
        // sin(−x) = −sin x
        return argument.numerator.content.isNegative
            ? negated(opaque("sin", [negated(argument)])) : opaque("sin", [argument])
    }

    private func cosine(_ argument: NormalForm) throws -> NormalForm {
        if let turns = turns(argument), let value = try exactCosine(turns) { return value }
        return opaque("cos", [argument.numerator.content.isNegative ? negated(argument) : argument])
    }

    /// cos(rπ) where its value is a root of a fraction.
    private func exactCosine(_ turns: Rational) throws -> NormalForm? {
        var rest = turns - Rational((turns / 2).floor * 2)
        if Rational(1) < rest { rest = Rational(2) - rest }
        let isNegative = Rational(1, 2) < rest
        if isNegative { rest = Rational(1) - rest }
        let square: Rational
        switch rest {
        case Rational(0): square = 1
        case Rational(1, 6): square = Rational(3, 4)
        case Rational(1, 4): square = Rational(1, 2)
        case Rational(1, 3): square = Rational(1, 4)
        case Rational(1, 2): square = 0
        default: return nil
        }
        let value = try root(NormalForm(square), Rational(1, 2))
        return isNegative ? negated(value) : value
    }
}

extension NormalForm {
    fileprivate init(prime: String) { self.init(Polynomial(Monomial(prime), 1)) }
}
