/// A search that remembers its latest results, and searches only once for a query that several callers ask at the
/// same time.
public struct RememberedSearch: PassageSearch {
    private struct Question: Hashable, Sendable {
        let query: String
        let limit: Int
    }

    private let joined: JoinedQuestions<Question, [RetrievedPassage]>

    /// What such a search has done so far.
    public struct Account: Sendable, Hashable {
        /// The number of queries answered from memory, and by searching.
        public var remembered, searched: Int
        /// The number of searches, and the most queries that one of them had.
        public var passes, largest: Int
        /// Result lists in memory now, and queries waiting now.
        public var kept, waiting: Int
    }

    /// - Parameters:
    ///   - remembered: the most result lists to keep.
    ///   - mostAtOnce: the most queries that are searched together.
    ///   - passes: the most searches at the same time.
    ///   - isLasting: whether results found from now on may be remembered.
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

    /// The results for a query, from memory if the same query and limit were searched recently.
    public func search(_ query: String, limit: Int) async throws -> [RetrievedPassage] {
        try await joined.answer(Question(query: query, limit: limit))
    }

    /// The same for several queries.
    public func search(all queries: [String], limit: Int) async throws -> [[RetrievedPassage]] {
        try await joined.answers(queries.map { Question(query: $0, limit: limit) })
    }

    /// What the search has done so far.
    public var account: Account {
        get async {
            let now = await joined.current
            return Account(
                remembered: now.remembered, searched: now.worked, passes: now.passes, largest: now.largest,
                kept: now.kept, waiting: now.waiting)
        }
    }
}
