/// A value in a sentence, with everything that belongs to it: `-$1,234.50`, `3 * 6 = 18`, `(3, 4)`, `2 and -2`.
struct ProseRun: Hashable, Sendable {
    /// The pieces that it consists of.
    var range: Range<Int>
    /// The text in the form that the parser of answers reads.
    var text: String
    /// The whole value in other forms with the same meaning, such as `150 minute` for `2 hours 30 minutes`.
    var alternatives: [String] = []
    /// Whether it is a number in words, `5th` or the 5 of `5-day`: a value only where the sentence has no other.
    var isWeak = false
    /// Whether its writer marked it as a formula.
    var isFormula = false
    /// Whether it is a number in words.
    var isNumeral = false
    /// Whether it is a result: `9 * 2 = 18`, or `= 18` after words.
    var isResult = false
}

/// Finds the values in the pieces of a text.
struct ProseRuns {
    let pieces: [ProsePiece]
    /// The most pieces between brackets.
    private static let longest = 200
    /// The index of the closing bracket for each opening one.
    private let closings: [Int: Int]

    init(_ pieces: [ProsePiece]) {
        self.pieces = pieces
        var closings: [Int: Int] = [:]
        var open: [Int] = []
        for (index, piece) in pieces.enumerated() {
            if piece.kind == .end { open = [] }
            guard piece.kind == .mark else { continue }
            if "([{".contains(piece.text) { open.append(index) }
            // An interval's brackets may differ.
            if ")]}".contains(piece.text), let start = open.popLast(), index - start <= Self.longest {
                closings[start] = index
            }
        }
        self.closings = closings
    }

    func piece(_ index: Int) -> ProsePiece? { pieces.indices.contains(index) ? pieces[index] : nil }

    // MARK: All of a sentence

    /// The values of a sentence in their order, none of which covers a piece of another.
    func all(in sentence: Range<Int>) -> [ProseRun] {
        var runs: [ProseRun] = []
        var index = sentence.lowerBound
        let isRatio = sentence.contains { ["ratio", "odds"].contains(pieces[$0].word) }
        let isChance = sentence.contains { pieces[$0].word.map(ProseWords.chances.contains) == true }
        while index < sentence.upperBound {
            guard let run = run(at: index, isRatio: isRatio), run.range.lowerBound >= sentence.lowerBound else {
                index += 1
                continue
            }
            // `5 feet 6 inches` is one value, and so are `2 hours and 30 minutes`, `18 out of 20` and `five $20 bills`.
            if let last = runs.last,
                let whole = compound(last, run) ?? share(last, run, isChance: isChance) ?? bundle(last, run)
            {
                runs[runs.count - 1] = whole
            } else {
                append(run, to: &runs)
            }
            index = behindUnit(max(run.range.upperBound, index + 1))
        }
        return runs
    }

    /// Adds a value, which takes the place of those that it covers: the words of `half of 10` are read before its
    /// number is.
    private func append(_ run: ProseRun, to runs: inout [ProseRun]) {
        var run = run
        while let last = runs.last, last.range.upperBound > run.range.lowerBound {
            run.range = min(last.range.lowerBound, run.range.lowerBound)..<run.range.upperBound
            runs.removeLast()
        }
        runs.append(run)
    }

    /// Where the text continues after a unit and its power, which are not a value: `m^2`, `cm²`.
    private func behindUnit(_ index: Int) -> Int {
        guard let word = piece(index)?.text, piece(index)?.kind == .word, MathNames.units[word] != nil else {
            return index
        }
        if piece(index + 1)?.isMark("^") == true, piece(index + 2)?.kind == .number { return index + 3 }
        return piece(index + 1).map { $0.isMark("²") || $0.isMark("³") } == true ? index + 2 : index + 1
    }

    /// Asides: brackets that contain words, or that follow a value.
    func asides(in sentence: Range<Int>) -> [Range<Int>] {
        var asides: [Range<Int>] = []
        var index = sentence.lowerBound
        while index < sentence.upperBound {
            if pieces[index].isMark("("), let close = closings[index], close < sentence.upperBound,
                (index + 1..<close).contains(where: isProse) || followsValue(index)
            {
                asides.append(index..<(close + 1))
                index = close
            }
            index += 1
        }
        return asides
    }

