import Foundation
import Synchronization

/// A search whose index is still being built: until it is ready, it refuses queries, or searches by words what is
/// indexed so far.
public final class GrowingSearch: PassageSearch {
    private enum State {
        case preparing(String)
        case partly(PassageIndex, String)
        case ready(any PassageSearch)
    }

    private struct Making {
        var state = State.preparing("it begins")
        /// The file that the index will have.
        var index: URL?
    }

    private let making = Mutex(Making())
    private let searchesEarly: Bool

    /// How a search behaves until it is ready.
    public enum Manner: Sendable {
        /// It throws an error that says how far the index is.
        case refuses
        /// It searches by words what is indexed so far.
        case searchesWhatIsThere
    }

    /// A search that is not ready yet.
    public init(_ manner: Manner) { searchesEarly = manner == .searchesWhatIsThere }

    /// How far the index is, in words; nil when it is ready.
    public var progress: String? {
        making.withLock { making in
            switch making.state {
            case .preparing(let text), .partly(_, let text): text
            case .ready: nil
            }
        }
    }

    /// Records how far the index is.
    public func note(_ progress: DenseIndex.Progress) {
        let index: URL? = making.withLock { making in
            if case .ready = making.state { return nil }
            if case .begun(let index) = progress {
                making.index = index
                return nil
            }
            let text = Self.text(progress)
            if case .partly(let index, _) = making.state, progress != .words(.finishing) {
                making.state = .partly(index, text)
                return nil
            }
            making.state = .preparing(text)
            guard searchesEarly, case .words(.read) = progress else { return nil }
            return making.index
        }
        guard let index, let unfinished = PassageIndex.unfinished(of: index) else { return }
        making.withLock { making in
            if case .preparing(let text) = making.state { making.state = .partly(unfinished, text) }
        }
    }

    /// Makes the search ready.
    public func set(_ search: any PassageSearch) { making.withLock { $0.state = .ready(search) } }

    /// Searches what is ready.
    /// - Throws: `RetrievalError` when nothing can be searched yet.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        try await current().search(query, limit: limit)
    }

    /// The same for several queries at once.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        try await current().search(all: queries, limit: limit)
    }

    private func current() throws -> any PassageSearch {
        try making.withLock { making in
            switch making.state {
            case .preparing(let text): throw RetrievalError.notReady(text)
            case .partly(let index, _): return index
            case .ready(let search): return search
            }
        }
    }

    private static func text(_ progress: DenseIndex.Progress) -> String {
        switch progress {
        case .begun: "it begins"
        case .words(.read(let count)): "\(count) passages are indexed"
        case .words(.joined): "lists of words are being joined"
        case .words(.finishing): "the index is being put in its place"
        case .embedded(let done, let total): "\(done) of \(total) passages are embedded"
        case .indexed(let done, let total): "\(done) of \(total) vectors are indexed"
        }
    }
}
