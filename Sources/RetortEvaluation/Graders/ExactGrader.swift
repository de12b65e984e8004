import Foundation
import RetortCore

/// Exact match in SQuAD's sense (arXiv 1606.05250): case, punctuation, articles and white space do not count. Numbers
/// match by value.
public struct ExactGrader: Grader {
    public init() {}

    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        guard let answer, !Self.normalised(answer).isEmpty else {
            return Verdict(isCorrect: false, reason: "no answer")
        }
        guard !task.answers.isEmpty else { return Verdict(isCorrect: false, reason: "no reference answer") }
        for reference in task.answers {
            if Self.normalised(answer) == Self.normalised(reference) {
                return Verdict(isCorrect: true, reason: "exact match")
            }
            if let a = Self.number(answer), let b = Self.number(reference), a == b {
                return Verdict(isCorrect: true, reason: "equal numbers")
            }
        }
        return Verdict(isCorrect: false, reason: "no match")
    }

    private static func number(_ text: String) -> Rational? {
        guard text.utf8.count < 60, case .number(let value, _)? = try? MathParser.parse(text) else { return nil }
        return value
    }

    /// Lower-case words without articles and punctuation, joined by single spaces.
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
        return String(String.UnicodeScalarView(kept)).split(whereSeparator: \.isWhitespace)
            .filter { !["a", "an", "the"].contains($0) }.joined(separator: " ")
    }

    /// The word-overlap F1 of an answer against its best reference, in 0…1 (SQuAD's second metric).
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
