/// Clauses that add a circumstance to the value that a sentence states: `40 when the width is 10`, `7, while Tom has 4`.
extension ProseReader {
    /// Values outside the clauses that begin behind another value. A clause ends with its sentence, at the next comma,
    /// verb behind `and` or conclusion; a result in it counts, unless it sets a variable.
    func withoutClauses(_ values: [ProseRun], in sentence: Range<Int>) -> [ProseRun] {
        var kept = values
        for place in sentence where opensClause(place) {
            guard kept.contains(where: { !$0.isWeak && $0.range.upperBound <= place }) else { continue }
            let clause = place..<endOfClause(place, in: sentence)
            kept.removeAll {
                clause.contains($0.range.lowerBound) && (!$0.isResult || ProseRunReader.isSolution($0.text))
            }
        }
        return kept
    }

    /// Whether a value is only supposed: `if the answer is 18`.
    func isSupposed(_ run: ProseRun) -> Bool {
        var index = run.range.lowerBound - 1
        for words: Set<String> in [
            ["is", "was", "were", "be", "equals"], ["answer", "result"],
            ["the", "my", "your", "our", "final", "correct"],
        ] {
            let start = index
            while let word = runs.piece(index)?.word, words.contains(word) { index -= 1 }
            guard index < start else { return false }
        }
        return runs.piece(index)?.word.map(ProseWords.suppositions.contains) == true
    }

    private func opensClause(_ place: Int) -> Bool {
        guard let word = pieces[place].word else { return false }
        let (before, next) = (runs.piece(place - 1), runs.piece(place + 1)?.word)
        switch word {
        case "when", "whenever", "if", "where", "whereas", "although", "though", "unless", "assuming", "provided":
            return true
        case "who", "whose": return before?.isMark(",") == true
        case "once": return next.map { ["a", "every", "per", "in", "more", "again"].contains($0) } == false
        case "while": return before?.word != "a"
        case "given": return before?.word.map(Self.beforeParticiple.contains) != true
        case "as": return before?.isMark(",") == true && next != "well"
        default: return false
        }
    }

    /// `was given 5` and `he had given 5` are verbs.
    private static let beforeParticiple: Set<String> = [
        "is", "are", "was", "were", "be", "been", "being", "has", "have", "had", "he", "she", "they", "and", "who",
    ]

    private func endOfClause(_ place: Int, in sentence: Range<Int>) -> Int {
        (place + 1..<sentence.upperBound).first { index in
            let piece = pieces[index]
            // `when she started and has 35 now`
            if piece.word == "and", let next = runs.piece(index + 1)?.word, Self.verbs.contains(next) || next == "now" {
                return true
            }
            return piece.kind == .mark && ",;—–:".contains(piece.text)
                || piece.word.map { ProseWords.conclusions.contains($0) || $0 == "which" } == true
        } ?? sentence.upperBound
    }

    /// `at x = 10`: the value of a variable for which another one holds.
    func isCondition(_ run: ProseRun) -> Bool {
        guard let before = runs.piece(run.range.lowerBound - 1)?.word else { return false }
        return ["at", "when", "where", "for", "if", "with", "by", "given", "and"].contains(before)
            && ProseRunReader.isSolution(run.text) && (before != "and" || hasCondition(before: run))
    }

    /// Whether another condition stands before `and x = 10`.
    private func hasCondition(before run: ProseRun) -> Bool {
        let words = (max(run.range.lowerBound - 8, 0)..<run.range.lowerBound).compactMap { pieces[$0].word }
        return words.contains { ["at", "when", "where", "for", "if", "with"].contains($0) }
    }

    /// `1 decimal place`, `3 significant figures`: the precision of a value.
    func isPrecision(_ run: ProseRun) -> Bool {
        guard let next = runs.piece(run.range.upperBound)?.word else { return false }
        return ["decimal", "decimals", "significant", "sig"].contains(next)
            || ["place", "places", "digits"].contains(next) && runs.piece(run.range.lowerBound - 1)?.word == "to"
    }
}
