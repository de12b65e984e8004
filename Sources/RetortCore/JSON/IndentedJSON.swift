/// JSON for people: each member and element on a line of its own, two blanks further in with each level.
package enum IndentedJSON {
    /// The same JSON as a compact text; numbers and strings stay as they are written.
    package static func text(of compact: String) -> String {
        var lines = Lines()
        for byte in compact.utf8 { lines.add(byte) }
        return String(decoding: lines.bytes, as: UTF8.self)
    }

    private struct Lines {
        var bytes: [UInt8] = []
        private var depth = 0
        private var isInString = false
        private var isEscaped = false
        /// An object or a list has begun, and nothing of it came yet.
        private var hasOpened = false

        mutating func add(_ byte: UInt8) {
            if isInString { return addToString(byte) }
            let closes = byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
            if closes { depth -= 1 }
            if hasOpened != closes { breakLine() }
            hasOpened = false
            bytes.append(byte)
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["): (depth, hasOpened) = (depth + 1, true)
            case UInt8(ascii: ","): breakLine()
            case UInt8(ascii: ":"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "\""): isInString = true
            default: break
            }
        }

        private mutating func addToString(_ byte: UInt8) {
            bytes.append(byte)
            isInString = isEscaped || byte != UInt8(ascii: "\"")
            isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
        }

        private mutating func breakLine() {
            bytes.append(UInt8(ascii: "\n"))
            bytes += [UInt8](repeating: UInt8(ascii: " "), count: 2 * depth)
        }
    }
}
