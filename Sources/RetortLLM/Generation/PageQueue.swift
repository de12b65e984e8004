/// Pages in the order they came, each at most once; any of them can leave in constant time.
struct PageQueue {
    private static let none: Int32 = -1
    /// By page: the one before it and the one behind it. A page that is not here points to itself.
    private var before: [Int32]
    private var behind: [Int32]
    private(set) var first: Int32?
    private var last: Int32?
    private(set) var count = 0

    /// - Parameter pages: how many there are in all.
    init(pages: Int) {
        before = Array(0..<Int32(pages))
        behind = before
    }

    func contains(_ page: Int32) -> Bool { before[Int(page)] != page }

    /// The one that came next; nil behind the last.
    func next(_ page: Int32) -> Int32? {
        let next = behind[Int(page)]
        return next == Self.none ? nil : next
    }

    /// Takes a page that is not here.
    mutating func append(_ page: Int32) {
        before[Int(page)] = last ?? Self.none
        behind[Int(page)] = Self.none
        if let last { behind[Int(last)] = page } else { first = page }
        last = page
        count += 1
    }

    /// Lets a page go, if it is here.
    mutating func remove(_ page: Int32) {
        guard contains(page) else { return }
        let (previous, next) = (before[Int(page)], behind[Int(page)])
        if previous == Self.none { first = self.next(page) } else { behind[Int(previous)] = next }
        if next == Self.none { last = previous == Self.none ? nil : previous } else { before[Int(next)] = previous }
        before[Int(page)] = page
        behind[Int(page)] = page
        count -= 1
    }
}
