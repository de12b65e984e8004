import RetortCore

/// A text that a model or a tool wrote, as a page shows it: invisible characters are made visible, and a long text is
/// cut to its beginning.
///
/// Templates escape it; nothing here is markup.
struct VisibleText: Sendable {
    /// The beginning, or all of it.
    let text: String
    /// The size of the whole text, in words; nil when all of it is shown.
    let whole: String?
    /// The address of the whole text; nil when all of it is shown.
    let place: String?

    /// The most that a page shows of one text, in characters and lines.
    private static let most = (characters: 6000, lines: 160)

    /// - Parameter place: the address of the whole text; empty if there is none.
    init(_ text: String, place: String) {
        var lines = 0
        var end = text.startIndex
        var count = 0
        while end < text.endIndex, count < Self.most.characters {
            if text[end].isNewline {
                lines += 1
                if lines >= Self.most.lines { break }
            }
            end = text.index(after: end)
            count += 1
        }
        self.text = Self.visible(String(text[..<end]))
        // The byte count is known at once, however long the text is.
        whole = end < text.endIndex ? Figure.bytes(text.utf8.count) : nil
        self.place = end < text.endIndex && !place.isEmpty ? place : nil
    }

    /// The text with visible signs in place of control characters and of characters that change the writing
    /// direction.
    static func visible(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isHidden) else { return text }
        var shown = String.UnicodeScalarView()
        for scalar in text.replacing("\r\n", with: "\n").unicodeScalars {
            guard isHidden(scalar) else {
                shown.append(scalar)
                continue
            }
            switch scalar.value {
            case 0..<0x20: shown.append(UnicodeScalar(0x2400 + scalar.value) ?? "␀")
            case 0x7f: shown.append("\u{2421}")
            default: shown.append(contentsOf: "⟨U+\(String(scalar.value, radix: 16, uppercase: true))⟩".unicodeScalars)
            }
        }
        return String(shown)
    }

    /// Whether a form returns the text unchanged.
    static func isPlain(_ text: String) -> Bool { !text.unicodeScalars.contains(where: isHidden) }

    private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0a: false
        case 0..<0x20, 0x7f..<0xa0, 0x2028...0x202e, 0x2066...0x2069, 0xfeff, 0xfff9...0xfffb, 0xe0000...0xe007f: true
        default: false
        }
    }

    /// The text on one line, for lists.
    static func line(_ text: String, upTo limit: Int = 240) -> String {
        let start = text.prefix(limit * 2).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        let shown = visible(String(start.prefix(limit)))
        return start.count > limit || text.utf8.count > limit * 8 ? shown + "…" : shown
    }
}
