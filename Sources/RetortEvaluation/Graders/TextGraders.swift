import Foundation
import RetortCore

extension AgentTask {
    /// The verdict that needs no comparison; nil where there are an answer and a reference.
    func verdictWithout(_ answer: String?) -> Verdict? {
        guard let answer, !answer.trimmingCharacters(in: .whitespacesAndNewlines).isEmpty else {
            return Verdict(isCorrect: false, reason: "no answer")
        }
        return answers.isEmpty ? Verdict(isCorrect: false, reason: "no reference answer") : nil
    }
}

/// Accepts enough of the same words: F1 in SQuAD's sense (arXiv 1606.05250) with the best reference.
public struct OverlapGrader: Grader {
    private let threshold: Double

    /// - Parameter threshold: the least F1 that counts as right, in 0…1.
    public init(threshold: Double) { self.threshold = threshold }

    /// Correct when the F1 reaches the threshold and is not 0.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        if let verdict = task.verdictWithout(answer) { return verdict }
        let f1 = ExactGrader.f1(answer ?? "", task.answers)
        return Verdict(isCorrect: f1 >= threshold && f1 > 0, reason: String(format: "word overlap %.2f", f1))
    }
}

/// Accepts the same number, or nearly: the answer's number, whatever text surrounds it.
public struct NumberGrader: Grader {
    private let tolerance: Double

    /// - Parameter tolerance: the largest error of the answer, as a fraction of the reference, or of 1 where that is
    ///   larger.
    public init(tolerance: Double) { self.tolerance = tolerance }

    /// Compares with each reference; a relative error of 1e-9 is always allowed, except between whole numbers.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        if let verdict = task.verdictWithout(answer) { return verdict }
        guard let given = Self.value(answer ?? "") else {
            return Verdict(isCorrect: false, reason: "the answer is no number")
        }
        for reference in task.answers {
            guard let wanted = Self.value(reference) else { continue }
            // An answer that was rounded to a float's digits is the same number.
            let areWhole = wanted.rounded() == wanted && given.rounded() == given
            let allowed = max(tolerance * max(abs(wanted), 1), areWhole ? 0 : abs(wanted) * 1e-9)
            if abs(given - wanted) <= allowed { return Verdict(isCorrect: true, reason: "equal numbers") }
        }
        return Verdict(isCorrect: false, reason: "another number")
    }

    static func value(_ text: String) -> Double? {
        let plain = text.trimmingCharacters(in: .whitespacesAndNewlines)
        if let value = Double(plain), value.isFinite { return value }
        let text = AnswerText.extract(plain).text
        guard !MathGrader.isDate(text), let node = MathGrader.readings(text).nodes.first,
            let value = try? NumericValue.of(MathComparison.simplified(node)), value.isFinite, value.imaginary == 0
        else { return nil }
        return value.real
    }
}

/// Accepts the same letter of a choice: `B`, `(B)`, `B. 12`, `The answer is B`.
public struct ChoiceGrader: Grader {
    /// A grader without settings.
    public init() {}

    /// Compares the letters of the answer and of each reference.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        if let verdict = task.verdictWithout(answer) { return verdict }
        guard let given = Self.letter(answer ?? "") else {
            return Verdict(isCorrect: false, reason: "the answer names no choice")
        }
        let isRight = task.answers.contains { Self.letter($0) == given }
        return Verdict(isCorrect: isRight, reason: isRight ? "the same choice" : "another choice")
    }

    private static func letter(_ text: String) -> String? {
        let extract = AnswerText.extract(text)
        if extract.isMarked {
            let places = [extract.statement] + extract.alternatives + [extract.text]
            return places.lazy.compactMap(chosen).first
        }
        // Each line may name a choice; the last one decides, or the first where it stands alone.
        let lines = text.split(whereSeparator: \.isNewline).map(String.init)
        guard let last = lines.last else { return nil }
        return chosen(last) ?? (lines.dropFirst().contains { chosen($0) != nil } ? nil : lines.first.flatMap(chosen))
    }

    /// The letter of a line that is a choice, begins with one, or decides for one.
    private static func chosen(_ text: String) -> String? {
        let plain = text.filter { !"`*_\"".contains($0) }.trimmingCharacters(in: .whitespacesAndNewlines)
        let bare = plain.filter { !"()[].'".contains($0) }
        if bare.count == 1, bare.first?.isASCII == true, bare.first?.isLetter == true { return bare.uppercased() }
        guard !NamedChoice.areSeveral(plain), plain.matches(of: /(?:^|\s)\(?[A-Z][).]\s/).count < 2 else {
            return NamedChoice.letter(in: plain)
        }
        if let label = ChoiceLabel(plain), label.rest?.firstMatch(of: /\([A-Z]\)/) == nil {
            return label.letter.uppercased()
        }
        if let letter = NamedChoice.letter(in: plain) { return letter }
        let leading = /^(?:(?i:option|choice|letter|answer)\s*:?\s*\(?([A-Za-z])\)?|([A-Z]))\s*(?:$|[.:–—]|-\s|,\s)/
        let deciding = /\b(?i:pick|choose|chose|select|take|with|is)\s+\(?([A-Z])\)?\.?$/
        if let match = plain.firstMatch(of: leading) { return (match.1 ?? match.2)?.uppercased() }
        return plain.firstMatch(of: deciding).map { String($0.1) }
    }
}

/// Accepts an answer that contains a reference as words of its own.
public struct ContainsGrader: Grader {
    /// A grader without settings.
    public init() {}

    /// Compares words without case, punctuation and articles, and numbers with their marks, as exact match does.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        if let verdict = task.verdictWithout(answer) { return verdict }
        let words = ExactGrader.separateWords(answer ?? "")
        let isRight = task.answers.contains { reference in
            let wanted = ExactGrader.separateWords(reference)
            // A reference such as `A` is not an article.
            let isArticle = wanted.allSatisfy(ExactGrader.articles.contains)
            func kept(_ words: [String]) -> String {
                " \(words.filter { isArticle || !ExactGrader.articles.contains($0) }.joined(separator: " ")) "
            }
            return !wanted.isEmpty && kept(words).contains(kept(wanted))
        }
        return Verdict(isCorrect: isRight, reason: isRight ? "holds the reference" : "does not hold the reference")
    }
}

/// Accepts an answer in which the reference, a regular expression, matches anywhere.
public struct PatternGrader: Grader {
    /// A grader without settings.
    public init() {}

    /// Tries each reference as an `NSRegularExpression`; one that is not valid makes the verdict wrong.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        if let verdict = task.verdictWithout(answer) { return verdict }
        for pattern in task.answers {
            guard let expression = try? NSRegularExpression(pattern: pattern) else {
                return Verdict(isCorrect: false, reason: "the reference is no regular expression: \(pattern)")
            }
            let text = answer ?? ""
            if expression.firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil {
                return Verdict(isCorrect: true, reason: "fits the pattern")
            }
        }
        return Verdict(isCorrect: false, reason: "does not fit the pattern")
    }
}
