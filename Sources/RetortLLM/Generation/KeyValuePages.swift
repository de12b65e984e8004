import RetortTensor

/// The memory of keys and values: pages of 16 tokens, each with all layers, as many as a budget holds.
///
/// A page has owners: sequences, and the store of prompts that begin alike. What sequences share is held once; a page that one of
/// them goes on to write is copied for it first. Pages take memory only once they have been written.
final class KeyValuePages {
    static let pageTokens = Tensor.pageTokens
    /// By layer, `[pages, key heads, 2, 16 · dim]`; nil for layers that do not attend.
    let layers: [Tensor?]
    /// How many there are.
    let count: Int
    /// What a page takes, in bytes, over all layers.
    let pageBytes: Int
    private var owners: [Int32]
    /// Whether one of a page's owners is the store of prompts that begin alike.
    private var isKept: [Bool]
    private var free: [Int32] = []
    private var untouched: Int32 = 0
    /// Pages that only that store owns, in the order that everybody else gave them up.
    private(set) var spare: PageQueue
    /// Pages that several sequences own.
    private(set) var sharedCount = 0

    /// - Parameter bytes: how much memory the pages may take, at most; there are at least enough for one page.
    init(_ configuration: DecoderConfiguration, dtype: DType, bytes: Int, mostTokens: Int) throws {
        let heads = configuration.keyValueHeadCount
        let dimension = configuration.headDimension
        let pageBytes = Self.bytes(ofPage: configuration, dtype)
        self.pageBytes = pageBytes
        let count = max(min(bytes / max(pageBytes, 1), Self.pages(for: mostTokens)), 1)
        self.count = count
        layers = try (0..<configuration.layerCount).map { layer in
            guard configuration.carrying[layer] == nil else { return nil }
            return try Tensor.keyValuePages(count, heads: heads, dimension: dimension, dtype: dtype)
        }
        owners = Array(repeating: 0, count: count)
        isKept = Array(repeating: false, count: count)
        spare = PageQueue(pages: count)
    }

    static func bytes(ofPage configuration: DecoderConfiguration, _ dtype: DType) -> Int {
        let numbers = configuration.keyValueHeadCount * configuration.headDimension * 2 * pageTokens
        return (configuration.layerCount - configuration.carrying.count) * numbers * dtype.bytes
    }

    /// How many pages some tokens fill.
    static func pages(for tokens: Int) -> Int { (tokens + pageTokens - 1) / pageTokens }

    /// Pages without an owner.
    var freeCount: Int { free.count + count - Int(untouched) }

    /// How many owners a page has.
    func owners(of page: Int32) -> Int { Int(owners[Int(page)]) }

    /// A page without an owner, which it has now.
    /// - Throws: `KeyValuePagesError.full`.
    func take() throws -> Int32 {
        let page: Int32
        if let known = free.popLast() {
            page = known
        } else {
            guard untouched < count else { throw KeyValuePagesError.full(pages: count) }
            page = untouched
            untouched += 1
        }
        owners[Int(page)] = 1
        return page
    }

    /// One owner more: a sequence.
    func retain(_ page: Int32) {
        owners[Int(page)] += 1
        if users(of: page) == 2 { sharedCount += 1 }
        spare.remove(page)
    }

    /// One owner less: a sequence. Without any, the page is free.
    func release(_ page: Int32) {
        if users(of: page) == 2 { sharedCount -= 1 }
        owners[Int(page)] -= 1
        if owners[Int(page)] == 0 {
            free.append(page)
        } else if isKept[Int(page)], owners[Int(page)] == 1 {
            spare.append(page)
        }
    }

    /// How many sequences own a page.
    private func users(of page: Int32) -> Int32 { owners[Int(page)] - (isKept[Int(page)] ? 1 : 0) }

    /// One owner more: the store of prompts that begin alike, which has a page once.
    func keep(_ page: Int32) {
        owners[Int(page)] += 1
        isKept[Int(page)] = true
    }

    /// That store gives up a page that nobody else owns.
    func giveUp(_ page: Int32) {
        spare.remove(page)
        isKept[Int(page)] = false
        owners[Int(page)] = 0
        free.append(page)
    }

    /// A spare page was of use: of those it is to go last.
    func touch(_ page: Int32) {
        guard spare.contains(page) else { return }
        spare.remove(page)
        spare.append(page)
    }

    /// A page of one's own with the same contents.
    func copy(_ page: Int32) throws -> Int32 {
        let copy = try take()
        do {
            for layer in layers.compactMap(\.self) {
                try layer.narrowed(0, Int(copy)..<Int(copy) + 1).assign(layer.narrowed(0, Int(page)..<Int(page) + 1))
            }
        } catch {
            release(copy)
            throw error
        }
        return copy
    }
}

/// What stands in the pages, in order: a text's keys and values.
struct PagedSequence {
    private(set) var pages: [Int32] = []
    /// In tokens.
    var length = 0
    /// What layers that do not attend know of it; the same for all copies of this value.
    private(set) var states = CarriedStates()

    init() {}

    /// Begins with full pages that somebody else wrote, and the states behind them.
    init(sharing pages: [Int32], states: CarriedStates.States = [:], in memory: KeyValuePages) {
        self.states = CarriedStates(states, length: pages.count * KeyValuePages.pageTokens)
        for page in pages { memory.retain(page) }
        self.pages = pages
        length = pages.count * KeyValuePages.pageTokens
    }

    /// Makes room for some more tokens.
    mutating func reserve(_ tokens: Int, in memory: KeyValuePages) throws {
        while pages.count < KeyValuePages.pages(for: length + tokens) { pages.append(try memory.take()) }
    }

    /// Another sequence that goes on from this one: full pages are shared, the one that is being written is copied.
    func forked(in memory: KeyValuePages) throws -> PagedSequence {
        let full = length / KeyValuePages.pageTokens
        var fork = PagedSequence(sharing: Array(pages.prefix(full)), in: memory)
        fork.length = length
        fork.states = states.forked()
        guard length % KeyValuePages.pageTokens != 0 else { return fork }
        do {
            fork.pages.append(try memory.copy(pages[full]))
        } catch {
            fork.release(in: memory)
            throw error
        }
        return fork
    }

    /// Gives the pages back.
    mutating func release(in memory: KeyValuePages) {
        // The last ones first: of pages that are only kept, a text's end is to go before its beginning.
        for page in pages.reversed() { memory.release(page) }
        pages = []
        length = 0
        states = CarriedStates()
    }
}

/// No page is left: a mistake in counting, as requests are admitted by the pages that they can come to need.
enum KeyValuePagesError: Error, CustomStringConvertible {
    case full(pages: Int)
    /// A layer attends that has no pages: a mistake, too.
    case noPages(Int)
    /// A text would go on from a place that its states are not at: one of its passes failed after they had been made.
    case states(behind: Int, wanted: Int)

    var description: String {
        switch self {
        case .states(let tokens, let wanted):
            "the states of a text are those behind \(tokens) tokens, and it goes on behind \(wanted); ask again"
        case .noPages(let layer): "layer \(layer) has no pages for keys and values"
        case .full(let pages): "all \(pages) pages of keys and values are in use"
        }
    }
}
