/// Maps a list concurrently, a bounded number at a time.
/// - Returns: the results in the list's order.
public func concurrentMap<Element: Sendable, Result: Sendable>(
    _ list: [Element], width: Int, _ body: @escaping @Sendable (Element) async throws -> Result
) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
        var results = [Result?](repeating: nil, count: list.count)
        var next = 0
        func add() {
            guard next < list.count else { return }
            let (index, element) = (next, list[next])
            group.addTask { (index, try await body(element)) }
            next += 1
        }
        for _ in 0..<max(width, 1) { add() }
        while let (index, result) = try await group.next() {
            results[index] = result
            add()
        }
        return results.compactMap { $0 }
    }
}
