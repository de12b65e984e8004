import BigInt
import Foundation

/// A fraction of whole numbers of any length, in lowest terms with a positive denominator.
struct Rational: Hashable, Sendable {
    let numerator: BigInt
    let denominator: BigInt

    static let zero = Rational(0)
    static let one = Rational(1)

    init(_ value: Int) { (numerator, denominator) = (BigInt(value), 1) }

    init(_ value: BigInt) { (numerator, denominator) = (value, 1) }

    /// - Parameter bottom: not zero.
    init(_ top: BigInt, _ bottom: BigInt) {
        let common = top.greatestCommonDivisor(with: bottom)
        let sign: BigInt = bottom.sign == .minus ? -1 : 1
        let divisor = common.isZero ? sign : common * sign
        (numerator, denominator) = (top / divisor, bottom / divisor)
    }

    /// Reads decimal digits with at most one point; nil when they are malformed or too many to compute with.
    init?(decimal text: some StringProtocol, exponent: Int = 0) {
        guard text.utf8.count <= MathLimits.digits, abs(exponent) <= MathLimits.digits else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let digits = BigInt(parts.joined()) else { return nil }
        let power = exponent - (parts.count == 2 ? parts[1].count : 0)
        let scale = BigInt(10).power(abs(power))
        self = power >= 0 ? Rational(digits * scale) : Rational(digits, scale)
    }

    var isZero: Bool { numerator.isZero }
    var isInteger: Bool { denominator == 1 }
    var isNegative: Bool { numerator.sign == .minus }
    var magnitude: Rational { isNegative ? -self : self }
    /// The value as an `Int`; nil when it is not whole or does not fit.
    var int: Int? { isInteger ? Int(exactly: numerator) : nil }

    /// The nearest double, or nearly; infinite beyond its range.
    var double: Double {
        let (top, bottom) = (numerator, denominator)
        if let a = Int64(exactly: top), let b = Int64(exactly: bottom), abs(a) < 1 << 53, b < 1 << 53 {
            return Double(a) / Double(b)
        }
        // 64 significant bits of each, and the difference of their lengths.
        let (topShift, bottomShift) = (max(top.bitWidth - 64, 0), max(bottom.bitWidth - 64, 0))
        let ratio = Double(top >> topShift) / Double(bottom >> bottomShift)
        return scalbn(ratio, topShift - bottomShift)
    }

    /// The greatest whole number that is not greater.
    var floor: BigInt {
        let (quotient, remainder) = numerator.quotientAndRemainder(dividingBy: denominator)
        return remainder.sign == .minus && !remainder.isZero ? quotient - 1 : quotient
    }

    static prefix func - (a: Rational) -> Rational { Rational(-a.numerator, a.denominator) }

    static func + (a: Rational, b: Rational) -> Rational {
        if a.denominator == b.denominator, a.denominator == 1 { return Rational(a.numerator + b.numerator) }
        return Rational(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator)
    }

    static func - (a: Rational, b: Rational) -> Rational { a + -b }

    static func * (a: Rational, b: Rational) -> Rational {
        if a.isInteger, b.isInteger { return Rational(a.numerator * b.numerator) }
        return Rational(a.numerator * b.numerator, a.denominator * b.denominator)
    }

    /// - Parameter b: not zero.
    static func / (a: Rational, b: Rational) -> Rational {
        Rational(a.numerator * b.denominator, a.denominator * b.numerator)
    }

    static func < (a: Rational, b: Rational) -> Bool {
        a.numerator * b.denominator < b.numerator * a.denominator
    }

    /// The power; nil when it would be too long to compute with, or is a division by zero.
    func power(_ exponent: Int) -> Rational? {
        if isZero { return exponent > 0 ? .zero : exponent == 0 ? .one : nil }
        if numerator.magnitude == 1, denominator == 1 { return exponent.isMultiple(of: 2) ? .one : self }
        let bits = max(numerator.bitWidth, denominator.bitWidth)
        let (size, overflow) = bits.multipliedReportingOverflow(by: exponent == .min ? .max : abs(exponent))
        guard !overflow, size <= MathLimits.bits else { return nil }
        let (top, bottom) = (numerator.power(abs(exponent)), denominator.power(abs(exponent)))
        return exponent >= 0 ? Rational(top, bottom) : Rational(bottom, top)
    }
}

/// The limits of an answer's cost. An answer beyond them counts as wrong, with the reason.
enum MathLimits {
    /// UTF-8 bytes of an answer that is examined.
    static let text = 20_000
    /// Decimal digits of a number.
    static let digits = 20_000
    /// Bits of a number.
    static let bits = 80_000
    /// How deep brackets, fractions and powers may nest.
    static let depth = 80
    /// Terms of an expanded sum.
    static let terms = 3000
    /// Products of terms while two answers are compared.
    static let work = 60_000
    /// Parts of a list or a matrix.
    static let parts = 4000
}

/// Why an expression has no normal form that decides.
enum MathFault: Error {
    /// It is larger than the limits.
    case tooLarge
    /// It divides by zero or has no value.
    case undefined
    /// It contains something without a value: a list, a relation, a text.
    case notAValue
}
