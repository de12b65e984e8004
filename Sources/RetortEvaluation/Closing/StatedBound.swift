/// A bound where an answer is expected: `at least 18`, `no more than 18`, `just over 18`. It is an inequality, not 18.
extension ProseReader {
    /// The inequality that a text states; nil for any other text.
    static func bound(in text: String) -> ProseRun? {
        guard text.utf8.contains(UInt8(ascii: " ")) else { return nil }
        let isPossible = text.split { !$0.isLetter }.contains { $0.count > 1 && signals.contains($0.lowercased()) }
        return isPossible ? ProseReader(text).bound() : nil
    }

    /// One of these words is in every bound. Most answers have none.
    private static let signals: Set<String> = [
        "least", "most", "than", "up", "over", "under", "above", "below", "nearly", "almost", "exceeds", "exceeding",
        "excess", "more", "less", "fewer", "higher", "greater", "lower",
    ]

    /// The inequality that a text begins with, when little more than its noun follows; nil for any other text.
    private func bound() -> ProseRun? {
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
            if let run = runs.run(at: index), !run.isWeak {
                return bound(behind: run).map { ProseRun(range: run.range, text: "\($0) \(run.text)") }
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
        let large: [String] = ["more", "greater", "larger", "higher", "bigger"]
        let small: [String] = ["less", "fewer", "smaller", "lower"]
        var all: [([String], String)] = []
        func add(_ sign: String, _ phrases: [String]) {
            for phrase in phrases { all.append((phrase.split(separator: " ").map(String.init), sign)) }
        }
        add("\\ge", ["at least", "not under"])
        add("\\le", ["at most", "up to", "not over"])
        add(">", ["in excess of", "exceeds", "exceeding", "over", "above"])
        add("<", ["under", "below", "nearly", "almost"])
        for word in large {
            add(">", ["\(word) than"])
            add("\\le", ["no \(word) than", "not \(word) than"])
        }
        for word in small {
            add("<", ["\(word) than"])
            add("\\ge", ["no \(word) than", "not \(word) than"])
        }
        return all.sorted { $0.0.count > $1.0.count }
    }()

    /// The sign of words behind a value: `18 or more`, `18 at most`.
    private func bound(behind run: ProseRun) -> String? {
        func word(_ offset: Int) -> String { runs.piece(run.range.upperBound + offset)?.word ?? "" }
        guard runs.piece(run.range.upperBound + 2).map({ $0.kind == .end }) != false else { return nil }
        switch (word(0), word(1)) {
        case ("or", "more"), ("or", "above"), ("or", "over"), ("or", "higher"), ("or", "greater"), ("at", "least"),
            ("and", "above"), ("and", "up"):
            return "\\ge"
        case ("or", "less"), ("or", "fewer"), ("or", "below"), ("or", "under"), ("or", "lower"), ("at", "most"):
            return "\\le"
        default: return nil
        }
    }

    private static let degrees: Set<String> = [
        "just", "slightly", "little", "bit", "well", "somewhat", "far", "much", "strictly", "something", "somewhere",
    ]
}
