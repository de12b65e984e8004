/// Some texts' bytes, as a tree of what they begin with, so that a grammar walks what they share once.
package struct ByteTrie: Sendable {
    /// The most bytes of a text in the tree; longer ones are tried one by one, for bounds so far off would have to be looked at.
    package static let longest = 48

    struct Node {
        var children: [(byte: UInt8, node: Int)] = []
        /// Texts that end here.
        var texts: [Int] = []
    }

    private(set) var nodes = [Node()]
    private(set) var long: [(text: Int, bytes: [UInt8])] = []
    /// Above the number of every text.
    package let count: Int

    /// - Parameter texts: each by its number; nil and empty ones are none.
    package init(_ texts: [[UInt8]?]) {
        count = texts.count
        for (number, bytes) in texts.enumerated() {
            guard let bytes, !bytes.isEmpty else { continue }
            if bytes.count > Self.longest {
                long.append((number, bytes))
            } else {
                insert(bytes, number)
            }
        }
    }

    private mutating func insert(_ bytes: [UInt8], _ number: Int) {
        var place = 0
        for byte in bytes {
            if let child = nodes[place].children.first(where: { $0.byte == byte }) {
                place = child.node
            } else {
                nodes[place].children.append((byte, nodes.count))
                place = nodes.count
                nodes.append(Node())
            }
        }
        nodes[place].texts.append(number)
    }
}

/// Some of the texts of a `ByteTrie`, by their number.
package struct TextMask: Sendable, Equatable {
    package private(set) var words: [UInt64]

    package init(count: Int) { words = Array(repeating: 0, count: (count + 63) / 64) }

    package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    package mutating func insert(_ number: Int) { words[number / 64] |= 1 << UInt64(number % 64) }

    package func contains(_ number: Int) -> Bool {
        number / 64 < words.count && words[number / 64] & (1 << UInt64(number % 64)) != 0
    }
}
