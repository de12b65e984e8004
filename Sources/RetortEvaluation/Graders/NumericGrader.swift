import Foundation
import RetortCore

/// Grades an answer that is a number. Whole numbers must be equal to the last digit, however long; others may differ by
/// a stated relative tolerance. Anything that is no number must be the same text.
public struct NumericGrader: Grader {
    private let tolerance: Double

    /// - Parameter tolerance: relative, for references that are not whole numbers.
    public init(tolerance: Double = 1e-6) { self.tolerance = tolerance }

    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        guard let answer, !answer.isEmpty else { return Verdict(isCorrect: false, reason: "no answer") }
        guard let reference = task.answers.first, !reference.isEmpty else {
            return Verdict(isCorrect: false, reason: "no reference answer")
        }
        let given = Self.extract(answer)
        guard let a = ExactNumber(given), let b = ExactNumber(reference) else {
            let isSame = Self.plain(given) == Self.plain(reference)
            return Verdict(isCorrect: isSame, reason: isSame ? "same text" : "not the same number")
        }
        if a == b { return Verdict(isCorrect: true, reason: "equal") }
        if !b.isInteger, abs(a.approximation - b.approximation) <= tolerance * abs(b.approximation) {
            return Verdict(isCorrect: true, reason: "equal within \(tolerance)")
        }
        return Verdict(isCorrect: false, reason: "another number")
    }

    /// The answer inside a text: in the last `\boxed{}`, in `<answer>` tags, after `####` or `answer is`, or all of it.
    static func extract(_ text: String) -> String {
        var body = text[...]
        if let open = body.ranges(of: "\\boxed{").last {
            var depth = 1
            for index in body[open.upperBound...].indices {
                if body[index] == "{" { depth += 1 }
                if body[index] == "}" { depth -= 1 }
                if depth == 0 {
                    body = body[open.upperBound..<index]
                    break
                }
            }
        } else if let open = body.firstRange(of: "<answer>"), let close = body.firstRange(of: "</answer>"),
            open.upperBound <= close.lowerBound
        {
            body = body[open.upperBound..<close.lowerBound]
        } else {
            for mark in ["####", "answer is", "Answer:"] {
                if let found = body.ranges(of: mark).last {
                    body = body[found.upperBound...]
                    break
                }
            }
        }
        return withoutUnit(String(body).trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// A number followed by `\text{…}` loses it; other text stays.
    private static func withoutUnit(_ text: String) -> String {
        guard let unit = text.firstRange(of: "\\text{"), text.hasSuffix("}"), unit.lowerBound > text.startIndex else {
            return text
        }
        return String(text[..<unit.lowerBound]).trimmingCharacters(in: .whitespaces)
    }

    private static func plain(_ text: String) -> String {
        text.replacing("\\left", with: "").replacing("\\right", with: "").replacing("$", with: "").replacing(
            "\\!", with: ""
        )
        .replacing("\\dfrac", with: "\\frac").filter { !$0.isWhitespace }
    }
}
