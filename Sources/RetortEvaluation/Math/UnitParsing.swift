import Foundation

/// Units and words after a number.
extension MathParser {
    /// Whether a known unit follows here, after white space and a number, as in `12 cm`.
    func isUnit() -> Bool {
        guard let token = current, token.isSpaced, case .name(let name) = token.kind else { return false }
        guard index > 0, case .number = tokens[index - 1].kind else { return false }
        guard MathNames.units[name] != nil || Self.symbols[name] != nil else { return false }
        return name.count > 1 || ends(at: 1) || isPartOfUnit()
    }

    /// Unit signs that are variables, or words, except at the end, after a number and a blank.
    private static let symbols = ["in": "inch", "h": "hour", "s": "second"]

    /// `m` in `m/s` and in `m^2`.
    private func isPartOfUnit() -> Bool {
        if peek(1)?.isMark("^") == true { return ends(at: 3) }
        guard peek(1)?.isMark("/") == true, case .name(let other)? = peek(2)?.kind else { return false }
        return ends(at: 3) && (MathNames.units[other] != nil || ["s", "h"].contains(other))
    }

    /// Whether only a final point is left there.
    private func ends(at offset: Int) -> Bool {
        peek(offset) == nil || (peek(offset)?.isMark(".") == true && peek(offset + 1) == nil)
    }

    /// Whether a text names a unit: without a number of its own, except in `m2`.
    private static func namesUnit(_ text: String) -> Bool {
        var before: Character = " "
        for character in text {
            if character.isNumber, !before.isLetter, before != "^" { return false }
            before = character
        }
        return true
    }

    /// A value with the words that follow it.
    mutating func withUnit(_ value: MathNode) -> MathNode {
        var words: [String] = []
        let isNamed = isUnit()
        while let token = current {
            if case .text(let text) = token.kind, !Self.separators.contains(Self.plainWords(text)),
                Self.namesUnit(text), Self.takesUnit(value, text)
            {
                words.append(text)
            } else if words.isEmpty, isNamed, case .name(let name) = token.kind {
                words.append(ends(at: 1) ? Self.symbols[name] ?? name : name == "in" ? "inch" : name)
            } else if !words.isEmpty, token.isMark("^"), case .number(let digit)? = peek(1)?.kind {
                words.append("^\(digit)")
                index += 1
            } else if !words.isEmpty, token.isMark("^"), peek(1)?.isMark("{") == true,
                case .number(let digit)? = peek(2)?.kind, peek(3)?.isMark("}") == true
            {
                words.append("^\(digit)")
                index += 3
            } else if !words.isEmpty, token.isMark("/") || token.isMark(".") || token.isMark("'") {
                words.append("/")
            } else if !words.isEmpty, case .name(let name) = token.kind {
                words.append(name)
            } else {
                break
            }
            index += 1
        }
        return words.isEmpty ? value : Self.quantity(value, words)
    }

    /// Whether words may be the unit of a value: behind a number any, behind letters only a known one.
    private static func takesUnit(_ value: MathNode, _ words: String) -> Bool {
        let isMeasured = value.contains { part in
            switch part {
            case .number, .numeral, .infinity, .symbol("pi"): true
            default: false
            }
        }
        guard !isMeasured else { return true }
        let names = words.lowercased().split { !$0.isLetter }.map(String.init)
        return names.allSatisfy {
            MathNames.units[$0] != nil || ["square", "cubic", "units", "unit", "per"].contains($0)
        }
    }

    static let separators: Set<String> = ["and", "or"]

    static func plainWords(_ text: String) -> String {
        text.trimmingCharacters(in: .whitespaces.union(.punctuationCharacters)).lowercased()
    }

    /// `5 squared`, `3 halves`, `5 k`
    private static func changed(_ value: MathNode, _ word: String) -> MathNode? {
        switch word {
        case "squared": .power(value, .integer(2))
        case "cubed": .power(value, .integer(3))
        case "k": .product([value, .integer(1000)])
        default: NumberWords.shares[word].map { .quotient(value, .integer($0)) }
        }
    }

    static func quantity(_ value: MathNode, _ words: [String]) -> MathNode {
        let parts = words.joined(separator: " ").split(separator: " ")
        if let scale = parts.first.flatMap({ NumberWords.scales[$0.lowercased()] }) {
            let scaled = MathNode.product([value, .integer(scale)])
            let rest = parts.dropFirst().drop { $0 == "of" }.map(String.init)
            return rest.isEmpty ? scaled : quantity(scaled, rest)
        }
        if parts.count == 1, let changed = changed(value, parts[0].lowercased()) { return changed }
        let text = words.joined(separator: " ").replacing(" ^", with: "^")
        let written = text.trimmingCharacters(in: CharacterSet(charactersIn: " ./'"))
        let name = written.lowercased()
        let known =
            MathNames.units[written] ?? MathNames.units[name] ?? MathNames.units[name.replacing("^2", with: "")]
        if let unit = known, !name.contains("^") {
            switch unit.kind {
            case "share": return .percent(value)
            case "angle": return .degrees(value)
            default: return .quantity(value, unit: unit.name)
            }
        }
        // The case of a symbol counts: mW is not MW.
        return .quantity(value, unit: UnitSize(written) == nil ? name : written)
    }
}
