/// What a model puts between `<answer>` and `</answer>`, as reasoning models are told to.
package enum AnswerTag {
    /// The last tagged answer of a text.
    /// - Returns: where its opening tag begins, and what stands behind it up to the closing tag; a generation that stops at
    ///   the closing tag leaves that out. Nil where nothing is tagged.
    package static func last(in text: some StringProtocol) -> (start: String.Index, content: String)? {
        guard text.utf8.contains(UInt8(ascii: "<")), let open = range(of: "<answer>", "<Answer>", in: text, last: true)
        else { return nil }
        let rest = text[open.upperBound...]
        let end = range(of: "</answer>", "</Answer>", in: rest, last: false)?.lowerBound ?? rest.endIndex
        return (open.lowerBound, String(rest[..<end]))
    }

    private static func range(
        of mark: String, _ other: String, in text: some StringProtocol, last isLast: Bool
    ) -> Range<String.Index>? {
        let found = [mark, other].flatMap { text.ranges(of: $0) }
        return isLast ? found.max { $0.lowerBound < $1.lowerBound } : found.min { $0.lowerBound < $1.lowerBound }
    }
}
