import Foundation

/// Decimals that stand for a value without so short a form.
extension MathComparison {
    /// Whether one of two values is the other, written out to at least six significant digits; the last digit may be
    /// cut off instead of rounded. Whole numbers are never approximate.
    static func approximation(_ a: MathNode, _ b: MathNode, _ x: Rational?, _ y: Rational?) -> String? {
        if isRounded(b, of: a, exactly: x) || isRounded(a, of: b, exactly: y) { return "equal when rounded" }
        return nil
    }

    static func isRounded(_ literal: MathNode, of node: MathNode, exactly value: Rational?) -> Bool {
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
        // Doubles carry about fifteen digits, however many are printed.
        return distance < unit || !(Rational(2, 1_000_000_000_000_000) * target.magnitude < distance)
    }

    static func significantDigits(_ value: Rational, _ places: Int) -> Int {
        guard let scale = Rational(10).power(places) else { return 0 }
        return (value.magnitude * scale).numerator.description.count
    }
}
