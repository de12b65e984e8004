import Foundation
import RetortCore

/// Verdicts as the agent-distillation paper's scorer gives them (arXiv 2505.17612), so that numbers can be compared
/// with published ones. A hundredfold counts as equal, as does anything within a relative 1e-4, and about one correct
/// MATH-500 answer in twenty is refused; see docs/grading.md.
///
/// In one respect it differs: the original calls a missing answer correct when the reference is missing, too.
public struct PaperMathGrader: Grader {
    /// A grader without settings.
    public init() {}

    /// Grades against the first reference alone, as the paper's scorer does.
    public func grade(_ answer: String?, for task: AgentTask) async -> Verdict {
        guard let answer, !answer.isEmpty, let reference = task.answers.first, !reference.isEmpty else {
            return Verdict(isCorrect: false, reason: "no answer")
        }
        guard answer.utf8.count < MathLimits.text else {
            return Verdict(isCorrect: false, reason: "longer than \(MathLimits.text) bytes")
        }
        let isEqual = Self.areEqual(PaperText.answer(answer), reference, depth: 0)
        return Verdict(
            isCorrect: isEqual, reason: isEqual ? "equal by the paper's rules" : "not equal by the paper's rules")
    }

    /// Applies the rules in the paper's order; the first that applies decides.
    static func areEqual(_ prediction: String, _ reference: String, depth: Int) -> Bool {
        if prediction.trimmingCharacters(in: .whitespaces).lowercased()
            == reference.trimmingCharacters(in: .whitespaces).lowercased()
        {
            return true
        }
        if ["A", "B", "C", "D", "E"].contains(reference), choice(prediction) == reference { return true }
        if let a = number(prediction), let b = number(reference) {
            return [b / 100, b, b * 100].contains { abs(a - $0) <= 1e-4 * abs($0) }
        }
        if bare(prediction) == bare(reference) { return true }
        guard depth < 3 else { return false }
        if let a = elements(prediction), let b = elements(reference), a.count == b.count {
            return zip(a, b).allSatisfy { areEqual($0, $1, depth: depth + 1) }
        }
        if let a = cells(prediction), let b = cells(reference) {
            return a.count == b.count && zip(a, b).allSatisfy { areEqual($0, $1, depth: depth + 1) }
        }
        let (left, right) = (sides(prediction), sides(reference))
        if left.count == 2, right.count == 2 {
            let (a, b) = ("(\(left[0]))-(\(left[1]))", "(\(right[0]))-(\(right[1]))")
            return symbolicallyEqual(a, b) || symbolicallyEqual("-(\(a))", b)
        }
        if left.count == 2, right.count == 1, left[0].trimmingCharacters(in: .whitespaces).count <= 2 {
            return areEqual(left[1], reference, depth: depth + 1)
        }
        if right.count == 2, left.count == 1, right[0].trimmingCharacters(in: .whitespaces).count <= 2 {
            return areEqual(prediction, right[1], depth: depth + 1)
        }
        return symbolicallyEqual(prediction, reference)
    }

    private static func choice(_ text: String) -> String? {
        text.matches(of: /\b([A-E])\b/).last.map { String($0.1) }
    }

    private static func number(_ text: String) -> Double? {
        var plain = text.replacing(",", with: "").trimmingCharacters(in: .whitespaces)
        if let value = Double(plain) { return value.isFinite ? value : nil }
        guard plain.hasSuffix("%") else { return nil }
        plain.removeLast()
        if plain.hasSuffix("\\") { plain.removeLast() }
        return Double(plain).map { $0 / 100 }
    }

    private static func bare(_ text: String) -> String {
        var plain = text
        for mark in ["\\left", "\\right", "\\text", "[", "]", "(", ")", "{", "}", " "] {
            plain = plain.replacing(mark, with: "")
        }
        return plain.lowercased()
    }

    /// The parts between brackets and commas.
    private static func elements(_ text: String) -> [String]? {
        let plain = text.replacing("\\left", with: "").replacing("\\right", with: "").trimmingCharacters(
            in: .whitespaces)
        guard let first = plain.first, let last = plain.last, "([".contains(first), ")]".contains(last) else {
            return nil
        }
        return plain.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false)
            .map { $0.trimmingCharacters(in: .whitespaces) }
    }

    private static func cells(_ text: String) -> [String]? {
        guard let start = text.range(of: "\\begin{pmatrix}") ?? text.range(of: "\\begin{bmatrix}"),
            let end = text.range(of: "\\end{pmatrix}") ?? text.range(of: "\\end{bmatrix}"),
            start.upperBound <= end.lowerBound
        else { return nil }
        return text[start.upperBound..<end.lowerBound].components(separatedBy: "\\\\")
            .flatMap { $0.components(separatedBy: "&") }.map { $0.trimmingCharacters(in: .whitespaces) }
    }

    private static func sides(_ text: String) -> [String] { text.components(separatedBy: "=") }

    /// Whether two texts are equal according to SymPy's LaTeX reader, or within a relative 1e-4.
    private static func symbolicallyEqual(_ prediction: String, _ reference: String) -> Bool {
        guard let a = expression(prediction), let b = expression(reference) else { return false }
        if a == b { return true }
        guard a.isExpression, b.isExpression else { return false }
        let normalizer = Normalizer()
        if let x = try? normalizer.form(a), let y = try? normalizer.form(b),
            (try? normalizer.areEqual(x, y)) == true
        {
            return true
        }
        if let x = try? NumericValue.of(a), let y = try? NumericValue.of(b) {
            return (x - y).length <= 1e-4 * y.length
        }
        return NumericValue.compare(a, b) == .same
    }

    /// Reads a text as SymPy's LaTeX reader does. It knows no names except commands: letters are single variables, π is
    /// one of them, `4\frac12` is a product, and a dollar sign is an error.
    private static func expression(_ text: String) -> MathNode? {
        guard !text.contains("$"), !text.contains("\\pm") else { return nil }
        var letters = ""
        var isCommand = false
        for character in text.replacing("\\pi", with: "\\varphi ") {
            if character == "\\" {
                isCommand = true
                letters.append(character)
            } else if character.isLetter, isCommand {
                letters.append(character)
            } else {
                isCommand = false
                // I and E are ordinary letters.
                let kept = character == "I" ? "\\Xi " : character == "E" ? "\\Psi " : String(character)
                letters.append(character.isLetter ? " \(kept) " : kept)
            }
        }
        letters = letters.replacing(/([0-9])\s*\\frac/) { "\($0.1)*\\frac" }
        return try? MathParser.parse(letters, groupsThousands: false)
    }
}
