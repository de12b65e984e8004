/// Numbers with what belongs to them: multipliers, shares, bases.
extension ProseRunReader {
    /// A number with its multiplier: `10 000`, `5 million`, `2 and a half`.
    mutating func number(_ piece: ProsePiece) -> String {
        var text = piece.text
        if text.count <= 3, text.allSatisfy(\.isNumber) {
            while let next = current, next.kind == .number, next.isSpaced,
                next.text.prefix(while: \.isNumber).count == 3,
                !text.contains(".")
            {
                text += next.text
                index += 1
            }
        }
        if let notation = base(behind: text) ?? choice(behind: text) { return notation }
        if let scale = current?.word.flatMap({ NumberWords.scales[$0] }) {
            index += 1
            return Self.scaled(text, scale)
        }
        if let next = current, !next.isSpaced, let factor = suffix(next, of: index - 1) {
            index += 1
            return Self.scaled(text, factor)
        }
        // `2 thirds`
        if let share = current?.word, let bottom = NumberWords.shares[share], text.allSatisfy(\.isNumber) {
            index += 1
            return "(\(text)/\(bottom))"
        }
        if current?.word == "and", peek()?.word == "a" || peek()?.word == "one", let share = peek(2)?.word {
            let fractions = ["half": "1/2", "quarter": "1/4", "third": "1/3"]
            if let fraction = fractions[share] {
                index += 3
                return "(\(text)+\(fraction))"
            }
        }
        // `2 and 3/4 cups`; without a word after it, `2 and 3/4` are two numbers.
        if current?.word == "and", text.allSatisfy(\.isNumber), let top = Int(peek()?.text ?? ""),
            peek(2)?.isMark("/") == true, peek(2)?.isSpaced == false, let bottom = Int(peek(3)?.text ?? ""),
            0 < top, top < bottom, peek(4)?.kind == .word
        {
            index += 4
            return "(\(text)+\(top)/\(bottom))"
        }
        return text
    }

    /// `1011_2` and `1011_{2}`, whose base is no value.
    private mutating func base(behind text: String) -> String? {
        guard let mark = current, mark.isMark("_"), !mark.isSpaced else { return nil }
        let isBraced = peek()?.isMark("{") == true && peek(3)?.isMark("}") == true
        guard let base = peek(isBraced ? 2 : 1), base.kind == .number, isBraced || !base.isSpaced else { return nil }
        index += isBraced ? 4 : 2
        isNumber = false
        return "\(text)_\(isBraced ? "{\(base.text)}" : base.text)"
    }

    /// `7 choose 2`
    private mutating func choice(behind text: String) -> String? {
        guard current?.word == "choose", let next = peek(), next.kind == .number else { return nil }
        index += 2
        isNumber = false
        return "binomial(\(text), \(next.text))"
    }

    static func scaled(_ text: String, _ factor: Int) -> String {
        guard let value = Rational(decimal: text), case let whole = value * Rational(factor), whole.isInteger else {
            return "(\(text)*\(factor))"
        }
        return whole.written
    }

    /// `80k` is 80,000, and `$3M` three million.
    private func suffix(_ piece: ProsePiece, of number: Int) -> Int? {
        if ["k", "K"].contains(piece.text) { return 1000 }
        guard runs.piece(number - 1)?.kind == .currency else { return nil }
        switch piece.text {
        case "M", "m", "mn": return 1_000_000
        case "B", "bn": return 1_000_000_000
        default: return nil
        }
    }
}
