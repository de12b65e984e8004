import Foundation
import RetortCore

/// Exact match in SQuAD's sense (arXiv 1606.05250): case, punctuation, articles and white space do not count. Numbers
/// match by value only: the sign of `-5`, the point of `1.5` and the dash of `3-4` are not punctuation. An answer that
/// consists only of an article, such as the letter A, is kept.
public struct ExactGrader: Grader {
    /// A grader without settings.
    public init() {}

    /// Correct when the answer matches any of the references.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        guard let answer, !Self.normalised(answer).isEmpty else {
            return Verdict(isCorrect: false, reason: "no answer")
        }
        guard !task.answers.isEmpty else { return Verdict(isCorrect: false, reason: "no reference answer") }
        let given = Self.spelling(answer)
        for reference in task.answers where Self.spelling(reference) == given {
            return Verdict(isCorrect: true, reason: Self.number(answer) == nil ? "exact match" : "equal numbers")
        }
        return Verdict(isCorrect: false, reason: "no match")
    }

    /// One spelling for all answers that match each other: a number's value, otherwise the words and the numbers in
    /// them.
    static func spelling(_ text: String) -> String {
        if let value = number(text) { return value.written }
        let words = normalised(text)
        let numerals = numerals(text)
        return numerals.isEmpty ? words : "\(words) (\(numerals.joined(separator: " ")))"
    }

    private static func number(_ text: String) -> Rational? {
        guard text.utf8.count < 60, text.contains(where: \.isNumber),
            case .number(let value, _)? = try? MathParser.parse(text)
        else { return nil }
        return value
    }

    /// The numbers in a text with the marks that belong to them: signs, points, and marks between digits. Commas
    /// between thousands are removed, and so are marks at the end of a number.
    private static func numerals(_ text: String) -> [String] {
        var numerals: [String] = []
        var current = ""
        var isSigned = false
        var before: Character = " "
        var isFree = true
        func joins(_ character: Character) -> Bool { ".,:/-".contains(character) }
        func finish() {
            while let last = current.last, joins(last) { current.removeLast() }
            if !current.isEmpty { numerals.append((isSigned ? "-" : "") + withoutThousands(current)) }
            current = ""
        }
        for character in text.precomposedStringWithCompatibilityMapping {
            let plain: Character = "‐‑–−".contains(character) ? "-" : character
            if plain.isASCIIDigit {
                if current.isEmpty { isSigned = before == "-" && isFree }
                current.append(plain)
            } else if !current.isEmpty, joins(plain) {
                current.append(plain)
            } else {
                finish()
            }
            // A dash after a letter joins words.
            if plain == "-" { isFree = !(before.isLetter || before.isNumber) }
            before = plain
        }
        finish()
        return numerals
    }

    private static func withoutThousands(_ numeral: String) -> String {
        let groups = numeral.split(separator: ",", omittingEmptySubsequences: false)
        guard groups.count > 1, (1...3).contains(groups[0].count), groups[0].allSatisfy(\.isASCIIDigit) else {
            return numeral
        }
        let isGrouped = groups.dropFirst().allSatisfy { group in
            let digits = group.prefix { $0.isASCIIDigit }
            return digits.count == 3 && (digits.count == group.count || group.dropFirst(3).first == ".")
        }
        return isGrouped ? groups.joined() : numeral
    }

    /// Lower-case words without articles and punctuation, joined by single spaces. Articles stay where there is nothing
    /// else.
    static func normalised(_ text: String) -> String {
        let plain = text.precomposedStringWithCompatibilityMapping.lowercased()
        let kept = plain.unicodeScalars.filter { scalar in
            switch scalar.properties.generalCategory {
            case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
                .finalPunctuation, .otherPunctuation:
                false
            default: true
            }
        }
        let words = String(String.UnicodeScalarView(kept)).split(whereSeparator: \.isWhitespace)
        let named = words.filter { !["a", "an", "the"].contains($0) }
        return (named.isEmpty ? words : named).joined(separator: " ")
    }

    /// The word-overlap F1 of an answer with its best reference, in 0…1 (SQuAD's second metric); 0 without references.
    public static func f1(_ answer: String, _ references: [String]) -> Double {
        references.map { reference in
            let predicted = normalised(answer).split(separator: " ")
            let expected = normalised(reference).split(separator: " ")
            var left = Dictionary(expected.map { ($0, 1) }, uniquingKeysWith: +)
            let common = predicted.count { word in
                guard let count = left[word], count > 0 else { return false }
                left[word] = count - 1
                return true
            }
            guard common > 0 else { return 0 }
            return 2 * Double(common) / Double(predicted.count + expected.count)
        }.max() ?? 0
    }
}
