/// How much may be looked at for one schema. Schemas come from strangers; and it is counted, not timed, so that what an idle
/// machine accepts a busy one accepts, too.
struct WorkBudget {
    private var left: Int

    /// About a second or two of a processor's time.
    static let document = WorkBudget(1 << 23)

    init(_ most: Int) { left = most }

    /// Whether nothing is left.
    var isSpent: Bool { left <= 0 }

    mutating func spend(_ amount: Int) { left = max(0, left - amount) }
}
