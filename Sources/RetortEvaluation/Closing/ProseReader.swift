/// Finds the value that closes a text, or that a phrase such as "the answer is" leads to.
struct ProseReader {
    private let runs: ProseRuns

    init(_ text: String) { runs = ProseRuns(ProseLexer.pieces(text)) }

    private var pieces: [ProsePiece] { runs.pieces }

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

    /// The last value of the last sentence that has one.
    ///
    /// What a sentence calculates counts before a number that only says what for: of `3 * 6 = 18 apples in 3 bags` it is
    /// 18. Numbers in words and places such as `5th` count where a sentence has nothing else, and asides in brackets too.
    func closing() -> ProseRun? {
        for sentence in sentences.reversed() {
            let all = runs.all(in: sentence)
            guard !all.isEmpty else { continue }
            let asides = runs.asides(in: sentence)
            let outside = all.filter { run in !asides.contains { $0.contains(run.range.lowerBound) } }
            let stated = outside.isEmpty ? all : outside
            let strong = stated.filter { !$0.isWeak }
            guard let last = strong.last else { return stated.last }
            // `There are 12, so each gets three.`
            if let word = stated.last, word.isNumeral, !last.isResult, !isCircumstance(word) { return word }
            guard !last.isResult, let result = strong.lastIndex(where: \.isResult) else { return last }
            return strong[(result + 1)...].allSatisfy(isCircumstance) ? strong[result] : last
        }
        return nil
    }

    /// Whether a value only says for what, in what or after what a result holds.
    private func isCircumstance(_ run: ProseRun) -> Bool {
        var index = run.range.lowerBound - 1
        while let piece = runs.piece(index), piece.kind == .currency || ["the", "a", "his", "her", "all"].contains(piece.word) {
            index -= 1
        }
        return runs.piece(index)?.word.map(ProseWords.prepositions.contains) == true
    }

    /// The value at the start, when only words such as "approximately" stand before it.
    ///
    /// A value that `and` joins to it belongs to the answer: of `3 apples and 4 pears` neither number alone is it.
    func leading() -> ProseRun? {
        var index = 0
        while let piece = runs.piece(index) {
            if let run = runs.run(at: index), !run.isWeak || isAlone(run) { return joined(run) }
            switch piece.kind {
            case .end where index < pieces.count - 1 && !hasWords(before: index): break
            case .word where ProseWords.fillers.contains(piece.text.lowercased()): break
            case .currency: break
            case .mark where [":", "=", "≈", "~", "<", ",", "\"", "'", "—", "–", "*", "_", "→", "⇒", ">"].contains(piece.text):
                break
            default: return nil
            }
            index += 1
        }
        return nil
    }

    private func hasWords(before index: Int) -> Bool { (0..<index).contains { pieces[$0].kind != .end && pieces[$0].kind != .mark } }

    /// A number in words counts as a lead where its sentence has no other value.
    private func isAlone(_ run: ProseRun) -> Bool {
        guard let sentence = sentences.first(where: { $0.contains(run.range.lowerBound) }) else { return false }
        return runs.all(in: sentence).allSatisfy(\.isWeak)
    }

    private func joined(_ first: ProseRun) -> ProseRun {
        guard let sentence = sentences.first(where: { $0.contains(first.range.lowerBound) }) else { return first }
        let all = runs.all(in: first.range.lowerBound..<sentence.upperBound)
        guard var run = all.first, run.range.lowerBound == first.range.lowerBound else { return first }
        for next in all.dropFirst() where !next.isWeak && !next.isResult {
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

    /// Whether a sentence ends before the text does.
    var hasSeveralSentences: Bool { sentences.count > 1 }
}
