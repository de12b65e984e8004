/// The most recently used values, up to a maximum number.
struct RecentValues<Key: Hashable, Value> {
    private let limit: Int
    private var values: [Key: (value: Value, use: Int)] = [:]
    /// All uses, oldest first; a use that is not its key's latest is ignored.
    private var uses: [(key: Key, use: Int)] = []
    private var first = 0
    private var next = 0

    /// - Parameter limit: the most values to keep; 0 keeps none.
    init(limit: Int) { self.limit = limit }

    var count: Int { values.count }

    /// The value of a key, which becomes the most recently used.
    mutating func value(of key: Key) -> Value? {
        guard let found = values[key] else { return nil }
        note(found.value, key)
        return found.value
    }

    /// Keeps a value, replacing the least recently used one if necessary.
    mutating func keep(_ value: Value, for key: Key) {
        guard limit > 0 else { return }
        note(value, key)
        while values.count > limit {
            let (oldest, use) = uses[first]
            first += 1
            if values[oldest]?.use == use { values[oldest] = nil }
        }
    }

    private mutating func note(_ value: Value, _ key: Key) {
        next += 1
        values[key] = (value, next)
        uses.append((key, next))
        guard uses.count > 4 * limit + 16 else { return }
        uses = uses[first...].filter { values[$0.key]?.use == $0.use }
        first = 0
    }
}
