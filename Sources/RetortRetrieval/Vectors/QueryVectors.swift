/// The vectors of queries: queries that arrive together are encoded together, and the latest vectors are remembered.
struct QueryVectors: Sendable {
    private let joined: JoinedQuestions<String, [Float]>
    private static let mostKnown = 4096
    private static let mostAtOnce = 64

    init(_ encoder: any PassageEncoder) {
        joined = JoinedQuestions(remembered: Self.mostKnown, mostAtOnce: Self.mostAtOnce, passes: 1) { queries in
            let width = encoder.dimensions
            let vectors = try await encoder.embedQueries(queries)
            guard vectors.count == queries.count * width, vectors.allSatisfy(\.isFinite) else {
                throw RetrievalError.width(
                    expected: queries.count * width, found: vectors.count { $0.isFinite })
            }
            return queries.indices.map { Array(vectors[$0 * width..<($0 + 1) * width]) }
        }
    }

    func vector(_ query: String) async throws -> [Float] { try await joined.answer(query) }

    /// The vectors of the queries, concatenated.
    func vectors(_ queries: [String]) async throws -> [Float] { try await joined.answers(queries).flatMap(\.self) }
}
