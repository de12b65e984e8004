/// The values that were used last, up to a number of them.
struct RecentValues<Key: Hashable, Value> {
    private let limit: Int
    private var values: [Key: (value: Value, use: Int)] = [:]
    /// Every use, oldest first; a use that is no longer a key's last one means nothing.
    private var uses: [(key: Key, use: Int)] = []
    private var first = 0
    private var next = 0

    /// - Parameter limit: the most values; 0 keeps none.
    init(limit: Int) { self.limit = limit }

    var count: Int { values.count }

    /// The value of a key, which thereby becomes the newest.
    mutating func value(of key: Key) -> Value? {
        guard let found = values[key] else { return nil }
        note(found.value, key)
        return found.value
    }

    /// Keeps a value in place of the one that was not used for longest.
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
