/// A deterministic automaton over Unicode scalars. From each of its states some text is accepted: others are not kept.
final class PatternAutomaton: Sendable {
    /// Where the classes of scalars begin: class `i` holds `bounds[i]` to before `bounds[i + 1]`.
    let bounds: [UInt32]
    let isAccepting: [Bool]
    /// By state and class; -1 is nowhere.
    private let next: [Int32]
    /// How much was looked at to make it.
    let cost: Int

    static let mostStates = 4096
    /// The most that is looked at to make one.
    private static let mostWork = 1 << 21
    /// The most entries of a table, whether of states or of what they are made from.
    private static let mostEntries = 1 << 22

    /// Whether no text is accepted; there are no states then.
    var isEmpty: Bool { isAccepting.isEmpty }

    private init(bounds: [UInt32], isAccepting: [Bool], next: [Int32], cost: Int) {
        var isLive = isAccepting
        let (states, width) = (isAccepting.count, bounds.count)
        var before = [[Int]](repeating: [], count: states)
        for state in 0..<states {
            for target in Set(next[state * width..<(state + 1) * width]) where target >= 0 {
                before[Int(target)].append(state)
            }
        }
        var work = isAccepting.indices.filter { isAccepting[$0] }
        while let state = work.popLast() {
            for source in before[state] where !isLive[source] {
                isLive[source] = true
                work.append(source)
            }
        }
        self.bounds = bounds
        // State 0 begins; without it there is nothing.
        self.isAccepting = isLive.first == true ? isAccepting : []
        self.next = next.map { $0 >= 0 && isLive[Int($0)] ? $0 : -1 }
        self.cost = cost
    }

    /// The state behind a scalar; nil when no text goes on so.
    func state(after state: Int, _ scalar: UInt32) -> Int? {
        var (low, high) = (0, bounds.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if bounds[middle] <= scalar { low = middle } else { high = middle }
        }
        let target = next[state * bounds.count + low]
        return target >= 0 ? Int(target) : nil
    }

    /// The states behind the scalars of a range.
    func states(after state: Int, _ range: ClosedRange<UInt32>) -> Set<Int> {
        var found: Set<Int> = []
        for (index, start) in bounds.enumerated() {
            let end = index + 1 < bounds.count ? bounds[index + 1] - 1 : 0x10FFFF
            guard start <= range.upperBound, end >= range.lowerBound else { continue }
            let target = next[state * bounds.count + index]
            if target >= 0 { found.insert(Int(target)) }
        }
        return found
    }

    func accepts(_ text: String) -> Bool {
        guard !isEmpty else { return false }
        var state = 0
        for scalar in text.unicodeScalars {
            guard let next = self.state(after: state, scalar.value) else { return false }
            state = next
        }
        return isAccepting[state]
    }

    /// For each number of scalars up to `limit`, which states accept some text of just so many.
    /// - Throws: `RegularExpression.Failure` when the table would be too large.
    func completions(upTo limit: Int) throws(RegularExpression.Failure) -> [[Bool]] {
        guard limit < Self.mostEntries / max(isAccepting.count, 1) else {
            throw RegularExpression.Failure(reason: "it is too large for texts of \(limit) characters")
        }
        let width = bounds.count
        let targets = isAccepting.indices.map { state in
            Set(next[state * width..<(state + 1) * width].filter { $0 >= 0 }.map(Int.init))
        }
        var table = [isAccepting]
        for _ in 0..<max(limit, 0) {
            let last = table[table.count - 1]
            table.append(targets.map { $0.contains { last[$0] } })
        }
        return table
    }

    // MARK: Making

    /// Accepts texts in which an expression is found somewhere.
    convenience init(finding expression: RegularExpression) throws(RegularExpression.Failure) {
        var machine = Nondeterministic()
        try machine.add(finding: expression)
        let bounds = Self.bounds(of: machine.sets)
        var numbers: [Set<Int>: Int] = [:]
        var order: [Set<Int>] = []
        var next: [Int32] = []
        func number(_ states: Set<Int>) -> Int32 {
            if states.isEmpty { return -1 }
            if let known = numbers[states] { return Int32(known) }
            numbers[states] = order.count
            order.append(states)
            return Int32(order.count - 1)
        }
        _ = number(machine.closure([machine.first], atStart: true))
        var accepting: [Bool] = []
        var work = 0
        while accepting.count < order.count {
            let states = order[accepting.count]
            work += states.count * bounds.count
            guard work <= Self.mostWork else {
                throw RegularExpression.Failure(reason: "it takes too long to be prepared")
            }
            let isFirst = accepting.isEmpty
            accepting.append(machine.accepts(states, atStart: isFirst))
            for bound in bounds {
                let reached = machine.step(states, bound)
                next.append(number(machine.closure(reached, atStart: false)))
            }
            guard order.count <= Self.mostStates, next.count <= Self.mostEntries else {
                throw RegularExpression.Failure(reason: "it has more than \(Self.mostStates) states")
            }
        }
        self.init(bounds: bounds, isAccepting: accepting, next: next, cost: work)
    }

