/// A number with a unit, a rate or a currency that is no formula: `18 m/s^2`, `$10/day`, `CHF 18`, `18th`.
struct MeasuredNumber {
    /// - Returns: the number, with its unit if it has one; nil for anything else, also for a number with a single common
    ///   unit, which `MathParser` reads.
    static func read(_ text: String, groupsThousands: Bool) -> MathNode? {
        guard mayBeMeasured(text), let plain = plain(text) else { return nil }
        let pattern =
            /\s*(?<sign>-?)\s*(?<currency>[A-Z]{0,3}\s?[$€£¥₹]|[A-Z]{3}\s|(?:Rs|kr)\.?\s?)?\s*(?<number>[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)(?<tail>.*)/
        guard let match = plain.wholeMatch(of: pattern) else { return nil }
        let currency = match.output.currency.map { String($0).filter { !$0.isWhitespace && $0 != "." } } ?? ""
        guard let number = try? MathParser.parse(String(match.output.number), groupsThousands: groupsThousands) else {
            return nil
        }
        let value = match.output.sign.isEmpty ? number : .negated(number)
        let tail = String(match.output.tail)
        if tail.wholeMatch(of: /\s*(?:\^\s*\{?\s*)?(?:st|nd|rd|th)\s*\}?/) != nil, currency.isEmpty { return value }
        if tail.allSatisfy({ " .".contains($0) }) || tail.wholeMatch(of: /\s*\/-\s*\.?/) != nil {
            return withCurrency(value, currency)
        }
        if currency == "$", tail.wholeMatch(of: /\s*(?:US|CA|AU|NZ|HK)\s*\.?/) != nil { return value }
        return withUnit(value, tail, currency)
    }

    /// Whether a text begins like a number or a currency and has more than a number and a common unit. Most answers have
    /// no more.
    private static func mayBeMeasured(_ text: String) -> Bool {
        guard text.utf8.count < 120, let first = text.first(where: { !$0.isWhitespace }) else { return false }
        guard first.isNumber || first.isUppercase || ".-$€£¥₹".contains(first) || text.hasPrefix("\\$") || isKrone(text)
        else {
            return false
        }
        guard text.utf8.contains(where: { (48...57).contains($0) }) else { return false }
        let words = text.split { !$0.isLetter }.filter { !ProseWords.isTextCommand($0) }
        if words.contains("frac") || words.contains("sqrt") { return false }
        let hasSign = text.contains { "€£¥₹".contains($0) } || text.dropFirst(2).contains("$") || first.isUppercase
        if hasSign || isKrone(text) || text.utf8.contains(UInt8(ascii: "/")) { return true }
        guard words.count == 1, let word = words.first.map(String.init) else {
            return words.contains { ["a", "an", "per"].contains($0) || UnitSymbols.size(String($0)) != nil }
        }
        return MathNames.units[word] == nil && UnitSymbols.size(word) != nil
            || ["st", "nd", "rd", "th", "Omega", "US", "CA", "AU", "NZ", "HK"].contains(word)
    }

    /// `kr 18`
    private static func isKrone(_ text: String) -> Bool {
        text.hasPrefix("kr") && text.dropFirst(2).drop { $0 == "." || $0 == " " }.first?.isASCIIDigit == true
    }

    /// A number behind the code of a currency. A plain sign, as in `$18`, is left to `MathParser`.
    private static func withCurrency(_ value: MathNode, _ currency: String) -> MathNode? {
        guard currency.count > 1 else { return nil }
        if currency.contains(where: { "$€£¥₹".contains($0) }) { return value }
        return UnitSymbols.isCurrency(currency) ? .quantity(value, unit: currency) : nil
    }

    private static func withUnit(_ value: MathNode, _ tail: String, _ currency: String) -> MathNode? {
        guard let first = tail.first else { return nil }
        let isRate = first == "/" || tail.firstMatch(of: /^\s+(?:per|an?)\s/) != nil
        // Letters straight behind a number may be variables.
        guard
            isRate || first == " " || !first.isASCII || first == "$"
                || attached.contains(tail.filter { $0 != " " && $0 != "." })
        else {
            return nil
        }
        guard let unit = UnitExpression(tail, isAmount: !currency.isEmpty) else { return nil }
        guard currency.isEmpty else {
            guard isRate else { return nil }
            let sign = currency.last.map(String.init) ?? ""
            let money = UnitSymbols.isCurrency(currency) ? currency : UnitSymbols.isCurrency(sign) ? sign : "$"
            return .quantity(value, unit: "\(money) \(unit.text)")
        }
        if unit.isSimple, MathNames.units[String(unit.text.prefix { $0 != "^" })] != nil { return nil }
        if unit.text == "%" { return nil }
        return .quantity(value, unit: unit.text)
    }

    /// Symbols that are no products of variables even without a blank: `18Hz`.
    private static let attached: Set<String> = [
        "Hz", "kHz", "MHz", "GHz", "dB", "ppm", "ppb", "bpm", "fps", "kPa", "MPa", "mV", "kV", "mA", "kJ", "MJ", "kr",
        "mol", "nd", "rd", "th", "st",
    ]

    /// A text without LaTeX's commands for units; nil where another command is left.
    private static func plain(_ text: String) -> String? {
        var plain = text
        if plain.hasPrefix("$"), plain.hasSuffix("$"), plain.count > 2, plain.filter({ $0 == "$" }).count == 2 {
            plain = String(plain.dropFirst().dropLast())
        }
        if plain.contains("\\") {
            for (command, mark) in commands { plain = plain.replacing(command, with: mark) }
            plain = plain.replacing(
                /\\(?:text|mathrm|textrm|mbox|operatorname|textnormal|rm)\s*\{([^{}]*)\}/, with: { " \($0.1)" })
            guard !plain.contains("\\") else { return nil }
            plain = plain.replacing(
                /\s*\^\s*\{\s*([^{}]*)\}/, with: { "^\($0.1.trimmingPrefix(while: \.isWhitespace))" })
        }
        for (sign, mark) in [
            ("µ ", "µ"), ("²", "^2"), ("³", "^3"), ("*", "·"), ("⋅", "·"), ("~", " "), (" ^", "^"), ("^ ", "^"),
        ] {
            plain = plain.replacing(sign, with: mark)
        }
        return plain.contains("\n") ? nil : plain
    }

    private static let commands = [
        ("\\cdot", "·"), ("\\mu", "µ"), ("\\Omega", "Ω"), ("\\$", "$"), ("\\%", "%"), ("\\,", " "), ("\\ ", " "),
        ("\\;", " "), ("\\:", " "), ("\\!", ""), ("\\left", ""), ("\\right", ""),
    ]
}
