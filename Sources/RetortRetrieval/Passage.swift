import Foundation

/// A passage of a corpus.
struct Passage: Decodable, Sendable {
    let id: String
    let title: String
    let text: String

    private enum Key: String, CodingKey { case id, contents }

    init(id: String, contents: String) {
        self.id = id
        let lines = contents.split(maxSplits: 1, omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        // Search-R1's corpus puts titles in quotation marks.
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
