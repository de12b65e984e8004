/// Numbers written as words: `twenty-one`, `three hundred and five`, `two thirds`.
enum NumberWords {
    /// The value of words that form a number; nil for anything else.
    static func value(_ words: [String]) -> Rational? {
        let parts = words.flatMap { $0.lowercased().split(separator: "-").map(String.init) }
        guard !parts.isEmpty, parts.count <= 24 else { return nil }
        if parts == ["half"] || parts == ["a", "half"] { return Rational(1, 2) }
        if let last = parts.last, last == "dozen" || last == "dozens" {
            let count = Array(parts.dropLast())
            if count == ["a"] { return 12 }
            if count == ["half"] || count == ["half", "a"] { return 6 }
            return integer(count).map { Rational($0 * 12) }
        }
        if let last = parts.last, let bottom = denominators[last] {
            let top = parts.dropLast().last == "a" ? Array(parts.dropLast(2)) : Array(parts.dropLast())
            if let and = top.lastIndex(of: "and"), let whole = integer(Array(top[..<and])) {
                let share = Array(top[(and + 1)...])
                guard let count = share.isEmpty ? 1 : integer(share), 0 < count, count < bottom else { return nil }
                return Rational(whole) + Rational(count) / Rational(bottom)
            }
            if parts.count == 2, parts[0] == "a" { return Rational(1) / Rational(bottom) }
            guard let count = integer(top), count > 0 else { return nil }
            return Rational(count) / Rational(bottom)
        }
        return integer(parts).map { Rational($0) }
    }

    /// Whether a word may be a part of such a number.
    static func isPart(_ word: String) -> Bool {
        word.lowercased().split(separator: "-").allSatisfy {
            let part = String($0)
            return MathNames.number(part) != nil || scales[part] != nil || denominators[part] != nil
                || part == "dozen" || part == "dozens"
        }
    }

    /// Whether a word gives a place in an order that no part of a number has: `first`, `twelfth`.
    static func isOrdinal(_ word: String) -> Bool { ordinals.contains(word.lowercased()) }

    private static let ordinals: Set = [
        "first", "second", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
        "eighteenth", "nineteenth", "twentieth", "thirtieth", "fortieth", "fiftieth", "sixtieth", "seventieth",
        "eightieth", "ninetieth", "thousandth",
    ]

    private static func integer(_ parts: [String]) -> Int? {
        guard !parts.isEmpty else { return nil }
        var (total, group) = (0, 0)
        var last = Int.max
        for (index, part) in parts.enumerated() {
            if part == "and", index > 0, index < parts.count - 1, last >= 100 { continue }
            if part == "a", index == 0, parts.count > 1, scales[parts[1]] != nil {
                group = 1
                continue
            }
            // `twelve hundred`
            if part == "hundred", group > 0, group < 100 {
                group *= 100
                last = 100
            } else if let scale = scales[part], scale > 100, group > 0, total == 0 || total.isMultiple(of: scale * 1000)
            {
                total += group * scale
                group = 0
                last = scale
            } else if let value = MathNames.number(part), value < 100, part != "hundred" {
                // Twenty-one, but neither one twenty nor one two.
                let fits = last >= 100 || (last >= 20 && last < 100 && value < 10 && value > 0)
                guard fits, value > 0 || parts.count == 1 else { return nil }
                group += value
                last = value
            } else {
                return nil
            }
        }
        return total + group
    }

    /// The factor of each scale word.
    static let scales: [String: Int] = [
        "hundred": 100, "thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000,
        "trillion": 1_000_000_000_000, "lakh": 100_000, "crore": 10_000_000,
    ]

    /// Parts in the plural that are no coins and no points in time.
    static let shares: [String: Int] = [
        "halves": 2, "thirds": 3, "fifths": 5, "sixths": 6, "sevenths": 7, "eighths": 8, "ninths": 9, "tenths": 10,
        "hundredths": 100,
    ]

    private static let denominators: [String: Int] = [
        "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
        "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8,
        "ninth": 9, "ninths": 9, "tenth": 10, "tenths": 10, "hundredth": 100, "hundredths": 100,
    ]
}

extension Rational {
    /// As a number or fraction in the form that the parser of answers reads.
    var written: String { isInteger ? "\(numerator)" : "\(numerator)/\(denominator)" }
}
