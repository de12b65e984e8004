import RetortTensor

/// Full pages of texts that were read or written, by their tokens: what begins alike is read once, for an agent's next step,
/// another sample, or another task with the same instructions.
///
/// A tree of pages: a page's children are what went on from it. Pages that nobody else owns any more stay until room is needed, those
/// unused the longest going first.
final class PrefixPages {
    private final class Node {
        let page: Int32
        let tokens: [Int32]
        weak var parent: Node?
        var children: [[Int32]: Node] = [:]
        var lastUse = 0

        init(page: Int32, tokens: [Int32], parent: Node?) {
            self.page = page
            self.tokens = tokens
            self.parent = parent
        }
    }

    private let memory: KeyValuePages
    private var roots: [Int?: Node] = [:]
    private var clock = 0
    /// How many pages the tree owns.
    private(set) var count = 0

    init(_ memory: KeyValuePages) { self.memory = memory }

    /// The pages of the longest known beginning of a prompt, but for its last token, which must be read to be gone on from.
    func match(_ prompt: [Int32], adapter: Int?) -> [Int32] {
        clock += 1
        var pages: [Int32] = []
        guard var node = roots[adapter] else { return [] }
        let size = KeyValuePages.pageTokens
        while (pages.count + 1) * size < prompt.count,
            let child = node.children[Array(prompt[pages.count * size..<(pages.count + 1) * size])]
        {
            child.lastUse = clock
            pages.append(child.page)
            node = child
        }
        return pages
    }

    /// Keeps a text's full pages.
    func keep(_ tokens: [Int32], _ pages: [Int32], adapter: Int?) {
        clock += 1
        let size = KeyValuePages.pageTokens
        var node = roots[adapter] ?? Node(page: -1, tokens: [], parent: nil)
        roots[adapter] = node
        for (number, page) in pages.prefix(tokens.count / size).enumerated() {
            let part = Array(tokens[number * size..<(number + 1) * size])
            if let known = node.children[part] {
                node = known
            } else {
                let new = Node(page: page, tokens: part, parent: node)
                memory.retain(page)
                node.children[part] = new
                node = new
                count += 1
            }
            node.lastUse = clock
        }
    }

    /// How many pages could be freed.
    var spare: Int { leavesFirst().count { memory.owners(of: $0.page) == 1 } }

    /// Frees pages that nobody else owns until so many are free, or none is left; those unused the longest first.
    func free(_ wanted: Int) {
        guard memory.freeCount < wanted else { return }
        drop { memory.freeCount >= wanted }
    }

    /// Keeps so many pages at most, of those that nobody else owns.
    func limit(to most: Int) {
        guard count > most, spare > most else { return }
        var left = spare
        drop {
            defer { left -= 1 }
            return left <= most
        }
    }

    private func drop(until isEnough: () -> Bool) {
        // A page was used when those behind it were, so by use, and then from the leaves on, no page goes before its children.
        let candidates = leavesFirst().enumerated().filter { memory.owners(of: $0.element.page) == 1 }
            .sorted { ($0.element.lastUse, $0.offset) < ($1.element.lastUse, $1.offset) }
        for (_, node) in candidates where node.children.isEmpty {
            if isEnough() { return }
            node.parent?.children[node.tokens] = nil
            memory.release(node.page)
            count -= 1
        }
    }

    /// All nodes, children before their parents.
    private func leavesFirst() -> [Node] {
        var nodes = roots.values.flatMap { Array($0.children.values) }
        var next = 0
        while next < nodes.count {
            nodes += nodes[next].children.values
            next += 1
        }
        return nodes.reversed()
    }
}
