import RetortTensor

/// The memory of keys and values: pages of 16 tokens, each with all layers, as many as fit the budget.
///
/// Pages have owners: sequences, and the store of shared prompt beginnings. What sequences share is stored once; a
/// page that one of them continues to write is copied first. A page takes memory only once it has been written.
final class KeyValuePages {
    static let pageTokens = Tensor.pageTokens
    /// By layer, `[pages, key heads, 2, 16 · dim]`; nil for layers that do not attend, or read another layer's.
    let layers: [Tensor?]
    /// The number of pages.
    let count: Int
    /// The size of a page over all layers, in bytes.
    let pageBytes: Int
    private var owners: [Int32]
    /// Whether the store of shared beginnings owns a page.
    private var isKept: [Bool]
    private var free: [Int32] = []
    private var untouched: Int32 = 0
    /// Pages that only the store owns, in the order in which the last other owner released them.
    private(set) var spare: PageQueue
    /// The number of pages with several sequences as owners.
    private(set) var sharedCount = 0

    /// - Parameter bytes: the most memory that the pages may take; there is always at least one page.
    init(_ configuration: DecoderConfiguration, dtype: DType, bytes: Int, mostTokens: Int) throws {
        let pageBytes = Self.bytes(ofPage: configuration, dtype)
        self.pageBytes = pageBytes
        let count = max(min(bytes / max(pageBytes, 1), Self.pages(for: mostTokens)), 1)
        self.count = count
        layers = try (0..<configuration.layerCount).map { layer in
            guard let heads = configuration.keptHeads(ofLayer: layer) else { return nil }
            return try Tensor.keyValuePages(count, heads: heads.count, dimension: heads.dimension, dtype: dtype)
        }
        owners = Array(repeating: 0, count: count)
        isKept = Array(repeating: false, count: count)
        spare = PageQueue(pages: count)
    }

    static func bytes(ofPage configuration: DecoderConfiguration, _ dtype: DType) -> Int {
        let widths = (0..<configuration.layerCount).compactMap(configuration.keptHeads(ofLayer:))
        return widths.reduce(0) { $0 + $1.count * $1.dimension } * 2 * pageTokens * dtype.bytes
    }

    /// The number of pages for some tokens.
    static func pages(for tokens: Int) -> Int { (tokens + pageTokens - 1) / pageTokens }

    /// The number of pages without an owner.
    var freeCount: Int { free.count + count - Int(untouched) }

    /// The number of owners of a page.
    func owners(of page: Int32) -> Int { Int(owners[Int(page)]) }

    /// Takes a page without an owner, and owns it.
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

    /// Adds a sequence as an owner.
    func retain(_ page: Int32) {
        owners[Int(page)] += 1
        if users(of: page) == 2 { sharedCount += 1 }
        spare.remove(page)
    }

    /// Removes a sequence as an owner. Without owners, the page is free.
    func release(_ page: Int32) {
        if users(of: page) == 2 { sharedCount -= 1 }
        owners[Int(page)] -= 1
        if owners[Int(page)] == 0 {
            free.append(page)
        } else if isKept[Int(page)], owners[Int(page)] == 1 {
            spare.append(page)
        }
    }

    /// The number of sequences that own a page.
    private func users(of page: Int32) -> Int32 { owners[Int(page)] - (isKept[Int(page)] ? 1 : 0) }

    /// Adds the store as an owner, which can own a page once.
    func keep(_ page: Int32) {
        owners[Int(page)] += 1
        isKept[Int(page)] = true
    }

    /// Removes the store as the last owner of a page.
    func giveUp(_ page: Int32) {
        spare.remove(page)
        isKept[Int(page)] = false
        owners[Int(page)] = 0
        free.append(page)
    }

    /// Marks a spare page as used, so that it is dropped last.
    func touch(_ page: Int32) {
        guard spare.contains(page) else { return }
        spare.remove(page)
        spare.append(page)
    }

    /// A new page with the same contents.
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

/// The pages of a text's keys and values, in order.
struct PagedSequence {
    private(set) var pages: [Int32] = []
    /// The number of tokens.
    var length = 0
    /// The states of state-carrying layers; shared by all copies of this value.
    private(set) var states = CarriedStates()

    init() {}

    /// Begins with full pages that another sequence wrote, and the states after them.
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

    /// Another sequence that continues this one: full pages are shared, a partly filled one is copied.
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

    /// Releases the pages.
    mutating func release(in memory: KeyValuePages) {
        // Last page first: among pages that only the store owns, a text's end should be dropped before its beginning.
        for page in pages.reversed() { memory.release(page) }
        pages = []
        length = 0
        states = CarriedStates()
    }
}

/// No page is left. That is an accounting error, since requests are admitted by the pages that they may need.
enum KeyValuePagesError: Error, CustomStringConvertible {
    case full(pages: Int)
    /// A layer without pages attends: also an internal error.
    case noPages(Int)
    /// A text would continue from a place that its states are not at, because one of its passes failed after they had
    /// been computed.
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
