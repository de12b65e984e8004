/// Finds the value that ends a text, or that a phrase such as "the answer is" leads to.
struct ProseReader {
    let runs: ProseRuns

    init(_ text: String) { runs = ProseRuns(ProseLexer.pieces(text)) }

    var pieces: [ProsePiece] { runs.pieces }

    /// The pieces of each sentence and line.
    private var sentences: [Range<Int>] {
        var sentences: [Range<Int>] = []
        var start = 0
        for (index, piece) in pieces.enumerated() where piece.kind == .end {
            if index > start { sentences.append(start..<index) }
            start = index + 1
        }
        return sentences
    }

    /// The last value of the last sentence that has one. Questions, and asides that are sentences of their own, count
    /// only in a text without other values.
    func closing() -> ProseRun? {
        var passed: [Range<Int>] = []
        for sentence in sentences.reversed() {
            if isQuestion(sentence) { continue }
            if isAside(sentence) {
                passed.append(sentence)
            } else if let run = closing(of: sentence) {
                return run
            }
        }
        return passed.lazy.compactMap { closing(of: $0) }.first
    }

    /// Whether words of this sentence ask for something.
    private func isQuestion(_ sentence: Range<Int>) -> Bool {
        runs.piece(sentence.upperBound)?.text == "?"
            && sentence.contains { pieces[$0].word.map { ProseWords.isProse($0) } == true }
    }

    /// Whether a sentence stands in brackets: `(Each ticket was $5.)`
    private func isAside(_ sentence: Range<Int>) -> Bool {
        let isClosed = runs.piece(sentence.upperBound + 1)?.isMark(")") == true
        guard
            pieces[sentence.lowerBound].isMark("(")
                || isClosed && !sentence.contains(where: { pieces[$0].isMark("(") }),
            sentence.contains(where: { pieces[$0].word.map { ProseWords.isProse($0) } == true })
        else { return false }
        guard let close = runs.closing(of: sentence.lowerBound) else { return true }
        return close == sentence.upperBound - 1
    }

    /// The value that a sentence states.
    ///
    /// The result of a calculation takes precedence over a number that only adds a circumstance: `3 * 6 = 18 apples in
    /// 3 bags` gives 18. So does a value before `because`. Numbers in words, positions such as `5th`, and asides in
    /// brackets count only where a sentence has nothing else.
    private func closing(of sentence: Range<Int>) -> ProseRun? {
        let stated = stated(in: sentence)
        let strong = withoutScope(withoutDate(stated.filter { !$0.isWeak }))
        guard let last = strong.last else { return stated.last }
        if strong.count == 1, !last.isResult, let word = needed(stated, for: last) { return word }
        // `There are 12, so each gets three.`
        if let word = stated.last, word.isNumeral, !last.isResult, !isCircumstance(word) { return word }
        guard !last.isResult, let result = strong.last(where: \.isResult) else { return last }
        return concludes(from: result.range.upperBound, to: last.range.lowerBound) ? last : result
    }

    /// The values of a sentence without those that it denies, gives as a reason or adds as a circumstance. None in `It is
    /// not 5`.
    private func stated(in sentence: Range<Int>) -> [ProseRun] {
        let all = runs.all(in: sentence)
        let asides = runs.asides(in: sentence)
        let outside = all.filter { run in !asides.contains { $0.contains(run.range.lowerBound) } }
        var stated = (outside.isEmpty ? all : outside).filter { !runs.isDenied($0) && !isSupposed($0) }
        if let cause = cause(in: sentence) {
            let before = stated.filter { $0.range.upperBound <= cause }
            if before.contains(where: { !$0.isWeak }) { stated = before }
        }
        stated = withoutClauses(stated, in: sentence)
        let precise = stated.filter { !isPrecision($0) }
        return precise.isEmpty ? stated : precise
    }

    /// Values without a date at the end: `15 wolves in 2021`, `7 cats on June 10`.
    private func withoutDate(_ values: [ProseRun]) -> [ProseRun] {
        var runs = values
        while runs.count > 1, let last = runs.last, isDay(last) { runs.removeLast() }
        guard runs.count > 1, let last = runs.last, isYear(last), runs.dropLast().allSatisfy({ !isYear($0) }),
            !concludes(from: runs[runs.count - 2].range.upperBound, to: last.range.lowerBound)
        else { return runs }
        return runs.dropLast()
    }

