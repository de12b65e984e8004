import BigInt

/// Functions that have an exact value or an identity; all others stay as they are.
extension Normalizer {
    func opaque(_ name: String, _ arguments: [NormalForm]) -> NormalForm {
        isComplete = false
        return NormalForm(Polynomial(Monomial("\(name)[\(arguments.map(\.key).joined(separator: ","))]"), 1))
    }

    func function(_ name: String, _ nodes: [MathNode]) throws -> NormalForm {
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

    /// The form as a multiple of π; nil when it is not one.
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

    /// cos(rπ) where its value is the root of a fraction.
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
