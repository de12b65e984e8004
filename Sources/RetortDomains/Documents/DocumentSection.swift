import Foundation

/// A part of a document under one heading.
struct DocumentSection: Hashable {
    /// The headings above it, joined by `›`; nil where there are none.
    var heading: String?
    var text: String

    /// The most characters of a passage: a few hundred tokens, so that several fit into a small model's prompt.
    static let mostCharacters = 1200

    /// A Markdown document's sections. A `#` in a fenced block is not a heading.
    static func markdown(_ text: String) -> [DocumentSection] {
        var sections: [DocumentSection] = []
        var path: [(level: Int, words: String)] = []
        var lines: [Substring] = []
        var isFenced = false
        func finish() {
            let text = lines.joined(separator: "\n").trimmingCharacters(in: .whitespacesAndNewlines)
            lines = []
            guard !text.isEmpty else { return }
            sections.append(
                DocumentSection(heading: path.isEmpty ? nil : path.map(\.words).joined(separator: " › "), text: text))
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") || line.hasPrefix("~~~") { isFenced.toggle() }
            let level = line.prefix { $0 == "#" }.count
            guard !isFenced, (1...6).contains(level), line.dropFirst(level).first == " " else {
                lines.append(line)
                continue
            }
            finish()
            path.removeAll { $0.level >= level }
            let words = line.dropFirst(level).trimmingCharacters(in: CharacterSet(charactersIn: "# \t"))
            path.append((level, words))
        }
        finish()
        return sections
    }

    /// Passages with their titles on the first line: a section's paragraphs are put together as far as they fit, and a
    /// long paragraph is cut at the ends of sentences.
    static func passages(_ sections: [DocumentSection], title: String) -> [String] {
        sections.flatMap { section in
            let head = section.heading ?? title
            return pieces(section.text).map { "\(head)\n\($0)" }
        }
    }

    private static func pieces(_ text: String) -> [String] {
        var pieces: [String] = []
        var current = ""
        func add(_ part: String, _ separator: String) {
            if current.isEmpty {
                current = part
            } else if current.count + separator.count + part.count <= mostCharacters {
                current += separator + part
            } else {
                pieces.append(current)
                current = part
            }
        }
        for paragraph in text.split(separator: /\n\s*\n/) {
            let words = paragraph.trimmingCharacters(in: .whitespacesAndNewlines)
            if words.isEmpty { continue }
            if words.count <= mostCharacters {
                add(words, "\n\n")
            } else {
                for sentence in sentences(words) { add(sentence, " ") }
            }
        }
        if !current.isEmpty { pieces.append(current) }
        return pieces
    }

    /// Splits into sentences; one that is too long by itself is cut at the limit.
    private static func sentences(_ text: String) -> [String] {
        var sentences: [String] = []
        var current = ""
        var before: Character = " "
        for character in text {
            let isEnd = character.isWhitespace && ".!?\n".contains(before)
            if isEnd || current.count >= mostCharacters {
                let words = current.trimmingCharacters(in: .whitespacesAndNewlines)
                if !words.isEmpty { sentences.append(words) }
                current = ""
            }
            current.append(character)
            before = character
        }
        let words = current.trimmingCharacters(in: .whitespacesAndNewlines)
        return words.isEmpty ? sentences : sentences + [words]
    }
}
