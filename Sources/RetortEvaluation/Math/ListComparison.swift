import Foundation

/// Lists, sets, tuples and matrices, part by part.
extension MathComparison {
    mutating func ordered(_ a: [MathNode], _ b: [MathNode]) -> MathOutcome {
        guard a.count == b.count else { return .different("\(b.count) parts instead of \(a.count)") }
        var isUndecided = false
        for (index, pair) in zip(a, b).enumerated() {
            switch compare(pair.0, pair.1) {
            case .equal: continue
            case .undecided: isUndecided = true
            case .different(let reason): return .different("part \(index + 1): \(reason)")
            }
        }
        return isUndecided ? .undecided : .equal("all parts are equal")
    }

    mutating func unordered(_ a: [MathNode], _ b: [MathNode]) -> MathOutcome {
        guard a.count == b.count else { return .different("\(b.count) parts instead of \(a.count)") }
        guard a.count <= 200 else { return ordered(a, b) }
        var left = b
        var isUndecided = false
        for (index, part) in a.enumerated() {
            var doubtful: Int?
            var found: Int?
            for (candidate, other) in left.enumerated() {
                let outcome = compare(part, other)
                if outcome.isEqual {
                    found = candidate
                    break
                }
                if outcome.isUndecided { doubtful = candidate }
            }
            guard let match = found ?? doubtful else { return .different("no part equals part \(index + 1)") }
            if found == nil { isUndecided = true }
            left.remove(at: match)
        }
        return isUndecided ? .undecided : .equal("the same parts")
    }

    mutating func lists(
        _ a: [MathNode], _ f: MathNode.Brackets, _ b: [MathNode], _ g: MathNode.Brackets
    ) -> MathOutcome {
        switch (f, g) {
        case (.pair, .pair):
            // Something with more than two parts is not an interval: [1, 2, 3] is a Python list.
            if f != g, a.count == 2 || b.count == 2 || f.isMixed || g.isMixed {
                return .different("an end is open instead of closed, or the reverse")
            }
            return ordered(a, b)
        case (.pair, .none): return ordered(a, b)
        case (.none, .braces), (.braces, .none), (.braces, .braces):
            return unordered(distinct(stripped(a, ifNot: b)), distinct(stripped(b, ifNot: a)))
        case (.none, .pair), (.none, .none):
            let (x, y) = (stripped(a, ifNot: b), stripped(b, ifNot: a))
            // `x = 5, y = 3` says which is which.
            return areNamedApart(x == a ? (y == b ? [] : b) : a) ? ordered(x, y) : unordered(x, y)
        case (.braces, .pair(openIsRound: false, closeIsRound: false)):
            return unordered(a, b)
        case (.braces, .pair), (.pair, .braces): return .different("a set and an ordered answer")
        }
    }

    /// Whether equations give values to different names.
    private func areNamedApart(_ parts: [MathNode]) -> Bool {
        let names = parts.map { part -> MathNode? in
            if case .relation(let sides, _) = part { sides.first } else { nil }
        }
        return names.count > 1 && Set(names).count == names.count && !names.contains(nil)
    }

    /// Removes duplicates, because a set contains each element once.
    func distinct(_ parts: [MathNode]) -> [MathNode] {
        var seen: Set<MathNode> = []
        return parts.filter { seen.insert($0).inserted }
    }

    /// `x = 1, y = 2` without the names, if the other list has none.
    func stripped(_ parts: [MathNode], ifNot others: [MathNode]) -> [MathNode] {
        func isRelation(_ node: MathNode) -> Bool {
            if case .relation = node { return true }
            return false
        }
        guard parts.contains(where: isRelation), !others.contains(where: isRelation) else { return parts }
        return parts.map { Self.assigned($0) ?? $0 }
    }

    mutating func matrices(_ a: [[MathNode]], _ b: [[MathNode]]) -> MathOutcome {
        guard a.count == b.count, a.first?.count == b.first?.count else {
            // A row of numbers in place of a column.
            if a.first?.count == 1 || a.count == 1, b.first?.count == 1 || b.count == 1 {
                return ordered(a.flatMap { $0 }, b.flatMap { $0 })
            }
            return .different("a matrix of another shape")
        }
        return ordered(a.flatMap { $0 }, b.flatMap { $0 })
    }

    mutating func vector(_ matrix: [[MathNode]], _ list: [MathNode], isFirst: Bool = true) -> MathOutcome {
        guard matrix.count == 1 || matrix.first?.count == 1 else { return .different("a list and a matrix") }
        let cells = matrix.flatMap { $0 }
        return isFirst ? ordered(cells, list) : ordered(list, cells)
    }
}
