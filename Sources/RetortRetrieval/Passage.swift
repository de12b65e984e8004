import Foundation
import RetortCore

/// A passage of a corpus.
struct Passage: Decodable, Sendable {
    let id: String
    let title: String
    let text: String
    /// Whether the title stands in quotation marks, as in Search-R1's corpus.
    let isQuoted: Bool

    private enum Key: String, CodingKey { case id, contents }

    init(id: String, contents: String) {
        self.id = id
        let lines = contents.split(maxSplits: 1, omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        isQuoted = lines[0].count > 1 && lines[0].hasPrefix("\"") && lines[0].hasSuffix("\"")
        title = lines[0].trimmingCharacters(in: CharacterSet(charactersIn: "\" \t"))
        text = lines.count > 1 ? lines[1].trimmingCharacters(in: .whitespacesAndNewlines) : ""
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        // Corpora number their passages in either way.
        let number = try? container.decode(Int.self, forKey: .id)
        self.init(
            id: try number.map(String.init) ?? container.decode(String.self, forKey: .id),
            contents: try container.decode(String.self, forKey: .contents))
    }
}

/// Corpora: JSON Lines of `{"id", "contents"}`, the title on the first line of the contents, compressed by gzip or not; several
/// files are one corpus in their order.
struct PassageCorpus {
    let files: [URL]

    /// A place in a corpus, between two lines of a file.
    struct Position: Hashable, Codable {
        var file = 0
        var line = JSONLinesFile.Position()
    }

    /// What tells whether the corpus is the one that an index was made of.
    /// - Throws: `RetrievalError.missing`.
    func hash() throws -> String {
        for file in files where !FileManager.default.isReadableFile(atPath: file.path) {
            throw RetrievalError.missing(file: file.path)
        }
        // Older indices had their passages in the order of their ids.
        return "in-order:sha256:\(try ContentHash.sha256(files))"
    }

    /// Calls `body` with each passage behind a place, and the place behind it.
    /// - Throws: `JSONLinesError` that names the file and the line; what `body` throws.
    func forEach(behind start: Position, _ body: (Passage, Position) throws -> Void) throws {
        for (number, file) in files.enumerated() where number >= start.file {
            let first = number == start.file ? start.line : JSONLinesFile.Position()
            try JSONLinesFile(file).forEach(Passage.self, behind: first) { passage, end in
                try body(passage, Position(file: number, line: end))
            }
        }
    }

    /// Where the passage of a place from 1 stands.
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