    private func isProse(_ index: Int) -> Bool {
        pieces[index].kind == .word && ProseWords.isProse(pieces[index].text)
    }

    private func followsValue(_ index: Int) -> Bool {
        guard pieces[index].isSpaced, let before = piece(index - 1) else { return false }
        switch before.kind {
        case .number, .formula, .ordinal: return true
        case .word: return MathNames.units[before.text.lowercased()] != nil
        case .mark: return before.text == "%" || before.text == ")"
        case .command, .currency, .end: return false
        }
    }

    // MARK: One value

    /// The value that begins at a piece.
    func run(at start: Int, isRatio: Bool = false) -> ProseRun? {
        if let words = words(at: start) { return words }
        guard let first = piece(start), first.kind != .end, !isName(start) else { return nil }
        if first.kind == .ordinal {
            return ProseRun(range: start..<(start + 1), text: first.text, isWeak: true)
        }
        var reader = ProseRunReader(runs: self, index: start, isRatio: isRatio)
        guard reader.readAll() else { return nil }
        var run = reader.finished(from: start)
        if let next = piece(run.range.upperBound), next.isMark("-"), !next.isSpaced,
            piece(run.range.upperBound + 1)?.kind == .word, piece(run.range.upperBound + 1)?.isSpaced == false
        {
            run.isWeak = true
        }
        if run.text.allSatisfy({ !$0.isNumber && $0 != "π" && $0 != "∞" && $0 != "\\" }) {
            // A variable is what a sentence is about; it counts as a value only where the writer marked it as a
            // formula.
            guard run.isFormula else { return nil }
            run.isWeak = true
        }
        // `1600 > 1200` is a comparison, not a value.
        if run.text.contains(where: { "<>≤≥≠".contains($0) }), !run.text.contains(where: \.isLetter) {
            run.isWeak = true
        }
        if let before = piece(start - 1), before.isMark("=") || before.isMark("≈") { run.isResult = true }
        if let operation = ProseOperation(before: start, in: self) { run = operation.applied(to: run) }
        // `≥ 5` is not 5.
        if let bound = bound(start, end: run.range.upperBound) { run.text = "\(bound) \(run.text)" }
        return run
    }

    /// The sign of an inequality straight before a value. At the start of a line `>` quotes.
    private func bound(_ start: Int, end: Int) -> String? {
        guard let sign = piece(start - 1), sign.kind == .mark,
            ["<", ">", "<=", ">=", "!=", "≤", "≥", "≠"].contains(sign.text)
        else { return nil }
        // `<203>`
        if piece(end)?.isMark("<") == true || piece(end)?.isMark(">") == true { return nil }
        let isQuote = sign.text == ">" && start > 1 && piece(start - 2)?.kind == .end
        return isQuote ? nil : sign.text
    }

    /// Whether the number here is a name: `step 3`, `#12`, `COVID-19`, `x2`.
    private func isName(_ index: Int) -> Bool {
        guard pieces[index].kind == .number, let before = piece(index - 1) else { return false }
        if before.isMark("#") { return true }
        if before.isMark("^"), piece(index - 2)?.kind == .word { return true }
        if let word = before.word { return ProseWords.labels.contains(word) || !pieces[index].isSpaced }
        guard before.isMark("-"), !before.isSpaced, !pieces[index].isSpaced else { return false }
        return piece(index - 2)?.kind == .word
    }

    /// A number in words, except `one`, which rarely counts something.
    private func words(at start: Int) -> ProseRun? {
        guard let first = piece(start)?.word, NumberWords.isPart(first) || first == "a",
            piece(start - 1)?.word.map(NumberWords.isPart) != true
        else { return nil }
        var sign = ""
        if let before = piece(start - 1)?.word, before == "minus" || before == "negative" { sign = "-" }
        var (words, best): ([String], ProseRun?) = ([], nil)
        var index = start
        while let word = piece(index)?.word, NumberWords.isPart(word) || ["and", "a"].contains(word), words.count < 24 {
            words.append(word)
            index += 1
            if words != ["one"], words != ["a"], let value = NumberWords.value(words), words != ["third"] {
                best = ProseRun(range: start..<index, text: sign + value.written, isWeak: true, isNumeral: true)
            }
        }
        return best
    }

    // MARK: Values of two parts

