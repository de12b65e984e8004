import Foundation
import RetortCore

/// A passage of a corpus.
struct Passage: Decodable, Sendable {
    let id: String
    let title: String
    let text: String
    /// Whether the title is in quotation marks, as in Search-R1's corpus.
    let isQuoted: Bool

    private enum Key: String, CodingKey { case id, title, contents }

    init(id: String, contents: String) {
        self.id = id
        // SQLite's text ends at a NUL.
        let contents = contents.utf8.contains(0) ? contents.replacing("\0", with: " ") : contents
        let lines = contents.split(maxSplits: 1, omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        isQuoted = lines[0].count > 1 && lines[0].hasPrefix("\"") && lines[0].hasSuffix("\"")
        title = lines[0].trimmingCharacters(in: CharacterSet(charactersIn: "\" \t"))
        text = lines.count > 1 ? lines[1].trimmingCharacters(in: .whitespacesAndNewlines) : ""
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        // Corpora number their passages with numbers or with strings.
        let number = try? container.decode(Int.self, forKey: .id)
        self.init(
            id: try number.map(String.init) ?? container.decode(String.self, forKey: .id),
            contents: Self.contents(
                try container.decode(String.self, forKey: .contents),
                title: try? container.decode(String.self, forKey: .title)))
    }

    /// The contents with a title that stands apart on their first line, unless it is there already.
    private static func contents(_ contents: String, title: String?) -> String {
        guard let title, !title.isEmpty else { return contents }
        let first = contents.prefix { !$0.isNewline }.trimmingCharacters(in: CharacterSet(charactersIn: "\" \t"))
        return first == title.trimmingCharacters(in: CharacterSet(charactersIn: "\" \t"))
            ? contents : "\(title)\n\(contents)"
    }
}

/// A corpus: JSON Lines of `{"id", "contents"}` with the title on the first line of the contents, optionally
/// compressed by gzip. Several files form one corpus, in their order.
struct PassageCorpus {
    let files: [URL]

    /// A position in a corpus, between two lines of a file.
    struct Position: Hashable, Codable {
        var file = 0
        var line = JSONLinesFile.Position()
    }

    /// Identifies the corpus, to tell whether an index was made of it.
    /// - Throws: `RetrievalError.missing`.
    func hash() throws -> String {
        for file in files where !FileManager.default.isReadableFile(atPath: file.path) {
            throw RetrievalError.missing(file: file.path)
        }
        // Older indexes have their passages in the order of their ids.
        return "in-order:sha256:\(try ContentHash.sha256(files))"
    }

    /// Calls `body` with each passage after a position, and with the position after that passage.
    /// - Throws: `JSONLinesError` that names the file and the line; what `body` throws.
    func forEach(behind start: Position, _ body: (Passage, Position) throws -> Void) throws {
        for (number, file) in files.enumerated() where number >= start.file {
            let first = number == start.file ? start.line : JSONLinesFile.Position()
            try JSONLinesFile(file).forEach(Passage.self, behind: first) { passage, end in
                try body(passage, Position(file: number, line: end))
            }
        }
    }

    /// The line of a passage, whose place is counted from 1.
    func line(of place: Int) throws -> (file: URL, line: Int) {
        struct Found: Error { let place: Position }
        var count = 0
        do {
            try forEach(behind: Position()) { _, end in
                count += 1
                if count == place { throw Found(place: end) }
            }
        } catch let found as Found {
            return (files[found.place.file], found.place.line.lines)
        }
        return (files[files.count - 1], 0)
    }
}
