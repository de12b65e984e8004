/// What a number counts or measures, and the words behind it that change what it says.
extension ProseRunReader {
    /// A known unit after a number.
    func unit() -> String? {
        guard members.isEmpty, operands == 1, isNumber else { return nil }
        if current?.kind == .currency, current?.text == "¢" { return "cents" }
        guard let word = current?.word, let unit = MathNames.units[word] else { return nil }
        // `12 m long`, but `5 in 3 days`
        if word.count == 1 || word == "in", let next = peek(), next.kind == .word { return nil }
        return unit.name
    }

    /// `m/s^2`, `kg·m`, `km/h`: a unit made of others, written without blanks, and how many pieces it takes.
    func compoundUnit() -> (unit: String, length: Int)? {
        guard members.isEmpty, operands == 1, isNumber, current?.kind == .word, let next = peek(), !next.isSpaced,
            next.kind == .mark
        else { return nil }
        var text = " "
        var length = 0
        for offset in 0..<9 {
            guard let piece = peek(offset), offset == 0 || !piece.isSpaced,
                piece.kind == .word || piece.kind == .number
                    || piece.kind == .mark && "/·⋅*^(){}²³-".contains(piece.text)
            else { break }
            text += ["²": "^2", "³": "^3", "*": "·", "⋅": "·"][piece.text] ?? piece.text
            length += 1
        }
        guard length > 1, let unit = UnitExpression(text)?.text, UnitSize(unit) != nil else { return nil }
        return (unit, length)
    }

    /// A word behind a number that changes what it says: `5 units left`, `5% increase`.
    func direction() -> String? {
        guard members.isEmpty, operands == 1, text.last?.isNumber == true || text.last == "%" else { return nil }
        for offset in 0..<3 {
            guard let word = peek(offset)?.word else { return nil }
            if Opposites.isOne(word) { return peek(offset + 1)?.word == "than" ? nil : word }
        }
        return nil
    }
}
