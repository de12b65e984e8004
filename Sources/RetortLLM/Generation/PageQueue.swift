/// A queue of pages, each at most once; any of them can be removed in constant time.
struct PageQueue {
    private static let none: Int32 = -1
    /// By page, the previous and the next one. A page that is not in the queue points to itself.
    private var before: [Int32]
    private var behind: [Int32]
    private(set) var first: Int32?
    private var last: Int32?
    private(set) var count = 0

    /// - Parameter pages: the number of all pages.
    init(pages: Int) {
        before = Array(0..<Int32(pages))
        behind = before
    }

    func contains(_ page: Int32) -> Bool { before[Int(page)] != page }

    /// The page after this one; nil after the last.
    func next(_ page: Int32) -> Int32? {
        let next = behind[Int(page)]
        return next == Self.none ? nil : next
    }

    /// Adds a page that is not in the queue.
    mutating func append(_ page: Int32) {
        before[Int(page)] = last ?? Self.none
        behind[Int(page)] = Self.none
        if let last { behind[Int(last)] = page } else { first = page }
        last = page
        count += 1
    }

    /// Removes a page, if it is in the queue.
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
