import Foundation

/// Finds the answer in what a model wrote, and compares texts as texts.
enum AnswerText {
    /// An answer's text, and where it stood.
    struct Extract: Sendable, Hashable {
        let text: String
        /// Such as `\boxed{}`; nil when the whole text is the answer.
        let place: String?
    }

    /// The answer in a text: in its last `\boxed{}`, in `<answer>` tags, after `####` or "the answer is", or all of
    /// it. Of prose without any of these, the last formula between dollar signs, or else the last number.
    static func extract(_ text: String) -> Extract {
        let text = text.utf8.count > MathLimits.text ? String(text.suffix(MathLimits.text)) : text
        var answer = Extract(text: text, place: nil)
        if let range = text.range(of: "<answer>", options: .backwards),
            let end = text.range(of: "</answer>", range: range.upperBound..<text.endIndex)
        {
            answer = Extract(text: String(text[range.upperBound..<end.lowerBound]), place: "<answer>")
        }
        if let boxed = boxed(answer.text) { return Extract(text: boxed, place: "\\boxed{}") }
        if answer.place == nil {
            if let range = text.range(of: "####", options: .backwards) {
                return Extract(text: String(text[range.upperBound...]), place: "####")
            }
            if let after = afterPhrase(text) { return Extract(text: after, place: "the answer is") }
            if isProse(text), let found = lastOfProse(text) { return found }
        }
        return answer
    }

    /// What the last boxes of a text hold; boxes with only a comma or `and` between them belong together.
    private static func boxed(_ text: String) -> String? {
        var boxes: [(content: String, range: Range<String.Index>)] = []
        var rest = text[...]
        while let mark = rest.firstRange(of: "boxed") {
            let after = rest[mark.upperBound...].drop { $0 == " " }
            let (content, end) = group(after)
            boxes.append((content, mark.lowerBound..<end))
            rest = rest[max(end, mark.upperBound)...]
            // Only the last ones matter.
            if boxes.count > 64 { boxes.removeFirst(32) }
        }
        guard var last = boxes.popLast() else { return nil }
        var parts = [last.content]
        while let before = boxes.popLast() {
            let between = text[before.range.upperBound..<last.range.lowerBound]
                .filter { !" $\\,;\n".contains($0) }.replacing("text", with: "").replacing("{", with: "")
                .replacing("}", with: "")
            guard ["", "and", "or"].contains(between) else { break }
            parts.insert(before.content, at: 0)
            last = before
        }
        return parts.joined(separator: ", ")
    }

    /// The content of the braces at the start of a text, or what stands before the next `$`.
    private static func group(_ text: Substring) -> (String, String.Index) {
        guard text.first == "{" else {
            let token = text.prefix { $0 != "$" && $0 != "\n" }
            return (String(token), token.endIndex)
        }
        var depth = 0
        for index in text.indices {
            if text[index] == "{" { depth += 1 }
            if text[index] == "}" { depth -= 1 }
            if depth == 0 {
                return (String(text[text.index(after: text.startIndex)..<index]), text.index(after: index))
            }
        }
        return (String(text.dropFirst()), text.endIndex)
    }

    private static func afterPhrase(_ text: String) -> String? {
        for phrase in ["final answer is", "answer is", "Final answer:", "Answer:", "answer:"] {
            guard let range = text.range(of: phrase, options: .backwards) else { continue }
            var after = text[range.upperBound...].drop { $0 == ":" || $0.isWhitespace }
            if let end = after.firstIndex(of: "\n") { after = after[..<end] }
            // A sentence may go on: the formula or the first word of it is the answer.
            if let end = after.firstRange(of: ". ") { after = after[..<end.lowerBound] }
            if !after.isEmpty { return String(after) }
        }
        return nil
    }

    /// Whether a text is a sentence rather than a formula.
    private static func isProse(_ text: String) -> Bool {
        text.split { $0.isWhitespace }.count { word in
            word.count > 2 && word.allSatisfy { $0.isLetter || ",.;:!?'’".contains($0) } && !word.contains("\\")
        } > 3
    }

    private static func lastOfProse(_ text: String) -> Extract? {
        let parts = text.replacing("\\$", with: "").split(separator: "$", omittingEmptySubsequences: false)
        if parts.count >= 3, parts.count % 2 == 1, !parts[parts.count - 2].isEmpty {
            return Extract(text: String(parts[parts.count - 2]), place: "the last formula")
        }
        let numbers = text.matches(of: /-?[0-9][0-9,]*(?:\.[0-9]+)?(?:\/[0-9]+)?%?/)
        guard var number = numbers.last.map({ String($0.0) }) else { return nil }
        while number.hasSuffix(",") { number.removeLast() }
        return Extract(text: number, place: "the last number")
    }

    // MARK: Text as text

    /// What is left of a text when only its words count: case, brackets, punctuation and LaTeX's wrappers do not.
    static func words(_ text: String) -> String {
        var plain = text
        for name in ["\\textbf", "\\textit", "\\textrm", "\\textnormal", "\\text", "\\mbox", "\\mathrm", "\\mathbf"] {
            plain = plain.replacing(name, with: " ")
        }
        return plain.lowercased().split { !$0.isLetter && !$0.isNumber }.joined(separator: " ")
    }

    /// A text without what never carries meaning: white space, size commands, spacing, dollar signs and a last point.
    static func compact(_ text: String) -> String {
        var plain = text
        for (mark, replacement) in [
            ("\\left", ""), ("\\right", ""), ("\\!", ""), ("\\dfrac", "\\frac"), ("\\tfrac", "\\frac"), ("$", ""),
            ("\\displaystyle", ""),
        ] where plain.contains(mark) {
            plain = plain.replacing(mark, with: replacement)
        }
        var result = ""
        var previous: Character?
        var isSpaced = false
        for character in plain {
            if character.isWhitespace {
                isSpaced = true
                continue
            }
            // A blank between digits is one between numbers.
            if isSpaced, let last = previous, last.isNumber || last == ",", character.isNumber { result.append(" ") }
            result.append(character)
            previous = character
            isSpaced = false
        }
        while result.hasSuffix(".") { result.removeLast() }
        return result
    }
}
