/// A token outside the model's own vocabulary, which is matched before the model is applied.
struct AddedToken: Sendable {
    let id: Int32
    let content: [UInt8]
    let special: Bool
    /// Whether it is matched in normalised text instead of the original text.
    let normalized: Bool
    /// Whether it includes the blanks before or after it.
    let stripsLeft: Bool
    let stripsRight: Bool
    /// Whether it is matched only between characters that are not part of a word.
    let singleWord: Bool
}

/// Finds added tokens in text: the leftmost match, and the longest of those that start at the same place.
struct AddedTokens: Sendable {
    private let tokens: [[UInt8]: AddedToken]
    /// For each first byte, the lengths of the tokens that start with it, longest first.
    private let lengths: [[Int]]

    init(_ all: [AddedToken]) {
        let usable = all.filter { !$0.content.isEmpty }
        tokens = Dictionary(usable.map { ($0.content, $0) }, uniquingKeysWith: { _, last in last })
        var lengths = [Set<Int>](repeating: [], count: 256)
        for token in usable { lengths[Int(token.content[0])].insert(token.content.count) }
        self.lengths = lengths.map { $0.sorted(by: >) }
    }

    var isEmpty: Bool { tokens.isEmpty }

    /// A token found in a text.
    struct Match {
        /// Its bytes, including the blanks that belong to it.
        let range: Range<Int>
        let token: AddedToken
    }

    /// The tokens found in a text, in order and without overlaps.
    /// - Parameter accepts: whether a match at these bytes counts.
    func matches(in text: [UInt8], where accepts: (AddedToken, Range<Int>) -> Bool) -> [Match] {
        var matches: [Match] = []
        var position = 0
        while position < text.count {
            guard let token = token(in: text, at: position, where: accepts) else {
                position += 1
                continue
            }
            // A token that must stand alone and does not is passed over as a whole, with the tokens inside it.
            if token.singleWord, Self.touchesWord(position..<position + token.content.count, in: text) {
                position += token.content.count
                continue
            }
            var range = position..<position + token.content.count
            if token.stripsLeft {
                range = blanks(before: range.lowerBound, in: text, after: matches.last)..<range.upperBound
            }
            if token.stripsRight {
                while let length = Self.blank(in: text, at: range.upperBound) {
                    range = range.lowerBound..<range.upperBound + length
                }
            }
            matches.append(Match(range: range, token: token))
            position = range.upperBound
        }
        return matches
    }

    private func token(
        in text: [UInt8], at position: Int, where accepts: (AddedToken, Range<Int>) -> Bool
    ) -> AddedToken? {
        for length in lengths[Int(text[position])] where position + length <= text.count {
            let range = position..<position + length
            if let token = tokens[Array(text[range])], accepts(token, range) { return token }
        }
        return nil
    }

    private func blanks(before start: Int, in text: [UInt8], after last: Match?) -> Int {
        let floor = last?.range.upperBound ?? 0
        var start = start
        while start > floor {
            var first = start - 1
            while first > floor, text[first] & 0xC0 == 0x80 { first -= 1 }
            guard Self.blank(in: text, at: first) == start - first else { break }
            start = first
        }
        return start
    }

    /// The number of bytes at the beginning of a text that belong to the token before it.
    static func blanks(of text: String, after start: Tokenizer.Start) -> Int {
        guard start == .token(takesBlanks: true) else { return 0 }
        return text.unicodeScalars.prefix { $0.properties.isWhitespace }.reduce(0) { $0 + UTF8.width($1) }
    }

    /// The length in bytes of the blank character at a position; nil when there is none.
    private static func blank(in text: [UInt8], at position: Int) -> Int? {
        scalar(in: text, at: position).flatMap { $0.properties.isWhitespace ? UTF8.width($0) : nil }
    }

    private static func touchesWord(_ range: Range<Int>, in text: [UInt8]) -> Bool {
        var before = range.lowerBound - 1
        while before > 0, text[before] & 0xC0 == 0x80 { before -= 1 }
        return [before, range.upperBound].contains { scalar(in: text, at: $0).map(\.isPartOfWord) ?? false }
    }

    private static func scalar(in text: [UInt8], at position: Int) -> Unicode.Scalar? {
        guard text.indices.contains(position) else { return nil }
        return String(decoding: text[position..<min(position + 4, text.count)], as: UTF8.self).unicodeScalars.first
    }
}
