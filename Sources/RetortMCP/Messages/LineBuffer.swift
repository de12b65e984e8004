/// Splits incoming bytes into lines of limited length.
struct LineBuffer {
    /// A line is longer than allowed.
    struct TooLong: Error {}

    private var rest: [UInt8] = []
    private let limit: Int

    /// - Parameter limit: the longest line, in bytes.
    init(limit: Int) { self.limit = limit }

    /// The lines that these bytes complete, without line ends; empty lines are left out.
    mutating func add(_ bytes: [UInt8]) throws(TooLong) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = bytes.startIndex
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            guard rest.count + (end - start) <= limit else { throw TooLong() }
            rest += bytes[start..<end]
            if let line = take() { lines.append(line) }
            start = end + 1
        }
        guard rest.count + (bytes.endIndex - start) <= limit else { throw TooLong() }
        rest += bytes[start...]
        return lines
    }

    /// The bytes after the last line end; nil if there are none.
    mutating func last() -> [UInt8]? { take() }

    private mutating func take() -> [UInt8]? {
        defer { rest.removeAll(keepingCapacity: rest.capacity < 1 << 16) }
        if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
        return rest.contains { !" \t\r".utf8.contains($0) } ? rest : nil
    }
}
