import NIOCore

/// Cuts a stream between its events, so that one that breaks off within an event can still be ended in good form (WHATWG HTML,
/// section 9.2.6: a blank line ends an event).
struct WholeEvents {
    /// What follows the last blank line.
    private var tail: [UInt8] = []
    /// A longer event is passed on in parts.
    private static let mostHeld = 1 << 20

    /// What was not passed on yet; nil for nothing.
    var rest: ByteBuffer? { tail.isEmpty ? nil : ByteBuffer(bytes: tail) }

    /// Takes in a piece.
    /// - Returns: the events that are whole by now.
    mutating func add(_ piece: ByteBuffer) -> ByteBuffer? {
        // A blank line may begin in what was held.
        let from = max(0, tail.count - 3)
        tail += piece.readableBytesView
        guard let end = tail.count > Self.mostHeld ? tail.count : Self.end(tail, from) else { return nil }
        defer { tail.removeFirst(end) }
        return ByteBuffer(bytes: tail[..<end])
    }

    /// Where the last blank line ends.
    private static func end(_ bytes: [UInt8], _ from: Int) -> Int? {
        let (newline, carriage) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))
        var place = bytes.count - 1
        while place > from {
            let (last, before) = (bytes[place], bytes[place - 1])
            if last == newline, before == newline { return place + 1 }
            if last == carriage, before == carriage { return place + 1 }
            if last == newline, before == carriage, place >= 3, bytes[place - 2] == newline {
                return place + 1
            }
            place -= 1
        }
        return nil
    }
}
