/// Turns a query in plain words into an FTS5 expression: its words in quotation marks, joined by OR.
enum SearchQuery {
    /// No question has more different words; of a longer text, such as a pasted page, the first words count.
    static let mostWords = 256

    /// The expression, or nil when the text contains no word. Any text is valid, since nothing in it is taken for an
    /// operator.
    static func expression(for text: String) -> String? {
        let words = words(of: text)
        return words.isEmpty ? nil : words.map { "\"\($0)\"" }.joined(separator: " OR ")
    }

    /// The different words in order, without stop words unless there are no others.
    static func words(of text: String) -> [String] {
        var seen: Set<String> = []
        let words = text.unicodeScalars.split { !isWordScalar($0) }.map { String($0).lowercased() }
            .filter { seen.insert($0).inserted }
        let telling = words.filter { !stopWords.contains($0) }
        return Array((telling.isEmpty ? words : telling).prefix(mostWords))
    }

    /// Letters, digits and the marks on them: the same characters that the index's `unicode61` tokenizer keeps, so
    /// that texts are split into words in the same way.
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
