import Foundation
import RetortCore

/// One spelling for outputs that mean the same.
enum CanonicalText {
    /// Folds blanks and line ends and drops trailing ones; writes `2.0` as `2` and other numbers with ten significant
    /// digits. Integers stay as they are, however long: rounding would merge different answers.
    static func of(_ text: String) -> String {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { line in
            line.split(whereSeparator: \.isWhitespace).map(word).joined(separator: " ")
        }
        let end = lines.lastIndex { !$0.isEmpty }.map { $0 + 1 } ?? 0
        return lines[..<end].joined(separator: "\n")
    }

    /// A number may stand in brackets or before punctuation, as in `[2.0,` and `2.0)`.
    private static func word(_ word: Substring) -> String {
        let opening = word.prefix { "([{".contains($0) }
        let rest = word.dropFirst(opening.count)
        let closing = rest.reversed().prefix { ")]},;:".contains($0) }.count
        return opening + number(rest.dropLast(closing)) + rest.suffix(closing)
    }

    private static func number(_ word: Substring) -> String {
        // Only what is a number in Python too: Swift would also read `0x1p3` and `infinity`.
        guard word.contains(where: \.isNumber),
            word.allSatisfy({ $0.isASCII && ($0.isNumber || "+-.eE".contains($0)) }),
            let value = Double(word), value.isFinite
        else { return String(word) }
        if word.allSatisfy({ $0.isNumber || $0 == "-" }) { return String(word) }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int(value)) }
        return String(format: "%.10g", value)
    }
}

extension JSONValue {
    /// One spelling for answers of the same value, with their kind kept: the text `2` is the number's equal, as a model's
    /// final answer may be either, but `true` is not `1`, and a list is not its text.
    var canonical: String {
        switch self {
        case .array(let items): "[" + items.map(\.canonical).joined(separator: ", ") + "]"
        case .object(let members):
            "{" + members.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.canonical)" }.joined(separator: ", ")
                + "}"
        default: CanonicalText.of(text.precomposedStringWithCompatibilityMapping)
        }
    }
}
