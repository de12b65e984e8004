/// The vectors of queries: those that are asked for at once go through the encoder together, and the last ones are remembered.
actor QueryVectors {
    private let encoder: any PassageEncoder
    private var known: [String: [Float]] = [:]
    /// Oldest first.
    private var order: [String] = []
    private var waiting: [(query: String, continuation: CheckedContinuation<[Float], any Error>)] = []
    private var isWorking = false
    private static let mostKnown = 4096
    private static let mostAtOnce = 64

    init(_ encoder: any PassageEncoder) { self.encoder = encoder }

    func vector(_ query: String) async throws -> [Float] {
        if let vector = known[query] { return vector }
        return try await withCheckedThrowingContinuation { continuation in
            waiting.append((query, continuation))
            guard !isWorking else { return }
            isWorking = true
            Task { await work() }
        }
    }

    private func work() async {
        while !waiting.isEmpty {
            let batch = Array(waiting.prefix(Self.mostAtOnce))
            waiting.removeFirst(batch.count)
            let queries = Array(Set(batch.map(\.query)))
            do {
                let width = encoder.dimensions
                let vectors = try await encoder.embedQueries(queries)
                guard vectors.count == queries.count * width else {
                    throw RetrievalError.width(expected: queries.count * width, found: vectors.count)
                }
                var found: [String: [Float]] = [:]
                for (row, query) in queries.enumerated() {
                    found[query] = Array(vectors[row * width..<(row + 1) * width])
                    remember(query, found[query] ?? [])
                }
                for (query, continuation) in batch { continuation.resume(returning: found[query] ?? []) }
            } catch {
                for (_, continuation) in batch { continuation.resume(throwing: error) }
            }
        }
        isWorking = false
    }

    private func remember(_ query: String, _ vector: [Float]) {
        if known.updateValue(vector, forKey: query) == nil { order.append(query) }
        if order.count > Self.mostKnown { known[order.removeFirst()] = nil }
    }
}
