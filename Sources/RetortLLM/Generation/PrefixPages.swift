import RetortTensor

/// Full pages of texts that were read or generated, found by their tokens, so that a shared beginning is read only
/// once: for an agent's next step, another sample, or another task with the same instructions.
///
/// The pages form a tree in which a page's children continue it. Pages that no sequence owns any more stay until room
/// is needed; the least recently used are dropped first. The cost of a round does not depend on how many are kept.
final class PrefixPages {
    private final class Node {
        let page: Int32
        let tokens: [Int32]
        weak var parent: Node?
        var children: [[Int32]: Node] = [:]
        /// The states after the page, if they were recorded.
        var states: CarriedStates.States?

        init(page: Int32, tokens: [Int32], parent: Node?) {
            self.page = page
            self.tokens = tokens
            self.parent = parent
        }
    }

    private let memory: KeyValuePages
    private var roots: [Int?: Node] = [:]
    private var nodes: [Int32: Node] = [:]
    /// The number of pages in the tree.
    var count: Int { nodes.count }

    /// The most pages whose states are kept; nil for a network without states, which needs only pages.
    private let mostStates: Int?
    /// The pages with states, least recently used first.
    private var noted: PageQueue

    init(_ memory: KeyValuePages, mostStates: Int? = nil) {
        self.memory = memory
        self.mostStates = mostStates
        noted = PageQueue(pages: memory.count)
    }

    /// The number of pages whose states are kept.
    var stateCount: Int { noted.count }

    /// The pages of the longest cached beginning of a prompt, and the states after them if the network has any. The
    /// prompt's last token is excluded, because it must be read to be continued.
    func match(_ prompt: [Int32], adapter: Int?) -> (pages: [Int32], states: CarriedStates.States) {
        var pages: [Int32] = []
        var known: (count: Int, states: CarriedStates.States) = (0, [:])
        guard var node = roots[adapter] else { return ([], [:]) }
        let size = KeyValuePages.pageTokens
        while (pages.count + 1) * size < prompt.count,
            let child = node.children[Array(prompt[pages.count * size..<(pages.count + 1) * size])]
        {
            pages.append(child.page)
            node = child
            if let states = child.states { known = (pages.count, states) }
        }
        if mostStates != nil {
            // A page is of no use without the states after it.
            pages.removeLast(pages.count - known.count)
            if let last = pages.last { note(last) }
        }
        for page in pages.reversed() { memory.touch(page) }
        return (pages, known.states)
    }

    /// Marks a page's states as used, so that they are dropped last.
    private func note(_ page: Int32) {
        noted.remove(page)
        noted.append(page)
    }

    /// Keeps a text's full pages.
    /// - Parameter states: the states after some of them, by the number of tokens.
    func keep(_ tokens: [Int32], _ pages: [Int32], adapter: Int?, states: [Int: CarriedStates.States] = [:]) {
        let size = KeyValuePages.pageTokens
        var node = roots[adapter] ?? Node(page: -1, tokens: [], parent: nil)
        roots[adapter] = node
        for (number, page) in pages.prefix(tokens.count / size).enumerated() {
            let part = Array(tokens[number * size..<(number + 1) * size])
            if let known = node.children[part] {
                node = known
            } else {
                let new = Node(page: page, tokens: part, parent: node)
                memory.keep(page)
                nodes[page] = new
                node.children[part] = new
                node = new
            }
            if let mostStates, mostStates > 0, node.states == nil, let own = states[(number + 1) * size] {
                node.states = own
                note(node.page)
            }
        }
        while let mostStates, noted.count > mostStates, let oldest = noted.first {
            noted.remove(oldest)
            nodes[oldest]?.states = nil
        }
    }

    /// The number of pages that could be freed.
    var spare: Int { memory.spare.count }

    /// Frees pages without other owners until this many are free or none is left, least recently used first.
    func free(_ wanted: Int) { drop { memory.freeCount >= wanted } }

    /// Keeps at most this many of the pages without other owners.
    func limit(to most: Int) { drop { memory.spare.count <= most } }

    /// A text's last page is normally released before its first. If a page after a spare one still has other owners,
    /// the spare one stays until they are done. A page that was skipped may therefore become droppable later, and is
    /// looked at again.
    private func drop(until isEnough: () -> Bool) {
        var hasDropped = true
        while hasDropped, !isEnough() {
            hasDropped = false
            var next = memory.spare.first
            while let page = next, !isEnough() {
                next = memory.spare.next(page)
                guard let node = nodes[page], node.children.isEmpty else { continue }
                node.parent?.children[node.tokens] = nil
                nodes[page] = nil
                noted.remove(page)
                memory.giveUp(page)
                hasDropped = true
            }
        }
    }
}
