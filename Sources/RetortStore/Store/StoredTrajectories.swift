import GRDB

/// The trajectories of a set, read from the store a page at a time.
public struct StoredTrajectories: AsyncSequence, Sendable {
    let store: TrajectoryStore
    let set: String
    let order: TrajectoryStore.Order

    /// Starts reading at the beginning of the set.
    public func makeAsyncIterator() -> Iterator { Iterator(source: self) }

    /// Reads the next page when the last one is used up.
    public struct Iterator: AsyncIteratorProtocol {
        private static let pageSize = 64
        private let source: StoredTrajectories
        private var page: ArraySlice<TrajectoryRow> = []
        /// Where the last page ended; nil before the first.
        private var last: TrajectoryRow?
        private var isAtEnd = false

        init(source: StoredTrajectories) { self.source = source }

        /// The next trajectory, or nil after the last.
        /// - Throws: `StoreError`.
        public mutating func next() async throws -> StoredTrajectory? {
            if page.isEmpty, !isAtEnd {
                page = try await nextPage()[...]
                isAtEnd = page.count < Self.pageSize
                last = page.last
            }
            return try page.popFirst()?.stored(path: source.store.path)
        }

        private func nextPage() async throws -> [TrajectoryRow] {
            let column =
                switch source.order {
                case .byID: "t.id"
                case .asSaved: "t.sequence"
                }
            var arguments: StatementArguments = [source.set]
            if let last {
                switch source.order {
                case .byID: arguments += [last.id]
                case .asSaved: arguments += [last.sequence]
                }
            }
            let after = last == nil ? "" : "AND \(column) > ?"
            let parameters = arguments
            return try await source.store.using { database in
                try await database.read { database in
                    try TrajectoryRow.fetchAll(
                        database,
                        sql: """
                            \(TrajectoryRow.selection) WHERE t."set" = ? \(after) ORDER BY \(column) LIMIT \(Self.pageSize)
                            """, arguments: parameters)
                }
            }
        }
    }
}
