import Foundation

/// How the agent-distillation paper's scorer reads an answer: with the normaliser that it took from Qwen2.5-Math.
///
/// Its faults are kept, because the published numbers depend on them: unit words are removed wherever they stand alone,
/// so that `\pm` and the variable `a` disappear.
enum PaperText {
    /// The answer in a prediction. Only a boxed answer is extracted and normalised; any other text is kept unchanged.
    static func answer(_ prediction: String) -> String {
        guard let mark = prediction.range(of: "boxed", options: .backwards) else { return prediction }
        let after = prediction[mark.upperBound...]
        var answer: String
        if after.first == "{" {
            answer = balanced(after.dropFirst())
        } else {
            answer = String(after.prefix { $0 != "$" }).trimmingCharacters(in: .whitespaces)
        }
        answer = answer.replacing("\n", with: "")
        while answer.hasPrefix(":") { answer.removeFirst() }
        if answer.hasSuffix(".") { answer.removeLast() }
        if answer.hasSuffix("/") { answer.removeLast() }
        return normalised(answer)
    }

    private static func balanced(_ text: Substring) -> String {
        var depth = 1
        for index in text.indices {
            if text[index] == "{" { depth += 1 }
            if text[index] == "}" { depth -= 1 }
            if depth == 0 { return String(text[..<index]) }
        }
        return String(text)
    }

    /// The normaliser's steps, in its order.
    static func normalised(_ text: String) -> String {
        var plain = text.trimmingCharacters(in: .whitespacesAndNewlines).replacing("\n", with: "")
        while plain.hasSuffix(".") { plain.removeLast() }
        plain = plain.replacing("\\!", with: "")
        plain = plain.replacing(/\\begin\{array\}\{.*?\}/, with: "\\begin{pmatrix}")
            .replacing("\\end{array}", with: "\\end{pmatrix}").replacing("bmatrix", with: "pmatrix")
        for (from, to) in [
            ("tfrac", "frac"), ("dfrac", "frac"), ("\\neq", "\\ne"), ("\\leq", "\\le"), ("\\geq", "\\ge"),
            ("\\left", ""), ("\\right", ""), ("\\{", "{"), ("\\}", "}"),
        ] {
            plain = plain.replacing(from, with: to)
        }
        let withoutUnit = plain.replacing(/\\text\{.*?\}$/, with: "").trimmingCharacters(in: .whitespaces)
        if !withoutUnit.isEmpty { plain = withoutUnit }
        plain = withoutUnitWords(withoutUnitWords(plain))
        for mark in ["^{\\circ}", "^\\circ", "\\$", "$", "\\(", "\\)"] { plain = plain.replacing(mark, with: "") }
        if let number = MathNames.number(plain) { plain = String(number) }
        plain = plain.replacing(/\\text\{(.*?)\}/) { $0.1 }
        for assignment in ["x=", "y=", "z=", "x\\in", "y\\in", "z\\in", "x\\to", "y\\to", "z\\to"] {
            plain = plain.replacing(assignment, with: "")
        }
        plain = plain.replacing("\\emptyset", with: "{}").replacing("(-\\infty,\\infty)", with: "\\mathbb{R}")
        plain = plain.replacing("\\%", with: "").replacing("%", with: "").replacing(" .", with: " 0.")
            .replacing("{.", with: "{0.")
        plain = plain.replacing("infinity", with: "\\infty")
        if !plain.contains("\\infty") { plain = plain.replacing("inf", with: "\\infty") }
        plain = plain.replacing("+\\infty", with: "\\infty").replacing("and", with: "").replacing("\\mathbf", with: "")
        plain = plain.replacing(/\\mbox\{.*?\}/, with: "")
        if plain.contains("j"), !plain.contains("i") { plain = plain.replacing("j", with: "i") }
        plain = plain.replacing(/([0-9]+)\.0+([^0-9]|$)/) { "\($0.1)\($0.2)" }
        if plain.hasPrefix(".") { plain = "0" + plain }
        let sides = plain.split(separator: "=", omittingEmptySubsequences: false)
        if sides.count == 2, sides[0].count <= 2 { plain = String(sides[1]) }
        plain = plain.replacing(/\\sqrt(\w+)/) { "\\sqrt{\($0.1)}" }.replacing(" ", with: "")
        plain = plain.replacing(/\\frac([0-9])([0-9])/) { "\\frac{\($0.1)}{\($0.2)}" }
            .replacing(/\\frac([0-9])\{/) { "\\frac{\($0.1)}{" }
        if let match = plain.wholeMatch(of: /(-?[0-9]+)\/(-?[0-9]+)/) { plain = "\\frac{\(match.1)}{\(match.2)}" }
        return plain
    }

    private static func withoutUnitWords(_ text: String) -> String {
        units.reduce(text) { text, unit in
            guard text.contains(unit) else { return text }
            let pattern = "(^|\\W)\(NSRegularExpression.escapedPattern(for: unit))($|\\W)"
            let without = text.replacingOccurrences(of: pattern, with: "$1$2", options: .regularExpression)
            return without.isEmpty ? text : without
        }
    }

    /// Singular, then plural.
    private static let units: [String] = {
        let singular =
            "east degree mph kmph ft sqaure deg mile monkey prime ratio rd o gm lb tile per dm lt gain ab way west t a h "
            + "men soldier pie bc excess st inches noon percent by gal kmh c acre rise th sq mark l toy coin gallon "
            + "profit minw yr women feet am pm hr square are rupee rounds cubic cc mtr s ohm number day hour minute min "
            + "second man woman sec cube mt mp hectare more unit rs kg g month km m cm mm apple liter loss yard pure "
            + "year increase decrease d less Surface litre metre meter inch"
        let phrases = ["m sqaure", "m east", "sq m", "no change", "cu cm", "sq inch", "cm 2", "pi sq m"]
        let all = phrases + singular.split(separator: " ").map(String.init)
        return all + all.map { $0 + "s" }
    }()
}