    /// Accepts what both accept.
    convenience init(
        _ left: PatternAutomaton, and right: PatternAutomaton
    ) throws(RegularExpression.Failure) {
        guard !left.isEmpty, !right.isEmpty else {
            self.init(bounds: [0], isAccepting: [], next: [], cost: 0)
            return
        }
        let bounds = Set(left.bounds + right.bounds).sorted()
        struct Pair: Hashable { let left: Int, right: Int }
        var numbers = [Pair(left: 0, right: 0): 0]
        var order = [Pair(left: 0, right: 0)]
        var accepting: [Bool] = []
        var next: [Int32] = []
        while accepting.count < order.count {
            let pair = order[accepting.count]
            accepting.append(left.isAccepting[pair.left] && right.isAccepting[pair.right])
            for bound in bounds {
                guard let first = left.state(after: pair.left, bound),
                    let second = right.state(after: pair.right, bound)
                else {
                    next.append(-1)
                    continue
                }
                let target = Pair(left: first, right: second)
                if numbers[target] == nil {
                    numbers[target] = order.count
                    order.append(target)
                }
                next.append(Int32(numbers[target] ?? 0))
            }
            guard order.count <= Self.mostStates, next.count <= Self.mostEntries else {
                throw RegularExpression.Failure(reason: "patterns together have more than \(Self.mostStates) states")
            }
        }
        self.init(bounds: bounds, isAccepting: accepting, next: next, cost: next.count)
    }

    /// Accepts texts of scalars of a set.
    init(of set: ScalarSet) {
        let bounds = Self.bounds(of: [set])
        self.bounds = bounds
        isAccepting = [true]
        next = bounds.map { set.contains($0) ? 0 : -1 }
        cost = bounds.count
    }

    private static func bounds(of sets: [ScalarSet]) -> [UInt32] {
        var bounds: Set<UInt32> = [0, 0xD800, 0xE000]
        for range in sets.flatMap(\.ranges) {
            bounds.insert(range.lowerBound)
            if range.upperBound < 0x10FFFF { bounds.insert(range.upperBound + 1) }
        }
        return bounds.sorted()
    }
}

/// An expression as an automaton that may be in several states at once.
private struct Nondeterministic {
    private enum Edge {
        case free(Int)
        /// Open before the first scalar only.
        case start(Int)
        /// Open behind the last scalar only.
        case end(Int)
        case reading(ScalarSet, Int)
    }

    private var edges: [[Edge]] = [[]]
    let first = 0
    private var last = 0
    private(set) var sets: [ScalarSet] = []

    private static let mostStates = 1 << 14

    /// The automaton that finds the expression somewhere in a text.
    mutating func add(finding expression: RegularExpression) throws(RegularExpression.Failure) {
        edges[first].append(.reading(.all, first))
        last = try add(expression, from: first)
        edges[last].append(.reading(.all, last))
        sets.append(.all)
    }

    private mutating func state() throws(RegularExpression.Failure) -> Int {
        guard edges.count < Self.mostStates else {
            throw RegularExpression.Failure(reason: "it is too large; repeat less")
        }
        edges.append([])
        return edges.count - 1
    }

    /// - Returns: the state behind the expression.
    private mutating func add(
        _ expression: RegularExpression, from source: Int
    ) throws(RegularExpression.Failure) -> Int {
        switch expression {
        case .empty: return source
        case .start, .end, .set:
            let target = try state()
            switch expression {
            case .start: edges[source].append(.start(target))
            case .end: edges[source].append(.end(target))
            case .set(let set):
                sets.append(set)
                edges[source].append(.reading(set, target))
            default: break
            }
            return target
        case .sequence(let parts):
            var place = source
            for part in parts { place = try add(part, from: place) }
            return place
        case .choice(let choices):
            let target = try state()
            for choice in choices {
                // A state of its own: a loop in one choice must not be entered from another.
                let begin = try state()
                edges[source].append(.free(begin))
                let end = try add(choice, from: begin)
                edges[end].append(.free(target))
            }
            return target
        case .repeated(let inner, let least, let most):
            var place = source
            for _ in 0..<least { place = try add(inner, from: place) }
            guard let most else {
                let loop = try state()
                edges[place].append(.free(loop))
                let end = try add(inner, from: loop)
                edges[end].append(.free(loop))
                let target = try state()
                edges[loop].append(.free(target))
                return target
            }
            let target = try state()
            edges[place].append(.free(target))
            for _ in least..<most {
                place = try add(inner, from: place)
                edges[place].append(.free(target))
            }
            return target
        }
    }

    /// All states that are reached without reading.
    func closure(_ states: Set<Int>, atStart: Bool, atEnd: Bool = false) -> Set<Int> {
        var found = states
        var work = Array(states)
        while let state = work.popLast() {
            for edge in edges[state] {
                let target: Int
                switch edge {
                case .free(let next): target = next
                case .start(let next) where atStart: target = next
                case .end(let next) where atEnd: target = next
                default: continue
                }
                if found.insert(target).inserted { work.append(target) }
            }
        }
        return found
    }

    func accepts(_ states: Set<Int>, atStart: Bool) -> Bool {
        closure(states, atStart: atStart, atEnd: true).contains(last)
    }

    func step(_ states: Set<Int>, _ scalar: UInt32) -> Set<Int> {
        var reached: Set<Int> = []
        for state in states {
            for case .reading(let set, let target) in edges[state] where set.contains(scalar) { reached.insert(target) }
        }
        return reached
    }
}
