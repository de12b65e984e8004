import BigInt
import Foundation

/// Reference answers that were made wrong in a way that a grader must notice.
enum AlteredAnswer {
    /// A wrong answer and how it was made.
    struct Alteration: Sendable {
        let kind: String
        let text: String
    }

    /// All alterations that apply to a reference answer.
    static func all(of reference: String) -> [Alteration] {
        let text = reference.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let node = MathGrader.readings(text).nodes.first else { return [] }
        var all: [Alteration] = []
        func add(_ kind: String, _ altered: String?) {
            if let altered, altered != text { all.append(Alteration(kind: kind, text: altered)) }
        }
        add("digit", digit(text))
        if !text.hasPrefix("\\text"), let value = value(of: node) {
            add("sign", value.hasSign ? signed(text) : nil)
            add("×100", value.hasSign ? hundredfold(text, value.number) : nil)
            add("1e-4", value.number.flatMap { near($0) })
        }
        switch MathComparison.simplified(node) {
        case .list(let parts, .pair), .union(let parts):
            if parts.count == 2 || text.contains("cup") { add("open/closed", otherEnd(text)) }
            if case .list(let ordered, .pair) = node, ordered.count >= 2, ordered[0] != ordered[1] {
                add("swapped", swapped(text))
            }
        default: break
        }
        return all
    }

    /// Whether a node has a sign that can be changed, and its number when it is one.
    private static func value(of node: MathNode) -> (hasSign: Bool, number: Rational?)? {
        switch node {
        case .number(let value, _): return (!value.isZero, value.isInteger ? value : nil)
        case .percent(.number(let value, _)) where !value.isInteger: return nil
        case .percent(let inner), .degrees(let inner), .quantity(let inner, _): return value(of: inner)
        case .relation, .list, .union, .matrix, .ratio, .text, .plusMinus, .numeral: return nil
        default: return node.isExpression ? (true, nil) : nil
        }
    }

    /// The text with its first digit one higher (1 in place of 9); nil for words, and without digits.
    private static func digit(_ text: String) -> String? {
        guard !text.contains("\\text") || text.first?.isNumber == true || text.first == "\\" else { return nil }
        var characters = Array(text)
        let places = characters.indices.filter { characters[$0].isASCIIDigit }
        guard !places.isEmpty else { return nil }
        // Changing the first digit changes any value.
        let place = places[0]
        guard let value = characters[place].wholeNumberValue else { return nil }
        characters[place] = Character(String(value == 9 ? 1 : value + 1))
        return String(characters)
    }

    private static func signed(_ text: String) -> String {
        "-(\(plain(text)))"
    }

    private static func hundredfold(_ text: String, _ number: Rational?) -> String {
        if let number { return "\(number.numerator * 100)" }
        return "100(\(plain(text)))"
    }

    private static func plain(_ text: String) -> String {
        text.trimmingCharacters(in: CharacterSet(charactersIn: " .")).replacing("\\$", with: "")
    }

    /// A whole number that is off by a relative 1e-4, or by one.
    private static func near(_ number: Rational) -> String {
        let step = max(number.numerator.magnitude / 10_000, 1)
        return "\(number.numerator + BigInt(step))"
    }

    /// The last bracket open instead of closed, or the reverse.
    private static func otherEnd(_ text: String) -> String? {
        guard let index = text.lastIndex(where: { $0 == ")" || $0 == "]" }) else { return nil }
        var altered = text
        altered.replaceSubrange(index...index, with: text[index] == ")" ? "]" : ")")
        return altered
    }

    /// The first two coordinates exchanged.
    private static func swapped(_ text: String) -> String? {
        var depth = 0
        var cuts: [String.Index] = []
        for index in text.indices {
            switch text[index] {
            case "(", "[", "{": depth += 1
            case ")", "]", "}": depth -= 1
            case "," where depth == 1: cuts.append(index)
            default: break
            }
        }
        guard let first = cuts.first, let open = text.firstIndex(where: { $0 == "(" || $0 == "[" }), open < first,
            let close = cuts.dropFirst().first ?? text.lastIndex(where: { $0 == ")" || $0 == "]" })
        else { return nil }
        let start = text.index(after: open)
        // \right belongs to the bracket.
        var end = close
        if text[start..<end].hasSuffix("\\right") { end = text.index(end, offsetBy: -6) }
        let (a, b) = (text[start..<first], text[text.index(after: first)..<end])
        return "\(text[..<start])\(b), \(a)\(text[end...])"
    }
}
