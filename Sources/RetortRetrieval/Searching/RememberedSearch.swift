/// A search that remembers what it found last, and looks once for what several ask at the same time.
public struct RememberedSearch: PassageSearch {
    private struct Question: Hashable, Sendable {
        let query: String
        let limit: Int
    }

    private let joined: JoinedQuestions<Question, [RetrievedPassage]>

    /// What such a search has done so far.
    public struct Account: Sendable, Hashable {
        /// Queries that were answered from memory, and by searching.
        public var remembered, searched: Int
        /// How often was searched, and for how many queries together at most.
        public var passes, largest: Int
        /// Lists in memory, and queries that wait.
        public var kept, waiting: Int
    }

    /// - Parameters:
    ///   - remembered: the most lists that are kept.
    ///   - mostAtOnce: the most queries that are searched for together.
    ///   - passes: how often may be searched at the same time.
    ///   - isLasting: whether what is found from now on may be remembered.
    public init(
        _ search: any PassageSearch, remembered: Int = 4096, mostAtOnce: Int = 256, passes: Int = 16,
        isLasting: @escaping @Sendable () -> Bool = { true }
    ) {
        joined = JoinedQuestions(
            remembered: remembered, mostAtOnce: mostAtOnce, passes: passes, isLasting: isLasting
        ) { questions in
            var lists: [Question: [RetrievedPassage]] = [:]
            for (limit, group) in Dictionary(grouping: questions, by: \.limit).sorted(by: { $0.key < $1.key }) {
                let found = try await search.search(all: group.map(\.query), limit: limit)
                for (question, list) in zip(group, found) { lists[question] = list }
            }
            return questions.compactMap { lists[$0] }
        }
    }

    /// The best passages, best first.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        try await joined.answer(Question(query: query, limit: limit))
    }

    /// The best passages for each of several queries.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        try await joined.answers(queries.map { Question(query: $0, limit: limit) })
    }

    /// What it has done so far.
    public var account: Account {
        get async {
            let now = await joined.current
            return Account(
                remembered: now.remembered, searched: now.worked, passes: now.passes, largest: now.largest,
                kept: now.kept, waiting: now.waiting)
        }
    }
}
