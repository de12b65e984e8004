/// Values that a sentence mentions beside the one that it states: the whole it is part of, its duration or its scope,
/// and values that it denies.
extension ProseReader {
    /// Values without those at the end that only add a whole, a scope or a duration to the previous one: `$5 left of
    /// the $20`, `135 meters in 5 minutes`, `$45 for 3 shirts`, `$64, of which $8 were the tip`.
    ///
    /// Where a sentence says that *the* 20 pages took 4 hours, it states the time.
    func withoutScope(_ values: [ProseRun]) -> [ProseRun] {
        var values = values
        while values.count > 1, let last = values.last,
            isCondition(last) || !last.isResult && isScope(last, behind: values[values.count - 2])
        {
            values.removeLast()
            // `It is 12, which is 3 more than 9.`
            if let other = values.last, values.count > 1, isComparison(behind: other) { values.removeLast() }
        }
        return values
    }

    /// Whether a value says how much another one is above or below something.
    private func isComparison(behind run: ProseRun) -> Bool {
        let start = run.range.lowerBound - 1
        let lead = (start - 3...start).compactMap { runs.piece($0)?.word }
        return lead.contains("which") && (0..<3).contains { runs.piece(run.range.upperBound + $0)?.word == "than" }
    }

    /// `25, up from 20`, `15 compared to the 90`, `12, twice as many as the 6`, `$64, of which $8`, `7, 3 more than Tom`
    private func isContrast(_ run: ProseRun, words: [String]) -> Bool {
        if zip(words, words.dropFirst()).contains(where: { $0 == "of" && $1 == "which" }) { return true }
        let tail = words.suffix(4).joined(separator: " ") + " "
        if ["up from ", "down from ", "compared to ", "compared with "].contains(where: tail.contains) { return true }
        if words.suffix(4).contains("as"), let first = words.firstIndex(of: "as"),
            words.lastIndex(of: "as") == first + 2
        {
            return true
        }
        let comparatives: Set<String> = ["more", "fewer", "less", "older", "younger", "taller", "longer"]
        return words.last == "," && runs.piece(run.range.upperBound)?.word.map(comparatives.contains) == true
            && runs.piece(run.range.upperBound + 1)?.word == "than"
    }

    private func isScope(_ run: ProseRun, behind other: ProseRun) -> Bool {
        // A share such as `18 out of 20` includes its whole.
        guard other.range.upperBound < run.range.lowerBound else { return false }
        let gap = other.range.upperBound..<run.range.lowerBound
        let words = gap.map { runs.piece($0)?.word ?? runs.piece($0)?.text ?? "" }
        if isContrast(run, words: words) { return true }
        guard !concludes(from: gap.lowerBound, to: gap.upperBound), !other.text.contains("%") else { return false }
        // `25 more than 100`
        if words.contains("than"), words.suffix(2).contains("than"),
            words.contains(where: { ["more", "less", "fewer", "greater", "older", "younger"].contains($0) })
        {
            return true
        }
        // `rose to 25 from 20`
        if words == ["from"], runs.piece(other.range.lowerBound - 1)?.word == "to" { return true }
        let spoken = words.filter { word in !word.isEmpty && !"$€£¥".contains(word) }
        if isPurpose(spoken, of: run, behind: other) { return true }
        let unit = runs.piece(run.range.upperBound)?.word.flatMap { MathNames.units[$0] }
        let isTime = unit?.kind == "time" || unit?.kind == "months"
        // `5 cars came in the first 15 minutes`
        if isTime, spoken.count <= 12, let place = spoken.last, ["first", "last", "next", "past"].contains(place),
            spoken.dropLast().last == "the"
        {
            return hasNoun(other)
        }
        if !isDefinite(other), isInPhrase(run, behind: other, words: spoken) { return true }
        guard let preposition = spoken.last, spoken.count <= 6 else { return false }
        if ["the", "his", "her", "their", "its", "these", "those", "our", "my", "your"].contains(preposition) {
            // A share of a known whole, `5 of the 20`, but not its sum: `a total of the 20`.
            return spoken.count > 1 && spoken[spoken.count - 2] == "of" && spoken.count <= 4
        }
        guard !isDefinite(other) else { return false }
        // `will be 14 in 5 years`
        let isState = runs.piece(other.range.lowerBound - 1)?.word == "be"
        if ["in", "within", "after", "during", "over"].contains(preposition) {
            return isTime && (hasNoun(other) || isState)
        }
        guard preposition == "for" else { return false }
        return isTime ? hasNoun(other) : runs.piece(run.range.upperBound)?.kind == .word && isPrice(other)
    }