    private func isDay(_ run: ProseRun) -> Bool {
        let beside = [run.range.lowerBound - 1, run.range.upperBound].compactMap { runs.piece($0)?.word }
        return beside.contains { $0 != "may" && ProseWords.months.contains($0) }
    }

    private func isYear(_ run: ProseRun) -> Bool {
        guard run.range.count == 1, run.text.count == 4, let year = Int(run.text), (1500..<2100).contains(year) else {
            return false
        }
        let before = runs.piece(run.range.lowerBound - 1)?.word ?? ""
        return ProseWords.prepositions.contains(before) || ["since", "year"].contains(before)
            || ProseWords.months.contains(before)
    }

    /// Where a sentence turns from a statement to its reason, unless it returns to a statement.
    private func cause(in sentence: Range<Int>) -> Int? {
        guard let cause = sentence.last(where: { ["because", "since"].contains(pieces[$0].word ?? "") }) else {
            return nil
        }
        return (cause..<sentence.upperBound).contains { ProseWords.conclusions.contains(pieces[$0].word ?? "") }
            ? nil : cause
    }

    /// Whether a sentence continues from a result to another value, instead of only adding a circumstance of the
    /// result.
    func concludes(from start: Int, to end: Int) -> Bool {
        guard start < end else { return true }
        return (start..<end).contains { index in
            let piece = pieces[index]
            if piece.kind == .mark { return ",;—–".contains(piece.text) }
            guard let word = piece.word else { return false }
            if word == "and" { return index + 1 < end && pieces[index + 1].kind == .word }
            // `after giving away 6`
            let before = runs.piece(index - 1)?.word
            return ProseWords.conclusions.contains(word) || ["which", "equals", "becomes"].contains(word)
                || ["leaving", "making", "giving"].contains(word)
                    && !["after", "before", "by", "without", "from", "for"].contains(before)
        }
    }

    /// Whether a number in words is only a circumstance: `in two days`, `the two shirts`.
    private func isCircumstance(_ run: ProseRun) -> Bool {
        guard let before = runs.piece(run.range.lowerBound - 1)?.word else { return false }
        return ProseWords.prepositions.contains(before)
            || ["the", "these", "those", "his", "her", "their"].contains(before)
    }

    /// The value at the start, when only words such as "approximately" precede it.
    ///
    /// A value that `and` joins to it belongs to the answer: in `3 apples and 4 pears` neither number is the answer
    /// alone.
    func leading() -> ProseRun? {
        var index = 0
        while let piece = runs.piece(index) {
            if let run = runs.run(at: index), !run.isWeak || isAlone(run) { return joined(run) }
            switch piece.kind {
            case .end where index < pieces.count - 1 && !hasWords(before: index): break
            case .word where ProseWords.fillers.contains(piece.text.lowercased()): break
            case .currency: break
            case .mark
            where [":", "=", "≈", "~", ",", "\"", "'", "—", "–", "*", "_", "→", "⇒", "=>", "->"].contains(piece.text):
                break
            default: return nil
            }
            index += 1
        }
        return nil
    }

    private func hasWords(before index: Int) -> Bool {
        (0..<index).contains { pieces[$0].kind != .end && pieces[$0].kind != .mark }
    }

    /// Whether its sentence has no value in digits, so that a number in words counts as a lead.
    private func isAlone(_ run: ProseRun) -> Bool {
        guard let sentence = sentences.first(where: { $0.contains(run.range.lowerBound) }) else { return false }
        return runs.all(in: sentence).allSatisfy(\.isWeak)
    }

    private func joined(_ first: ProseRun) -> ProseRun {
        guard let sentence = sentences.first(where: { $0.contains(first.range.lowerBound) }) else { return first }
        let all = runs.all(in: first.range.lowerBound..<sentence.upperBound)
        guard var run = all.first, run.range.lowerBound == first.range.lowerBound else { return first }
        for next in all.dropFirst() where !next.isWeak && !next.isResult {
            guard run.range.upperBound <= next.range.lowerBound else { break }
            let between = (run.range.upperBound..<next.range.lowerBound).map { pieces[$0] }
            guard between.count <= 5, between.last?.word == "and",
                between.allSatisfy({ $0.kind == .word || $0.isMark(",") })
            else { break }
            run.text += ", \(next.text)"
            run.alternatives = []
            run.range = run.range.lowerBound..<next.range.upperBound
        }
        return run
    }

    /// Whether a sentence ends before the end of the text.
    var hasSeveralSentences: Bool { sentences.count > 1 }
}
