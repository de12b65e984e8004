/// The letter of a choice and the text after it: `(B) 12`, `\textbf{(B)}\ 12`, `B. 12`.
struct ChoiceLabel: Hashable {
    let letter: String
    /// The text of the choice; nil where the letter stands alone.
    let rest: String?

    /// - Returns: nil for a text that does not begin with a capital letter marked as a choice.
    init?(_ text: String) {
        let plain = text.drop { $0.isWhitespace || "*_$".contains($0) }
        var rest = plain
        var isMarked = false
        if rest.first == "\\" {
            let name = rest.dropFirst().prefix { $0.isLetter }
            guard ProseWords.isTextCommand(name) || name == "bf" || name == "rm" else { return nil }
            rest = rest[name.endIndex...].drop { $0 == " " || $0 == "{" }
            isMarked = true
        }
        let isBracketed = rest.first == "("
        if isBracketed { rest = rest.dropFirst() }
        guard let letter = rest.first, letter.isASCII, letter.isLetter else { return nil }
        // `(a) 5`, but not `(a)(b)`, which multiplies.
        let isSmall = letter.isLowercase && "abcde".contains(letter) && isBracketed && rest.hasPrefix("\(letter)) ")
        guard letter.isUppercase || isSmall else { return nil }
        rest = rest.dropFirst().drop { $0 == "}" }
        if isBracketed {
            guard rest.first == ")" else { return nil }
            rest = rest.dropFirst()
        } else if let mark = rest.first, ").:".contains(mark) {
            rest = rest.dropFirst()
            // `A.B` is not a choice.
            guard rest.first.map({ $0.isWhitespace || "}\\$".contains($0) }) != false else { return nil }
        } else if !isMarked || rest.first?.isLetter == true {
            return nil
        }
        // `(A) or (B)` decides for neither.
        guard !NamedChoice.areSeveral("\(letter)\(rest.drop { $0 == "}" })") else { return nil }
        while let mark = rest.first {
            if mark == "\\", let spacing = rest.dropFirst().first, " ,;:!".contains(spacing) {
                rest = rest.dropFirst(2)
            } else if rest.hasPrefix("\\qquad") {
                rest = rest.dropFirst(6)
            } else if rest.hasPrefix("\\quad") {
                rest = rest.dropFirst(5)
            } else if mark.isWhitespace || "}~.:".contains(mark) {
                rest = rest.dropFirst()
            } else {
                break
            }
        }
        self.letter = String(letter)
        self.rest = rest.allSatisfy { $0 == "$" || $0 == "*" } ? nil : String(rest)
    }
}