    /// `15 hours to clean 45 rooms`, with words of need or duration: the rooms are the purpose.
    private func isPurpose(_ spoken: [String], of run: ProseRun, behind other: ProseRun) -> Bool {
        // `to move all 20 boxes`
        let spoken = spoken.dropLast(["the", "all", "his", "her", "their"].contains(spoken.last) ? 1 : 0)
        guard let verb = spoken.last, spoken.count <= 12, spoken.dropLast().last == "to", !isDefinite(other),
            verb == "make" || !ProseWords.prepositions.contains(verb), !["the", "a", "an"].contains(verb),
            MathNames.units[verb] == nil
        else { return false }
        var index = run.range.lowerBound - 1
        while let piece = runs.piece(index), piece.kind != .end {
            if let word = piece.word, Self.needs.contains(word) { return true }
            index -= 1
        }
        return false
    }

    private static let needs: Set<String> = [
        "need", "needs", "needed", "take", "takes", "took", "taken", "require", "requires", "required", "must",
    ]

    /// The number in words that a sentence states when its only other value is the purpose: `Three trucks are needed to
    /// move 80 stones`.
    func needed(_ values: [ProseRun], for last: ProseRun) -> ProseRun? {
        guard let first = values.first, first.isNumeral, first.range.upperBound < last.range.lowerBound else {
            return nil
        }
        let words = (first.range.upperBound..<last.range.lowerBound).map { runs.piece($0)?.word ?? "" }
        return isPurpose(words.filter { !$0.isEmpty }, of: last, behind: first) ? first : nil
    }

    /// Whether a value counts or measures something that is named after it.
    private func hasNoun(_ run: ProseRun) -> Bool {
        guard let next = runs.piece(run.range.upperBound) else { return false }
        return isPrice(run)
            || next.kind == .word && !ProseWords.prepositions.contains(next.text.lowercased()) && next.word != "and"
    }

    func isPrice(_ run: ProseRun) -> Bool {
        run.range.contains { runs.piece($0)?.kind == .currency }
            || ["dollars", "euros", "cents", "dollar"].contains(runs.piece(run.range.upperBound)?.word ?? "")
    }

    /// Whether a value is itself the circumstance of something: `In 5 days`, `with 3 friends`.
    func isInCircumstance(_ run: ProseRun) -> Bool {
        var index = run.range.lowerBound - 1
        while let piece = runs.piece(index), piece.kind == .currency || ["a", "an"].contains(piece.word) { index -= 1 }
        guard let before = runs.piece(index)?.word else { return false }
        return ["in", "after", "before", "during", "within", "with", "on", "if", "when", "every", "per", "by", "from"]
            .contains(before)
    }

    /// `the 20 pages`, `all 12 rooms`: known already, so not what the sentence states.
    private func isDefinite(_ run: ProseRun) -> Bool {
        var index = run.range.lowerBound - 1
        while runs.piece(index)?.kind == .currency { index -= 1 }
        guard let before = runs.piece(index)?.word else { return false }
        return [
            "the", "all", "these", "those", "his", "her", "their", "its", "our", "my", "remaining", "other", "first",
            "last", "next", "every", "each", "both", "another", "of",
        ].contains(before)
    }
}

extension ProseRuns {
    /// Whether a sentence denies a value: `not 6`, `isn't 6`, `instead of the 10`, `rather than 10`.
    func isDenied(_ run: ProseRun) -> Bool {
        if isRejected(behind: run.range.upperBound) { return true }
        var index = run.range.lowerBound - 1
        let between: Set<String> = [
            "the", "a", "be", "is", "it", "equal", "to", "was", "that", "think", "believe", "answer",
        ]
        while let before = piece(index), before.kind == .currency || before.word.map(between.contains) == true {
            index -= 1
        }
        guard let word = piece(index)?.word else { return false }
        if ["not", "cannot", "never", "except", "excluding", "neither", "nor"].contains(word) || word.hasSuffix("n't") {
            return true
        }
        let before = piece(index - 1)?.word
        if word == "but", ["all", "anything", "everything"].contains(before) { return true }
        return word == "of" && before == "instead" || word == "than" && before == "rather"
    }

    /// `4 is not the answer`, `4 is wrong`
    private func isRejected(behind index: Int) -> Bool {
        guard let verb = piece(index)?.word, ["is", "was", "isn't", "wasn't"].contains(verb),
            let next = piece(index + 1)?.word
        else {
            return false
        }
        if ["wrong", "incorrect", "false", "impossible"].contains(next) { return true }
        let denied = next == "not" ? piece(index + 2)?.word : verb.hasSuffix("n't") ? next : nil
        return denied.map { ["the", "correct", "right", "it", "possible"].contains($0) } ?? false
    }
}
