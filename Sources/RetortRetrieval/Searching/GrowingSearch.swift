import Foundation
import Synchronization

/// A search that is being made: until it is ready it refuses, or finds by words what is indexed so far.
public final class GrowingSearch: PassageSearch {
    private enum State {
        case preparing(String)
        case partly(PassageIndex, String)
        case ready(any PassageSearch)
    }

    private struct Making {
        var state = State.preparing("it begins")
        /// Where the index will lie.
        var index: URL?
    }

    private let making = Mutex(Making())
    private let searchesEarly: Bool

    /// How a search behaves that is not ready.
    public enum Manner: Sendable {
        /// It says how far it is, as an error.
        case refuses
        /// It finds by words what is indexed so far.
        case searchesWhatIsThere
    }

    /// A search that is not ready.
    public init(_ manner: Manner) { searchesEarly = manner == .searchesWhatIsThere }

    /// How far it is; nil when it is ready.
    public var progress: String? {
        making.withLock { making in
            switch making.state {
            case .preparing(let text), .partly(_, let text): text
            case .ready: nil
            }
        }
    }

    /// Takes note of how far it is.
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

    /// It is ready.
    public func set(_ search: any PassageSearch) { making.withLock { $0.state = .ready(search) } }

    /// Searches what is ready.
    /// - Throws: `RetrievalError` where nothing is yet.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        try await current().search(query, limit: limit)
    }

    /// The same for several queries.
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
