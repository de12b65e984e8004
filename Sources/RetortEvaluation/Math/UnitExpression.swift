/// A unit made of others: `m/s^2`, `N·m`, `J/(kg K)`, `words per minute`, `/day`.
struct UnitExpression {
    private var tokens: [String]
    private var index = 0
    private var above: [String] = []
    private var below: [String] = []

    /// Reads a whole text.
    ///
    /// - Parameter isAmount: whether an amount of money stands before it, so that `/h` is a rate and not a quotient.
    /// - Returns: nil for a text that is no unit or could be a product of variables.
    init?(_ text: String, isAmount: Bool = false) {
        guard let tokens = Self.tokens(text), !tokens.isEmpty, tokens.count <= 24 else { return nil }
        self.tokens = tokens
        guard product(isBelow: false) else { return nil }
        while index < tokens.count {
            guard take("/") || take("per") || take("a") || take("an") else { return nil }
            let isGroup = take("(")
            guard isGroup ? product(isBelow: true) && take(")") : factor(isBelow: true) else { return nil }
        }
        guard !above.isEmpty || !below.isEmpty, isAmount || !mayBeVariables else { return nil }
    }

    /// The unit as `UnitSize` reads it, such as `kg m / s^2`.
    var text: String {
        below.isEmpty ? above.joined(separator: " ") : (above + ["/"] + below).joined(separator: " ")
    }

    /// Whether it is a single name, with or without a power.
    var isSimple: Bool { below.isEmpty && above.count == 1 }

    /// Whether all its names are single letters that are likelier to be variables: `m·g` and `/m`, but not `m/s`.
    private var mayBeVariables: Bool {
        let names = (above + below).map { $0.prefix { $0 != "^" } }
        guard names.allSatisfy({ $0.count == 1 && $0.first?.isASCII == true && $0 != "%" && $0 != "$" }) else {
            return false
        }
        // `s^2`
        let isProduct = above.count > 1 || above.contains { $0.contains("^") }
        return above.isEmpty || below.isEmpty && isProduct && names.allSatisfy { $0.first?.isLowercase == true }
    }

    private mutating func take(_ token: String) -> Bool {
        guard index < tokens.count, tokens[index] == token else { return false }
        index += 1
        return true
    }

    /// Factors side by side or with a point between them. None is needed above a line.
    private mutating func product(isBelow: Bool) -> Bool {
        while index < tokens.count, !["/", "per", ")", "a", "an"].contains(tokens[index]) {
            if !above.isEmpty || !below.isEmpty { _ = take("·") }
            guard factor(isBelow: isBelow) else { return false }
        }
        return true
    }

    private mutating func factor(isBelow: Bool) -> Bool {
        guard index < tokens.count else { return false }
        let name = tokens[index]
        let isFollowed = index + 1 < tokens.count && ["/", "per"].contains(tokens[index + 1])
        guard Self.isUnit(name) || (isBelow || isFollowed) && Self.isNoun(name) else { return false }
        index += 1
        var power = 1
        if take("^") {
            guard index < tokens.count, let value = Int(tokens[index]), abs(value) <= 4, value != 0 else {
                return false
            }
            index += 1
            power = value
        }
        let written = abs(power) == 1 ? name : "\(name)^\(abs(power))"
        if isBelow == (power > 0) { below.append(written) } else { above.append(written) }
        return true
    }

    private static func isUnit(_ name: String) -> Bool {
        name == "%" || MathNames.units[name] != nil || UnitSymbols.size(name) != nil
    }

    /// Whether a name in lower case counts things, `people` in `people/day`, instead of being a product of variables.
    private static func isNoun(_ name: String) -> Bool {
        guard name.count > 2, name.allSatisfy({ $0.isLowercase && $0.isASCII }), MathNames.functions[name] == nil,
            MathNames.constants[name] == nil, !MathNames.builders.contains(name), !MathNames.greek.contains(name)
        else { return false }
        return name.count > 3 ? MathNames.segments(name) == nil : things.contains(name)
    }

    private static let things: Set<String> = [
        "bag", "bar", "bed", "box", "bus", "can", "car", "cat", "cow", "cup", "dog", "egg", "hen", "jar", "job", "kid",
        "lap", "lot", "man", "mug", "pen", "pie", "row", "set", "toy", "van",
    ]

    /// Names, signs and whole numbers; nil where anything else stands.
    private static func tokens(_ text: String) -> [String]? {
        var tokens: [String] = []
        var rest = text[...]
        while let first = rest.first {
            if first.isLetter || first == "Ω" {
                let name = rest.prefix { $0.isLetter }
                tokens.append(String(name))
                rest = rest[name.endIndex...]
            } else if first == "^" {
                guard let match = rest.prefixMatch(of: /\^\s*\{?\(?(-?[0-9])\)?\}?/) else { return nil }
                tokens += ["^", String(match.1)]
                rest = rest[match.range.upperBound...]
            } else if "/·()%$€£¥₹".contains(first) {
                tokens.append(String(first))
                rest.removeFirst()
            } else if first == " " || first == "." {
                rest.removeFirst()
            } else {
                return nil
            }
        }
        return tokens
    }
}