    /// `2 hours and 30 minutes` in minutes, or else in hours; with `15 seconds` behind it in seconds, or else in either.
    private func compound(_ first: ProseRun, _ second: ProseRun) -> ProseRun? {
        guard let a = quantity(first) ?? total(first), let b = quantity(second, behind: a.unit),
            a.unit.kind == b.unit.kind,
            a.unit.kind != "share",
            b.unit.factor < a.unit.factor, b.value * b.unit.factor < a.unit.factor, a.end <= second.range.lowerBound
        else { return nil }
        let between = (a.end..<second.range.lowerBound).map { pieces[$0] }
        guard between.allSatisfy({ $0.word == "and" || $0.isMark(",") || $0.kind == .currency }), between.count <= 2
        else { return nil }
        let total = a.value * a.unit.factor + b.value * b.unit.factor
        let larger = first.alternatives.compactMap {
            $0.split(separator: " ").last.flatMap { MathNames.units[String($0)] }
        }
        let texts = ([b.unit, a.unit] + larger).map { "\((total / $0.factor).written) \($0.name)" }
        return ProseRun(range: first.range.lowerBound..<b.end, text: texts[0], alternatives: Array(texts.dropFirst()))
    }

    /// A quantity of two units that has been read, in the smaller one.
    private func total(_ run: ProseRun) -> (value: Rational, unit: MathNames.Unit, end: Int)? {
        let parts = run.text.split(separator: " ")
        guard !run.alternatives.isEmpty, parts.count == 2, let value = Rational(decimal: parts[0]),
            let unit = MathNames.units[String(parts[1])]
        else { return nil }
        return (value, unit, run.range.upperBound)
    }

    /// A plain number with a known unit after it, and where the unit ends.
    private func quantity(
        _ run: ProseRun, behind larger: MathNames.Unit? = nil
    ) -> (value: Rational, unit: MathNames.Unit, end: Int)? {
        let digits = run.text.prefix { $0 != " " }
        guard !run.isWeak, let value = Rational(decimal: digits), let word = piece(run.range.upperBound)?.word,
            let unit = MathNames.units[larger?.kind == "time" && word == "m" ? "minute" : word == "h" ? "hour" : word]
        else { return nil }
        return (value, unit, run.range.upperBound + 1)
    }

    /// `18 out of 20` is 18, or nine tenths, but never 20; a chance of `3 in 8` is three eighths.
    private func share(_ part: ProseRun, _ whole: ProseRun, isChance: Bool) -> ProseRun? {
        let (end, start) = (part.range.upperBound, whole.range.lowerBound)
        guard end < start else { return nil }
        let range = part.range.lowerBound..<whole.range.upperBound
        if isChance, start == end + 1, piece(end)?.word == "in", let top = Int(part.text),
            let bottom = Int(whole.text), top <= bottom
        {
            return ProseRun(range: range, text: "\(top)/\(bottom)")
        }
        let determiners: Set<String> = ["the", "every", "all", "these", "those", "his", "her", "their"]
        let place = piece(start - 1)?.word.map(determiners.contains) == true ? start - 1 : start
        guard piece(place - 1)?.word == "of", piece(place - 2)?.word == "out", end <= place - 2, place - end <= 5,
            !part.isWeak
        else { return nil }
        var result = part
        result.range = range
        result.alternatives.append("(\(part.text))/(\(whole.text))")
        return result
    }

    /// `five $20 bills` are a hundred dollars, or five bills, but never twenty.
    private func bundle(_ count: ProseRun, _ price: ProseRun) -> ProseRun? {
        guard price.range.lowerBound == count.range.upperBound, piece(price.range.lowerBound)?.kind == .currency,
            piece(price.range.upperBound)?.word?.hasSuffix("s") == true, let number = Rational(decimal: count.text),
            number.isInteger, let value = Rational(decimal: price.text)
        else { return nil }
        return ProseRun(
            range: count.range.lowerBound..<price.range.upperBound, text: (number * value).written,
            alternatives: [count.text])
    }

    func closing(of index: Int) -> Int? { closings[index] }

    /// Whether the pieces between two brackets are purely mathematical.
    func isMathematics(_ range: Range<Int>) -> Bool {
        !range.isEmpty && !range.contains { isProse($0) || pieces[$0].kind == .end || pieces[$0].kind == .ordinal }
    }
}
