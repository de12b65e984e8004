import RetortLLM

/// A row of an update, or some of the samples in it.
struct RowPart: Codable, Sendable, Equatable {
    var row: PackedRow
    /// Which row of the update it belongs to; only those count from which anything is learned.
    var number: Int
    /// How many tokens of that row stand before it.
    var skipped = 0

    /// Whole rows.
    static func whole(_ rows: [PackedRow]) -> [RowPart] {
        rows.filter(\.isLearned).enumerated().map { RowPart(row: $1, number: $0) }
    }

    /// Divides rows among processes, so that each has about as many tokens.
    ///
    /// Rows stay whole where that divides them well. Otherwise they are cut between samples that share nothing: their losses and gradients
    /// are sums, so the parts' add up to the row's.
    /// - Parameter cuts: whether rows may be cut at all.
    /// - Returns: for each process its parts, in order; none for some where there are too few.
    static func shares(of rows: [PackedRow], among count: Int, cuts: Bool) -> [[RowPart]] {
        let whole = whole(rows)
        let shares = divided(whole, among: count)
        guard cuts, !isEven(shares) else { return shares }
        let cut = divided(whole.flatMap(\.trees), among: count)
        return cut.map { parts in joined(parts, of: whole) }
    }

    /// Neighbours stay together: each goes where its middle falls.
    private static func divided(_ parts: [RowPart], among count: Int) -> [[RowPart]] {
        let all = parts.reduce(0) { $0 + $1.row.tokens.count }
        var shares = [[RowPart]](repeating: [], count: count)
        var before = 0
        for part in parts {
            // Doubled, so that halves of tokens are whole.
            shares[min((2 * before + part.row.tokens.count) * count / max(2 * all, 1), count - 1)].append(part)
            before += part.row.tokens.count
        }
        return shares
    }

    /// Whether the largest share is little larger than the mean, by which the others wait.
    private static func isEven(_ shares: [[RowPart]]) -> Bool {
        let tokens = shares.map { $0.reduce(0) { $0 + $1.row.tokens.count } }
        return 20 * (tokens.max() ?? 0) * shares.count <= 23 * tokens.reduce(0, +)
    }

    /// Runs of trees of one row, as one part each.
    private static func joined(_ parts: [RowPart], of rows: [RowPart]) -> [RowPart] {
        var joined: [RowPart] = []
        var index = 0
        while index < parts.count {
            let first = parts[index]
            var end = first.skipped + first.row.tokens.count
            index += 1
            while index < parts.count, parts[index].number == first.number {
                end += parts[index].row.tokens.count
                index += 1
            }
            joined.append(
                RowPart(
                    row: rows[first.number].row.part(first.skipped..<end), number: first.number,
                    skipped: first.skipped))
        }
        return joined.filter(\.row.isLearned)
    }

    /// Its trees of samples, one by one; itself where it cannot be cut.
    private var trees: [RowPart] {
        guard row.isSumOfTrees else { return [self] }
        var starts: [Int] = []
        var start = 0
        for segment in row.segments {
            if segment.parent == nil { starts.append(start) }
            start += segment.length
        }
        return zip(starts, starts.dropFirst() + [start]).map {
            RowPart(row: row.part($0..<$1), number: number, skipped: $0)
        }
    }
}

extension PackedRow {
    /// Whether its losses are sums over samples that share nothing. Preferences are held against each other, and against a row's baseline.
    fileprivate var isSumOfTrees: Bool { !streams.samples.contains { $0.loss.kind == .preference } }

    /// The trees within some of its tokens.
    fileprivate func part(_ range: Range<Int>) -> PackedRow {
        guard range != 0..<tokens.count else { return self }
        var part = PackedRow()
        part.tokens = Array(tokens[range])
        part.sampleTokens = range.count
        var (start, first) = (0, 0)
        for (index, segment) in segments.enumerated() {
            if start == range.lowerBound { first = index }
            if range.contains(start) {
                part.segments.append(RowSegment(length: segment.length, parent: segment.parent.map { $0 - first }))
            }
            start += segment.length
        }
        for (place, target) in zip(predicting, targets) where range.contains(place) {
            part.predicting.append(place - range.lowerBound)
            part.targets.append(target)
        }
        part.streams = streams.part(range)
        return part
    }
}

extension StreamTargets {
    /// The targets that places of a row predict, which begin there.
    fileprivate func part(_ range: Range<Int>) -> StreamTargets {
        let inside = targets.filter { range.contains($0.predicting) }
        let numbers = Set(inside.map(\.sample)).sorted()
        let places = Dictionary(numbers.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        return StreamTargets(
            samples: numbers.map { samples[$0] },
            targets: inside.map { target in
                var target = target
                target.predicting -= range.lowerBound
                target.sample = places[target.sample] ?? 0
                return target
            })
    }
}
