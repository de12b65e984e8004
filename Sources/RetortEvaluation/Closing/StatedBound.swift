/// A bound where an answer is expected: `at least 18`, `no more than 18`, `just over 18`. It is an inequality, not 18.
extension ProseReader {
    /// The inequality that a text begins with, when little more than its noun follows; nil for any other text.
    func bound() -> ProseRun? {
        var index = 0
        while let piece = runs.piece(index) {
            if let (sign, length) = Self.bound(at: index, in: runs), var run = runs.run(at: index + length) {
                guard isComplete(run) else { return nil }
                // `no less than` contains `less than`, which has given its sign to the number.
                if let inner = run.text.firstIndex(where: { $0 == "(" }), "<>".contains(run.text.first ?? " ") {
                    run.text = String(run.text[inner...])
                }
                return ProseRun(range: index..<run.range.upperBound, text: "\(sign) \(run.text)")
            }
            let isLead =
                piece.word.map { ProseWords.fillers.contains($0) || Self.degrees.contains($0) } ?? (piece.kind == .mark)
            guard isLead else { return nil }
            index += 1
        }
        return nil
    }

    /// Whether at most three words stand between a value and the end of its clause: `at least 18 red marbles`, but not
    /// `Over 5 days he earns 20 dollars`.
    private func isComplete(_ run: ProseRun) -> Bool {
        for offset in 0..<4 {
            guard let piece = runs.piece(run.range.upperBound + offset), piece.kind != .end else { return true }
            if piece.isMark(",") || piece.isMark(";") || ["because", "since"].contains(piece.word) {
                return isLast(run) || piece.kind == .word
            }
            guard piece.kind == .word || piece.isMark("%") else { return false }
        }
        return false
    }

    /// Whether no other value follows in its sentence, as it does in `Over 5 days, he earns 20 dollars`.
    private func isLast(_ run: ProseRun) -> Bool {
        let start = run.range.upperBound
        let end = (start..<runs.pieces.count).first { runs.pieces[$0].kind == .end } ?? runs.pieces.count
        return runs.all(in: start..<end).isEmpty
    }

    private static func bound(at index: Int, in runs: ProseRuns) -> (sign: String, length: Int)? {
        for (words, sign) in bounds
        where words.enumerated().allSatisfy({ runs.piece(index + $0)?.word == $1 }) {
            return (sign, words.count)
        }
        return nil
    }

    /// The words of each sign, longer ones first.
    private static let bounds: [([String], String)] = {
        let words = [
            ("\\ge", ["no less than", "no fewer than", "not less than", "not fewer than", "at least", "not under"]),
            ("\\le", ["no more than", "not more than", "no greater than", "at most", "up to", "not over"]),
            (
                ">",
                [
                    "more than", "greater than", "larger than", "higher than", "in excess of", "exceeds", "exceeding",
                    "over", "above",
                ]
            ),
            ("<", ["less than", "fewer than", "smaller than", "lower than", "under", "below", "nearly", "almost"]),
        ]
        let all = words.flatMap { sign, phrases in
            phrases.map { ($0.split(separator: " ").map(String.init), sign) }
        }
        return all.sorted { $0.0.count > $1.0.count }
    }()

    private static let degrees: Set<String> = [
        "just", "slightly", "little", "bit", "well", "somewhat", "far", "much", "strictly", "something", "somewhere",
    ]
}
