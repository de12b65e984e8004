/// The labels `Thought:` and `Code:` as models write them: in any case, emphasized or as a heading, with a blank before the
/// colon, or with a remark in brackets.
enum TurnLabel {
    /// The labels as they were asked for, which are told without regular expressions: these are parsed each time.
    private static let (thought, code) = ("Thought:", "Code:")

    /// How many scalars the label has that a text begins with; nil when it begins with none.
    static func length(atStartOf text: String) -> Int? {
        if let label = [thought, code].first(where: text.hasPrefix),
            !text.dropFirst(label.count).hasPrefix("*"), !text.dropFirst(label.count).hasPrefix("_")
        {
            return label.count
        }
        let beginning = text.prefix(80).lowercased()
        guard beginning.contains("code") || beginning.contains("thought") else { return nil }
        let label =
            /(?:[*_]{1,3}|\#{1,6}[ \t]+)?(?:thought|(?:python[ \t]+)?code[ \t]*(?:\([^()]{0,40}\)|\[[^\[\]]{0,40}\])?)[ \t]*[*_]{0,3}[ \t]*[:：][*_]{0,3}/
            .ignoresCase()
        return text.prefixMatch(of: label).map { $0.output.unicodeScalars.count }
    }

    /// Whether a line ends in the label of a program, or is a heading that says so.
    static func isCode(_ line: String) -> Bool { isCodeAlone(line) || codeStart(in: line) != nil }

    /// A text without the label of a program at its end.
    static func withoutCode(_ text: String) -> String {
        let start = text.unicodeScalars.lastIndex(of: "\n").map { text.unicodeScalars.index(after: $0) }
        let line = String(text[(start ?? text.startIndex)...])
        let before = text[..<(start ?? text.startIndex)]
        if isCodeAlone(line) { return before.trimmed }
        return codeStart(in: line).map { (before + line[..<$0]).trimmed } ?? text
    }

    /// A text without the label of a thought at its beginning.
    static func withoutThought(_ text: String) -> String {
        if text.hasPrefix(thought) { return text.dropFirst(thought.count).trimmed }
        guard text.prefix(80).lowercased().contains("thought") else { return text }
        let label =
            /(?:[*_]{1,3}thought[ \t]*[*_]{0,3}[ \t]*[:：][*_]{0,3}|(?:\#{1,6}[ \t]+)?thought[ \t]*[:：])/.ignoresCase()
        return text.prefixMatch(of: label).map { text[$0.range.upperBound...].trimmed } ?? text
    }

    /// Whether a line holds nothing else: a label behind marks of lists and quotes, or a heading.
    private static func isCodeAlone(_ line: String) -> Bool {
        let words = line.trimmed
        if words == code { return true }
        guard words.unicodeScalars.count < 100, words.lowercased().contains("code") else { return false }
        let label =
            /(?:[\#>*_+\-]|\d{1,2}[.)]|[ \t])*(?:python[ \t]+)?code[ \t]*(?:\([^()]{0,40}\)|\[[^\[\]]{0,40}\])?[ \t]*[*_]*[ \t]*[:：][*_\# \t]*/
        let heading =
            /(?:\#{1,6}[ \t]+[*_]*|[*_]{2,3})(?:\d{1,2}[.)][ \t]*)?(?:python[ \t]+)?code[ \t]*(?:\([^()]{0,40}\))?[*_\# \t]*/
        return words.wholeMatch(of: label.ignoresCase()) != nil || words.wholeMatch(of: heading.ignoresCase()) != nil
    }

    /// Where the label begins that ends a line of other words; there it is written large, since `like this code:` is prose.
    private static func codeStart(in line: String) -> String.Index? {
        func bare(_ text: Substring) -> Substring {
            var text = text
            while let last = text.last, last.isWhitespace || "*_".contains(last) { text.removeLast() }
            return text
        }
        var words = bare(line[...])
        guard words.last == ":" || words.last == "：" else { return nil }
        words = bare(words.dropLast())
        if words.last == ")", let open = words.lastIndex(of: "(") { words = bare(words[..<open]) }
        guard words.hasSuffix("Code") || words.hasSuffix("CODE") else { return nil }
        words = words.dropLast("Code".count)
        guard words.last.map({ !$0.isLetter && !$0.isNumber }) ?? true else { return nil }
        while let last = words.last, "*_".contains(last) { words.removeLast() }
        return words.endIndex
    }
}
