/// Maps a list concurrently, a bounded number at a time.
/// - Parameter finished: is told, after each element, how many are done.
/// - Returns: the results in the list's order.
public func concurrentMap<Element: Sendable, Result: Sendable>(
    _ list: [Element], width: Int, _ body: @escaping @Sendable (Element) async throws -> Result,
    finished: (Int) -> Void = { _ in }
) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
        var results = [Result?](repeating: nil, count: list.count)
        var (next, done) = (0, 0)
        func add() {
            guard next < list.count else { return }
            let (index, element) = (next, list[next])
            group.addTask { (index, try await body(element)) }
            next += 1
        }
        for _ in 0..<max(width, 1) { add() }
        while let (index, result) = try await group.next() {
            results[index] = result
            done += 1
            finished(done)
            add()
        }
        return results.compactMap { $0 }
    }
}
