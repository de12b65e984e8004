import Foundation

/// A rational number read from an answer's text, without rounding: numerator and denominator of any length, as decimal
/// digits.
///
/// Understood are signs, thousands separators, decimals, exponents, fractions `a/b` and `\frac{a}{b}`, percentages,
/// currency signs and degree marks.
struct ExactNumber: Equatable {
    /// Digits without leading zeros; `0` for zero.
    private let digits: String
    /// The power of ten that the digits are multiplied by.
    private let exponent: Int
    private let isNegative: Bool
    /// What the digits are divided by; nil for a decimal.
    private let divisor: [String]

    /// Reads a text that is a number as a whole; nil for anything else.
    init?(_ text: String) {
        var plain = text.trimmingCharacters(in: .whitespacesAndNewlines)
        for mark in ["\\left", "\\right", "\\!", "\\,", "\\$", "$", "€", "£", "^\\circ", "^{\\circ}", "°", "\\%", "%"] {
            plain = plain.replacing(mark, with: "")
        }
        while plain.hasSuffix(".") { plain.removeLast() }
        plain = plain.replacing("−", with: "-").replacing(" ", with: "")
        if let fraction = Self.fraction(plain) {
            guard let top = Self.decimal(fraction.0), let bottom = Self.decimal(fraction.1), bottom.digits != "0"
            else { return nil }
            self.init(top: top, bottom: bottom)
            return
        }
        guard let value = Self.decimal(plain) else { return nil }
        self.init(top: value, bottom: nil)
    }

    private typealias Decimal = (digits: String, exponent: Int, isNegative: Bool)

    private init(top: Decimal, bottom: Decimal?) {
        var (digits, exponent) = (top.digits, top.exponent)
        var divisor: [String] = []
        isNegative = digits != "0" && top.isNegative != (bottom?.isNegative ?? false)
        if let bottom {
            exponent -= bottom.exponent
            // Small fractions are brought to lowest terms; longer ones are compared as they are.
            if let a = Int(digits), let b = Int(bottom.digits), a > 0 {
                let common = Self.greatestCommonDivisor(a, b)
                digits = String(a / common)
                var rest = b / common
                // Halves and fifths are decimals.
                var (twos, fives) = (0, 0)
                while rest % 2 == 0 { (rest, twos) = (rest / 2, twos + 1) }
                while rest % 5 == 0 { (rest, fives) = (rest / 5, fives + 1) }
                let power = max(twos, fives)
                let (grown, overflow) = (a / common).multipliedReportingOverflow(
                    by: Self.power(2, power - twos) * Self.power(5, power - fives))
                if overflow || power > 18 {
                    divisor = [String(b / common)]
                } else {
                    digits = String(grown)
                    exponent -= power
                    if rest > 1 { divisor = [String(rest)] }
                }
            } else if digits != "0" {
                divisor = [bottom.digits]
            }
        }
        while digits.count > 1, digits.hasSuffix("0") {
            digits.removeLast()
            exponent += 1
        }
        self.digits = digits
        self.exponent = digits == "0" ? 0 : exponent
        self.divisor = digits == "0" ? [] : divisor
    }

    private static func power(_ base: Int, _ exponent: Int) -> Int {
        (0..<exponent).reduce(1) { value, _ in value &* base }
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
        b == 0 ? a : greatestCommonDivisor(b, a % b)
    }

    /// The parts of `a/b` or `\frac{a}{b}`.
    private static func fraction(_ text: String) -> (String, String)? {
        var body = text[...]
        var sign = ""
        if body.hasPrefix("-\\") {
            sign = "-"
            body = body.dropFirst()
        }
        for name in ["\\frac{", "\\dfrac{", "\\tfrac{"] where body.hasPrefix(name) && body.hasSuffix("}") {
            let parts = body.dropFirst(name.count).dropLast().components(separatedBy: "}{")
            return parts.count == 2 ? (sign + parts[0], parts[1]) : nil
        }
        let parts = text.components(separatedBy: "/")
        return parts.count == 2 ? (parts[0], parts[1]) : nil
    }

    private static func decimal(_ text: String) -> Decimal? {
        var body = text[...]
        let isNegative = body.hasPrefix("-")
        if isNegative || body.hasPrefix("+") { body = body.dropFirst() }
        var exponent = 0
        if let mark = body.firstIndex(where: { $0 == "e" || $0 == "E" }) {
            guard let power = Int(body[body.index(after: mark)...]), abs(power) < 10_000 else { return nil }
            exponent = power
            body = body[..<mark]
        }
        let parts = body.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = ungrouped(parts[0]) else { return nil }
        let places = parts.count > 1 ? String(parts[1]) : ""
        guard (whole + places).isEmpty == false, (whole + places).utf8.allSatisfy({ (48...57).contains($0) })
        else { return nil }
        let digits = String((whole + places).drop { $0 == "0" })
        return (digits.isEmpty ? "0" : digits, exponent - places.count, isNegative)
    }

    /// Digits without their thousands separators; nil when the separators are not at thousands.
    private static func ungrouped(_ text: Substring) -> String? {
        let groups = text.replacing("{,}", with: ",").split(separator: ",", omittingEmptySubsequences: false)
        guard groups.count > 1 else { return String(text) }
        guard groups.dropFirst().allSatisfy({ $0.count == 3 }), (1...3).contains(groups[0].count) else { return nil }
        return groups.joined()
    }

    /// Whether the number has no fractional part.
    var isInteger: Bool { exponent >= 0 && divisor.isEmpty }

    /// The nearest double.
    var approximation: Double {
        let top = Double("\(isNegative ? "-" : "")\(digits)e\(exponent)") ?? .nan
        return divisor.reduce(top) { $0 / (Double($1) ?? .nan) }
    }
}
