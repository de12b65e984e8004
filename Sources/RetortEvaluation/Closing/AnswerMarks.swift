import Foundation

/// The last `\boxed{}` of a text, with the boxes that belong to it.
struct AnswerBox {
    let content: String
    let start: String.Index
    /// Where the text continues after it.
    let end: String.Index

    /// The contents of the last boxes; boxes with only a comma, `and` or `or` between them belong together. Empty
    /// boxes, as in a repeated instruction, do not count.
    static func last(in text: String) -> AnswerBox? {
        guard text.utf8.contains(UInt8(ascii: "x")) else { return nil }
        var boxes: [(content: String, range: Range<String.Index>)] = []
        var rest = text[...]
        while let mark = rest.firstRange(of: "box") {
            let (name, after) = command(text, mark)
            guard let after else {
                rest = rest[mark.upperBound...]
                continue
            }
            let (content, end) = group(after)
            if content.contains(where: { !$0.isWhitespace && $0 != "." && $0 != "…" }) {
                boxes.append((content, name..<end))
            }
            rest = rest[max(end, mark.upperBound)...]
            // Only the last ones matter.
            if boxes.count > 64 { boxes.removeFirst(32) }
        }
        guard var last = boxes.popLast() else { return nil }
        let end = last.range.upperBound
        var parts = [last.content]
        while let before = boxes.popLast() {
            let between = text[before.range.upperBound..<last.range.lowerBound]
                .filter { !" $\\,;\n".contains($0) }.replacing("text", with: "").replacing("{", with: "")
                .replacing("}", with: "")
            guard ["", "and", "or"].contains(between) else { break }
            parts.insert(before.content, at: 0)
            last = before
        }
        return AnswerBox(content: parts.joined(separator: ", "), start: last.range.lowerBound, end: end)
    }

    /// The text after the clause that calls a box wrong, `\boxed{14} is wrong; the answer is 15`; nil for a box that
    /// nothing takes back.
    static func correction(behind rest: Substring) -> Substring? {
        // Most boxes end their text.
        guard rest.contains(where: \.isLetter) else { return nil }
        let start = rest.prefix(80).lowercased()
        guard ["wrong", "incorrect", "false", "mistake", " not ", "n't "].contains(where: start.contains) else {
            return nil
        }
        let pattern =
            /[\s$\\)\]}*_.,;!—-]*(?:(?:but|wait|no|hmm|oh)\b[,.]?\s*)*(?:(?:that|this|it|which)\b)?\s*(?:(?:is|was|'s)\s+(?:simply\s+|clearly\s+|actually\s+)?(?:wrong|incorrect|false|mistaken|a\s+mistake|not\s+(?:right|correct|the\s+(?:(?:final|right|correct)\s+)?answer))|(?:isn't|wasn't)\s+(?:right|correct|the\s+(?:(?:final|right|correct)\s+)?answer))(?=\s*(?:[.,;:!—–-]|$|because|since|as|so|and|but))/
            .ignoresCase()
        guard let match = rest.prefixMatch(of: pattern) else { return nil }
        let behind = rest[match.range.upperBound...]
        // Its reason comes first, as in `is wrong because it counts 4 twice; it is 15`.
        let next = behind.drop { !$0.isLetter && !$0.isNumber && $0 != "\\" }.prefix { $0.isLetter }.lowercased()
        guard ["because", "since", "as"].contains(next) else { return behind }
        return behind.firstIndex { ".;\n".contains($0) }.map { behind[$0...].dropFirst() } ?? ""
    }

    /// Where a box's command begins, and what follows it; nil for the word `boxed` in a sentence.
    private static func command(
        _ text: String, _ mark: Range<String.Index>
    ) -> (name: String.Index, after: Substring?) {
        let before = text[..<mark.lowerBound]
        let isBoxed = text[mark.upperBound...].hasPrefix("ed")
        let after = text[mark.upperBound...].dropFirst(isBoxed ? 2 : 0).drop { $0 == " " }
        if isBoxed {
            if before.last == "\\" { return (text.index(before: mark.lowerBound), after) }
            // The backslash may have been lost on the way.
            return (mark.lowerBound, after.first == "{" ? after : nil)
        }
        let isFramed = before.hasSuffix("\\f") && after.first == "{"
        return (mark.lowerBound, isFramed ? after : nil)
    }

    /// The content of the braces at the start of a text, or the text before the next `$`.
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
}

/// The text after GSM8K's `####`, unless it is a Markdown heading.
struct HashMark {
    let content: String
    let start: String.Index

    static func last(in text: String) -> HashMark? {
        guard text.utf8.contains(UInt8(ascii: "#")), let mark = text.ranges(of: "####").last else { return nil }
        let rest = text[mark.upperBound...].drop { $0.isWhitespace || $0 == "#" }
        let line = rest.prefix { $0 != "\n" }
        let content = line.trimmingCharacters(in: .whitespaces)
        guard !content.isEmpty else { return nil }
        let isLastLine = rest[line.endIndex...].allSatisfy(\.isWhitespace)
        guard isLastLine || !ProseWords.arePresent(in: content) || ProseReader(content).leading() != nil else {
            return nil
        }
        return HashMark(content: content, start: mark.lowerBound)
    }
}
