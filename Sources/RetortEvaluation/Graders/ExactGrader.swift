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
        let currencies = Self.currencies(answer)
        for reference in task.answers where Self.spelling(reference) == given {
            let others = Self.currencies(reference)
            guard currencies.isEmpty || others.isEmpty || currencies == others else { continue }
            return Verdict(isCorrect: true, reason: Self.number(answer) == nil ? "exact match" : "equal numbers")
        }
        return Verdict(isCorrect: false, reason: "no match")
    }

    /// One spelling for all answers that match each other: a number's value, otherwise the words with the numbers in them.
    static func spelling(_ text: String) -> String { number(text)?.written ?? words(text) }

    private static func number(_ text: String) -> Rational? {
        guard text.utf8.count < 60, text.contains(where: \.isNumber), !isCode(text),
            case .number(let value, _)? = try? MathParser.parse(text)
        else { return nil }
        return value
    }

    /// `007`, which is no other way to write 7.
    private static func isCode(_ text: String) -> Bool {
        text.trimmingCharacters(in: .whitespaces).wholeMatch(of: /0[0-9]+/) != nil
    }

    /// The signs of currencies in a text.
    private static func currencies(_ text: String) -> Set<Character> { Set(text.filter(\.isCurrencySymbol)) }

    /// Normalised words in which numbers keep the marks that belong to them: signs, points, and marks between digits.
    static func words(_ text: String) -> String { normalised(marked(text)) }

    /// Lower-case words, articles too, that punctuation separates; numbers keep their marks, and `C#`, `C++` and `5%` theirs.
    static func separateWords(_ text: String) -> [String] {
        // `U.S. Army`
        let joined = text.replacing(/\b([A-Za-z])\.(?=[A-Za-z\s]|$)/) { $0.1 }
        let plain = marked(joined).precomposedStringWithCompatibilityMapping.lowercased()
        func isPart(_ character: Character) -> Bool {
            character.isLetter || character.isNumber || "#+%‰'’-_".contains(character)
                || marks.values.contains(character)
        }
        return plain.split { !isPart($0) }.map { $0.filter { !"'’-_".contains($0) } }.filter { !$0.isEmpty }
    }

    static let articles: Set<String> = ["a", "an", "the"]

    /// A text in which those marks are signs that are not punctuation. Commas between thousands are removed, and marks at the end of a number
    /// stay as they are.
    private static func marked(_ text: String) -> String {
        var result = ""
        var current = ""
        var isSigned = false
        var before: Character = " "
        var isFree = true
        func joins(_ character: Character) -> Bool { ".,:;/-'".contains(character) }
        func finish() {
            guard !current.isEmpty else { return }
            var end = ""
            while let last = current.last, joins(last) { end.insert(current.removeLast(), at: end.startIndex) }
            let numeral = (isSigned ? "-" : "") + withoutThousands(current)
            result += String(numeral.map { marks[$0] ?? $0 }) + end
            current = ""
        }
        let powers = String(text.flatMap { $0.isSuperscript ? [powerMark, $0] : [$0] })
        let characters = Array(powers.precomposedStringWithCompatibilityMapping)
        for (index, character) in characters.enumerated() {
            let plain: Character = "‐‑‒–−".contains(character) ? "-" : character
            let opensDecimal =
                plain == "." && current.isEmpty && !before.isLetter && !before.isNumber && before != "."
                && index + 1 < characters.count && characters[index + 1].isASCIIDigit
            if plain.isASCIIDigit || opensDecimal {
                if current.isEmpty { isSigned = before == "-" && isFree }
                current += opensDecimal ? "0." : String(plain)
            } else if !current.isEmpty, joins(plain) {
                current.append(plain)
            } else {
                finish()
                let next = index + 1 < characters.count ? characters[index + 1] : " "
                let isTone =
                    before.isLetter && !next.isLetter && !next.isNumber
                    && (plain == "#" || plain == "-" && isSingle(result))
                result.append(isTone ? marks[plain] ?? plain : plain)
            }
            // The sign of `-$5` belongs to its number.
            if plain.isCurrencySymbol, before == "-" { continue }
            // A dash after a letter joins words.
            if plain == "-" { isFree = !(before.isLetter || before.isNumber) }
            before = plain
        }
        finish()
        return result
    }

    /// Whether a text ends with a word of one letter, as before the dash of `O-` and `A-`.
    private static func isSingle(_ text: String) -> Bool {
        text.dropLast().last.map { !$0.isLetter && !$0.isNumber } ?? true
    }

    private static let powerMark: Character = "\u{E006}"

    /// Signs of the private use area stand for the marks.
    private static let marks: [Character: Character] = [
        ".": "\u{E000}", ",": "\u{E001}", ":": "\u{E002}", "/": "\u{E003}", "-": "\u{E004}",
        "#": "\u{E005}", ";": "\u{E007}", "'": "\u{E008}",
    ]

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
        let named = words.filter { !articles.contains(String($0)) }
        return (named.isEmpty ? words : named).joined(separator: " ")
    }

    /// The word-overlap F1 of an answer with its best reference, in 0…1 (SQuAD's second metric, in which numbers keep their marks); 0 without
    /// references.
    public static func f1(_ answer: String, _ references: [String]) -> Double {
        references.map { reference in
            let predicted = words(answer).split(separator: " ")
            let expected = words(reference).split(separator: " ")
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

extension Character {
    /// A raised digit.
    fileprivate var isSuperscript: Bool { "⁰¹²³⁴⁵⁶⁷⁸⁹".contains(self) }
}
