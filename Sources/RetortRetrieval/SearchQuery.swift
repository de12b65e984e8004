/// A query in plain words as an FTS5 expression: its words in quotation marks, joined by OR.
enum SearchQuery {
    /// More different words than any question has; a pasted page is searched by its first ones.
    static let mostWords = 256

    /// The expression, or nil when the text holds no word. Any text is valid: nothing in it is taken for an operator.
    static func expression(for text: String) -> String? {
        let words = words(of: text)
        return words.isEmpty ? nil : words.map { "\"\($0)\"" }.joined(separator: " OR ")
    }

    /// The different words in order, stop-words removed unless nothing else is there.
    static func words(of text: String) -> [String] {
        var seen: Set<String> = []
        let words = text.unicodeScalars.split { !isWordScalar($0) }.map { String($0).lowercased() }
            .filter { seen.insert($0).inserted }
        let telling = words.filter { !stopWords.contains($0) }
        return Array((telling.isEmpty ? words : telling).prefix(mostWords))
    }

    /// Letters, digits and the marks on them: what the index's `unicode61` tokenizer keeps, so words fall apart alike.
    private static func isWordScalar(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
            .spacingMark, .decimalNumber, .letterNumber, .otherNumber, .privateUse:
            true
        default: false
        }
    }

    private static let stopWords: Set<String> = [
        "a", "about", "an", "and", "are", "as", "at", "be", "been", "by", "did", "do", "does", "for", "from", "had",
        "has", "have", "how", "in", "is", "it", "its", "of", "on", "or", "s", "that", "the", "their", "this", "to",
        "was",
        "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "with",
    ]
}
