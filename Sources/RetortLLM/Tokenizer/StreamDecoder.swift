/// Turns tokens into text as they arrive, holding back the bytes of an incomplete character.
public struct StreamDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let specials: Tokenizer.SpecialTokenText
    private var held: [UInt8] = []
    /// Leading spaces that the format has inserted.
    private var excessSpaces: Int

    /// - Parameter specials: whether special tokens appear in the text.
    public init(_ tokenizer: Tokenizer, specials: Tokenizer.SpecialTokenText = .skipped) {
        self.tokenizer = tokenizer
        self.specials = specials
        excessSpaces = tokenizer.leadingSpaces
    }

    /// The text that the next token completes; empty while a character is incomplete.
    public mutating func push(_ id: Int32) -> String {
        var bytes = tokenizer.bytes(of: id, specials: specials)[...]
        while excessSpaces > 0, let first = bytes.first {
            if first == UInt8(ascii: " ") { bytes = bytes.dropFirst() } else { excessSpaces = 1 }
            excessSpaces -= 1
        }
        held += bytes
        let complete = held.count - incompleteSuffix()
        defer { held.removeFirst(complete) }
        return String(decoding: held.prefix(complete), as: UTF8.self)
    }

    /// The text that was held back, once no more tokens follow.
    public mutating func finish() -> String {
        defer { held = [] }
        return String(decoding: held, as: UTF8.self)
    }

    /// The number of bytes at the end that begin an incomplete character.
    private func incompleteSuffix() -> Int {
        for length in 1...3 where length <= held.count {
            let byte = held[held.count - length]
            if byte & 0b1100_0000 == 0b1000_0000 { continue }
            let needed = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return needed > length ? length : 0
        }
        return 0
    }
}
