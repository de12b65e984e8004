import ComplexModule
import Foundation
import RealModule

/// Expressions as complex numbers, with numbers in place of the variables.
enum NumericValue {
    /// - Parameter variables: the value of each symbol.
    /// - Throws: `MathFault`.
    static func of(_ node: MathNode, _ variables: [String: Double] = [:]) throws -> Complex<Double> {
        func value(_ node: MathNode) throws -> Complex<Double> { try of(node, variables) }
        switch node {
        case .number(let number, _): return Complex(number.double)
        case .symbol("pi"): return Complex(.pi)
        case .symbol("e"): return Complex(Double.exp(1))
        case .symbol("i"): return Complex(0, 1)
        case .symbol(let name):
            guard let value = variables[name] else { throw MathFault.notAValue }
            return Complex(value)
        case .sum(let parts): return try parts.reduce(.zero) { try $0 + value($1) }
        case .product(let parts): return try parts.reduce(.one) { try $0 * value($1) }
        case .quotient(let top, let bottom):
            let divisor = try value(bottom)
            guard divisor != .zero else { throw MathFault.undefined }
            return try value(top) / divisor
        case .power(let base, let exponent): return try power(value(base), exponent, value(exponent))
        case .function(let name, let arguments): return try function(name, arguments.map(value))
        case .degrees(let inner): return try value(inner) * Complex(.pi / 180)
        case .percent(let inner): return try value(inner) / Complex(100)
        case .quantity(let inner, _): return try value(inner)
        case .infinity, .numeral, .relation, .list, .union, .matrix, .ratio, .text, .plusMinus:
            throw MathFault.notAValue
        }
    }

    private static func power(
        _ base: Complex<Double>, _ node: MathNode, _ exponent: Complex<Double>
    ) throws -> Complex<Double> {
        if base == .zero {
            guard exponent.real >= 0 else { throw MathFault.undefined }
            return exponent == .zero ? .one : .zero
        }
        if exponent.imaginary == 0, abs(exponent.real) < 1e9, exponent.real == exponent.real.rounded() {
            return Complex.pow(base, Int(exponent.real))
        }
        // The real root where there is one, as taught in schools.
        if base.imaginary == 0, base.real < 0, let form = try? Normalizer().form(node).constant,
            !form.denominator.isMultiple(of: 2)
        {
            let size = Foundation.pow(-base.real, exponent.real)
            return Complex(form.numerator.isMultiple(of: 2) ? size : -size)
        }
        return Complex.pow(base, exponent)
    }

    private static func function(_ name: String, _ arguments: [Complex<Double>]) throws -> Complex<Double> {
        guard let x = arguments.first else { throw MathFault.undefined }
        switch name {
        case "sin": return Complex.sin(x)
        case "cos": return Complex.cos(x)
        case "tan": return Complex.tan(x)
        case "cot": return .one / Complex.tan(x)
        case "sec": return .one / Complex.cos(x)
        case "csc": return .one / Complex.sin(x)
        case "sinh": return Complex.sinh(x)
        case "cosh": return Complex.cosh(x)
        case "tanh": return Complex.tanh(x)
        case "arcsin": return Complex.asin(x)
        case "arccos": return Complex.acos(x)
        case "arctan": return Complex.atan(x)
        case "arccot": return Complex.atan(.one / x)
        case "arcsec": return Complex.acos(.one / x)
        case "arccsc": return Complex.asin(.one / x)
        case "exp": return Complex.exp(x)
        case "log":
            guard x != .zero else { throw MathFault.undefined }
            return Complex.log(x)
        case "abs": return Complex(x.length)
        default: return Complex(try real(name, arguments))
        }
    }

    private static func real(_ name: String, _ arguments: [Complex<Double>]) throws -> Double {
        let values = arguments.map(\.real)
        guard arguments.allSatisfy({ abs($0.imaginary) < 1e-12 }), let x = values.first else {
            throw MathFault.undefined
        }
        switch (name, values.count) {
        case ("floor", 1): return x.rounded(.down)
        case ("ceil", 1): return x.rounded(.up)
        case ("factorial", 1): return Foundation.tgamma(x + 1)
        case ("binomial", 2):
            return Foundation.tgamma(x + 1) / Foundation.tgamma(values[1] + 1) / Foundation.tgamma(x - values[1] + 1)
        case ("max", _): return values.max() ?? x
        case ("min", _): return values.min() ?? x
        default: throw MathFault.notAValue
        }
    }

    /// How two expressions compare at a few points.
    enum Agreement: Sendable {
        /// They agree to a relative 1e-10 wherever both have a value.
        case same
        case different
        /// No point decides.
        case unknown
    }

    static func compare(_ a: MathNode, _ b: MathNode) -> Agreement {
        let names = Set(symbols(a)).union(symbols(b)).sorted()
        var agreed = 0
        for point in 0..<(names.isEmpty ? 1 : 4) {
            var variables: [String: Double] = [:]
            for (index, name) in names.enumerated() {
                // Fixed irrational-looking points between 0.3 and 2.3.
                variables[name] =
                    0.3 + 2
                    * ((Double(index + 1) * 0.618_033_988_749 + Double(point) * 0.414_213_562)
                        .truncatingRemainder(dividingBy: 1))
            }
            guard let x = try? of(a, variables), let y = try? of(b, variables), x.isFinite, y.isFinite else { continue }
            // Near zero doubles decide nothing: cancellation leaves only rounding errors.
            let scale = max(x.length, y.length, 1e-6)
            let distance = (x - y).length / scale
            if distance > 1e-7 { return .different }
            if distance < 1e-10 { agreed += 1 }
        }
        return agreed > 0 ? .same : .unknown
    }

    private static func symbols(_ node: MathNode) -> [String] {
        if case .symbol(let name) = node, !["pi", "e", "i"].contains(name) { return [name] }
        return node.children.flatMap(symbols)
    }
}
