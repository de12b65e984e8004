import RetortTensor

/// Full pages of texts that were read or written, by their tokens: what begins alike is read once, for an agent's next step,
/// another sample, or another task with the same instructions.
///
/// A tree of pages: a page's children are what went on from it. Pages that nobody else owns any more stay until room is needed, those
/// unused the longest going first. What a round costs does not depend on how many are kept.
final class PrefixPages {
    private final class Node {
        let page: Int32
        let tokens: [Int32]
        weak var parent: Node?
        var children: [[Int32]: Node] = [:]
        /// Behind the page, where they were noted.
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
    /// How many pages the tree owns.
    var count: Int { nodes.count }

    /// How many pages' states are kept, at most; nil where the network has no states, and pages are all that is needed.
    private let mostStates: Int?
    /// Pages with states, those unused the longest first.
    private var noted: PageQueue

    init(_ memory: KeyValuePages, mostStates: Int? = nil) {
        self.memory = memory
        self.mostStates = mostStates
        noted = PageQueue(pages: memory.count)
    }

    /// How many pages' states are kept.
    var stateCount: Int { noted.count }

    /// The pages of the longest known beginning of a prompt, but for its last token, which must be read to be gone on from; and the
    /// states behind them, where the network has any.
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
            // Without the states behind it, a page is of no use.
            pages.removeLast(pages.count - known.count)
            if let last = pages.last { note(last) }
        }
        for page in pages.reversed() { memory.touch(page) }
        return (pages, known.states)
    }

    /// A page's states are of use: of all they are to go last.
    private func note(_ page: Int32) {
        noted.remove(page)
        noted.append(page)
    }

    /// Keeps a text's full pages.
    /// - Parameter states: those behind some of them, by the number of tokens.
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

    /// How many pages could be freed.
    var spare: Int { memory.spare.count }

    /// Frees pages that nobody else owns until so many are free, or none is left; those unused the longest first.
    func free(_ wanted: Int) { drop { memory.freeCount >= wanted } }

    /// Keeps so many pages at most, of those that nobody else owns.
    func limit(to most: Int) { drop { memory.spare.count <= most } }

    /// Of a text that went as it came, the end stands before the beginning. Where others own a page behind a spare one, that one stays
    /// until they are through; so one that was passed by may come to be free, and is looked for again.
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
