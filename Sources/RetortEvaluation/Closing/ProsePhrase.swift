/// Prepositional phrases behind a value, whose own values are circumstances: `$40 including the $5 tip`, `4 teams of 5`,
/// `7 apples in each of the 3 baskets`.
extension ProseReader {
    /// Whether a phrase leads from a value to the next one.
    ///
    /// - Parameter words: the words between them, in lower case.
    func isInPhrase(_ run: ProseRun, behind other: ProseRun, words: [String]) -> Bool {
        let isBound = isInCircumstance(other)
        guard words.count <= 9, !words.contains("="), !isTotal(run) else { return false }
        return words.indices.reversed().contains { place in
            let after = words[(place + 1)...]
            guard after.count <= 4, !after.contains(where: { Self.verbs.contains($0) || Self.amounts.contains($0) })
            else { return false }
            let before = words[..<place]
            switch words[place] {
            case "of": return isWhole(before, after, other)
            // `In 5 days at the shop`: the other value is a circumstance itself.
            case _ where isBound: return false
            case "for": return isPurpose(after, run, other)
            case "at", "in": return isPrice(other) || !isPrice(run)
            case let word: return Self.prepositions.contains(word)
            }
        }
    }

    /// `4 teams of 5`, `13 of 20`, but not `3 shirts at a price of 20`.
    private func isWhole(_ before: ArraySlice<String>, _ after: ArraySlice<String>, _ other: ProseRun) -> Bool {
        if let noun = before.last, ["end", "start", "beginning"].contains(noun) { return true }
        return before.count <= 2 && after.count <= 2
            && !before.contains { Self.verbs.contains($0) || Self.amounts.contains($0) }
            && before.last.map { MathNames.units[$0] == nil } != false
    }

    /// `$15 for three $5 tickets`, `40 for the first 10 terms`, but not `3 tickets for $15`.
    private func isPurpose(_ after: ArraySlice<String>, _ run: ProseRun, _ other: ProseRun) -> Bool {
        let noun = runs.piece(run.range.upperBound)?.word
        if isPrice(other) { return noun != nil || after.last == "of" }
        if let noun, after.isEmpty, Self.people.contains(noun) { return true }
        // `45 minutes for the 3 laps`
        if runs.piece(other.range.upperBound)?.word.flatMap({ MathNames.units[$0] }) != nil { return false }
        return !isPrice(run)
            && after.contains { Self.known.contains($0) }
    }

    /// `for 15 in total`
    private func isTotal(_ run: ProseRun) -> Bool {
        (0..<4).contains { offset in
            guard let word = runs.piece(run.range.upperBound + offset)?.word else { return false }
            return ["total", "altogether", "combined", "all"].contains(word)
        }
    }

    /// Before what is known already, such as `the 4 horses`.
    private static let known: Set<String> = [
        "first", "last", "next", "all", "each", "every", "party", "the", "his", "her", "their", "its", "these", "those",
    ]

    private static let people: Set<String> = [
        "people", "persons", "children", "kids", "students", "friends", "men", "women", "guests", "adults", "players",
    ]

    private static let prepositions: Set<String> = [
        "with", "without", "per", "on", "off", "after", "before", "including", "excluding", "upon", "across", "among",
        "between", "during", "within", "throughout", "over", "using", "mod", "modulo", "until", "under", "beyond",
        "from", "every", "despite", "inside", "outside", "around", "through",
    ]

    /// Words behind which a value is stated after all.
    static let verbs: Set<String> = [
        "is", "are", "was", "were", "be", "been", "has", "have", "had", "does", "did", "do", "will", "would", "can",
        "could", "should", "get", "gets", "got", "make", "makes", "made", "leave", "leaves", "left", "give", "gives",
        "gave", "pay", "pays", "paid", "need", "needs", "needed", "cost", "costs", "take", "takes", "took", "equal",
        "equals", "remain", "remains", "become", "becomes", "earn", "earns", "earned", "spend", "spends", "spent",
        "use", "uses", "buy", "buys", "bought", "sell", "sells", "sold", "contain", "contains", "weigh", "weighs",
        "yield", "yields", "produces", "requires", "totals", "to", "than",
    ]

    /// `a total of 5`: an amount is stated, not counted.
    private static let amounts: Set<String> = [
        "total", "sum", "price", "profit", "rate", "speed", "average", "value", "amount", "score", "income", "salary",
        "balance", "result", "remainder", "difference", "product", "maximum", "minimum", "loss", "number", "answer",
        "rest", "distance", "length", "area", "volume",
    ]
}
