/// Reads one value from the pieces of a sentence, as far as it extends.
struct ProseRunReader {
    let runs: ProseRuns
    var index: Int
    let isRatio: Bool
    private(set) var text = ""
    /// Earlier members of a list: `2 and -2`.
    private(set) var members: [String] = []
    private var isFormula = true
    private(set) var operands = 0
    /// Whether the last operand consists of digits only.
    var isNumber = false

    init(runs: ProseRuns, index: Int, isRatio: Bool) {
        (self.runs, self.index, self.isRatio) = (runs, index, isRatio)
    }

    var current: ProsePiece? { runs.piece(index) }

    func peek(_ offset: Int = 1) -> ProsePiece? { runs.piece(index + offset) }

    private mutating func append(_ addition: String, spaced: Bool = true) {
        text += (spaced && !text.isEmpty ? " " : "") + addition
    }

    /// - Returns: false when no value begins here.
    mutating func readAll() -> Bool {
        guard operand() else { return false }
        while true {
            postfix()
            if juxtaposed() || connected() || listed() { continue }
            return true
        }
    }

    func finished(from start: Int) -> ProseRun {
        var parts = members + [text]
        // In `3*2=6, 6+5=11` only the last result counts, as does the solution after its equation in `3x = 27 and x =
        // 9`; `x = 2, y = 3` is an answer of two parts.
        if parts.count > 1, let last = parts.last, last.contains("="),
            last.first?.isLetter == false || Self.isSolution(last) && !parts.allSatisfy(Self.isSolution)
        {
            parts = [last]
        }
        var run = ProseRun(range: start..<index, text: parts.joined(separator: ", "))
        run.isFormula = isFormula
        run.isResult = run.text.contains("=")
        if let (unit, length) = compoundUnit() {
            run.text += " \(unit)"
            run.range = start..<(index + length)
            return run
        }
        if let unit = unit() { run.text += " \(unit)" }
        if let direction = direction() { run.text += " \\text{ \(direction)}" }
        if run.text.hasSuffix(":00"), let word = current?.word, ["p", "a", "pm", "am", "o'clock"].contains(word) {
            run.alternatives.append(String(run.text.dropLast(3)))
        }
        return run
    }

    /// Whether a part states the value of one variable.
    static func isSolution(_ part: String) -> Bool {
        let sides = part.split(separator: "=", maxSplits: 1)
        guard sides.count == 2 else { return false }
        let name = sides[0].filter { !$0.isWhitespace }
        return name.first?.isLetter == true && (name.count == 1 || name.dropFirst().first == "_")
    }

    // MARK: Operands

    private mutating func operand() -> Bool {
        let saved = self
        var sign = ""
        while let piece = current {
            if piece.kind == .currency {
                index += 1
            } else if piece.isMark("-"), sign.isEmpty, isSign() {
                sign = "-"
                index += 1
            } else if piece.isMark("+") || piece.isMark("±") || piece.isMark("+-"), sign.isEmpty, isSign() {
                sign = piece.text == "+" ? "" : "\\pm "
                index += 1
            } else if let word = piece.word, word == "minus" || word == "negative", sign.isEmpty, isAmount(index + 1) {
                sign = "-"
                index += 1
            } else {
                break
            }
        }
        guard let piece = current else {
            self = saved
            return false
        }
        let isSpaced = text.isEmpty ? false : saved.current?.isSpaced ?? true
        guard let value = value(of: piece) else {
            self = saved
            return false
        }
        operands += 1
        append(sign + value, spaced: isSpaced)
        return true
    }

    /// Whether a minus belongs to what follows, instead of being a dash between words.
    private func isSign() -> Bool {
        guard let next = peek(), next.kind != .end, let piece = current else { return false }
        if !text.isEmpty { return true }
        let before = runs.piece(index - 1)
        let isFree = piece.isSpaced || before == nil || before?.kind == .mark || before?.kind == .currency
        if !next.isSpaced { return isFree }
        return before?.isMark("=") == true
            || before?.word.map { ["is", "be", "equals", "are", "was"].contains($0) } == true
    }

    private func isAmount(_ place: Int) -> Bool {
        switch runs.piece(place)?.kind {
        case .number, .formula, .command, .currency: true
        default: false
        }
    }

    /// The operand that a piece stands for; moves past it.
    private mutating func value(of piece: ProsePiece) -> String? {
        isNumber = false
        switch piece.kind {
        case .number:
            isFormula = false
            isNumber = true
            index += 1
            return number(piece)
        case .formula:
            index += 1
            let text = Self.formula(piece.text)
            if let scale = current?.word.flatMap({ NumberWords.scales[$0] }), Rational(decimal: text) != nil {
                index += 1
                return Self.scaled(text, scale)
            }
            return text
        case .command:
            isFormula = false
            index += 1
            return piece.text
        case .word:
            isFormula = false
            return name(piece)
        case .mark where "([{".contains(piece.text):
            isFormula = false
            return group()
        case .mark where piece.text == "√":
            isFormula = false
            index += 1
            guard let radicand = current, let value = value(of: radicand) else { return nil }
            return "\\sqrt{\(value)}"
        case .mark where ["π", "∞", "∅"].contains(piece.text):
            isFormula = false
            index += 1
            return piece.text
        default: return nil
        }
    }

    /// The last step of a chain of conclusions, without a label in words.
    static func formula(_ text: String) -> String {
        var text = text[...]
        for arrow in ["\\Rightarrow", "\\implies", "\\Longrightarrow", "\\therefore", "⇒", "⟹", "∴"] {
            if let range = text.ranges(of: arrow).last { text = text[range.upperBound...] }
        }
        return String(text)
    }

    /// A variable, a constant or a function.
    private mutating func name(_ piece: ProsePiece) -> String? {
        let word = piece.text
        let isFunction = MathNames.functions[word] != nil || MathNames.builders.contains(word)
        if isFunction {
            guard let next = peek(), next.isMark("(") && !next.isSpaced else { return nil }
            index += 1
            guard let arguments = group() else {
                index -= 1
                return nil
            }
            return word + arguments
        }
        if word == "pi" || word == "infinity" || word == "oo" {
            index += 1
            return word
        }
        guard word.count == 1, word.first?.isASCII == true else { return nil }
        // The article and the pronoun are variables only where something is calculated with them.
        let isOperated = text.isEmpty == false || peek().map { ["=", "+", "^", "*"].contains($0.text) } == true
        if ["a", "A", "I"].contains(word), !isOperated { return nil }
        index += 1
        if let next = current, next.isMark("("), !next.isSpaced, let arguments = group() { return word + arguments }
        return word
    }

    /// A group in brackets that is purely mathematical.
    private mutating func group() -> String? {
        guard let close = runs.closing(of: index), runs.isMathematics(index + 1..<close) else { return nil }
        // The braces of `2^{10}` only group.
        let isExponent = runs.piece(index - 1)?.isMark("^") == true
        var text = ""
        for place in index...close {
            guard let piece = runs.piece(place), piece.kind != .currency else { continue }
            var part = piece.kind == .formula ? Self.formula(piece.text) : piece.text
            // `2x3` as spelled in prose
            if piece.word == "x", runs.piece(place - 1)?.kind == .number, runs.piece(place + 1)?.kind == .number {
                part = "*"
            }
            if !isExponent, part == "{" || part == "}" { part = "\\\(part)" }
            text += (piece.isSpaced && !text.isEmpty ? " " : "") + part
        }
        index = close + 1
        return text
    }

    // MARK: What follows

    private mutating func postfix() {
        while let piece = current {
            if piece.isMark("%") {
                append("%", spaced: false)
            } else if piece.isMark("°") {
                append("°", spaced: false)
            } else if piece.isMark("^"), peek()?.isMark("°") == true {
                append("°", spaced: false)
                index += 1
            } else if piece.isMark("!"), !piece.isSpaced {
                append("!", spaced: false)
            } else if piece.isMark("²") || piece.isMark("³"), !piece.isSpaced {
                append(piece.text, spaced: false)
            } else if isNumber,
                let power = piece.word.flatMap({ ["squared": "^2", "cubed": "^3", "factorial": "!"][$0] })
            {
                append(power, spaced: false)
            } else if isNumber, let word = piece.word, ["percent", "pct", "percentage"].contains(word) {
                append("%", spaced: false)
            } else if text.hasSuffix("°"), let word = piece.word, ["c", "f", "celsius", "fahrenheit"].contains(word) {
                append(word.prefix(1).uppercased(), spaced: false)
            } else {
                return
            }
            isNumber = false
            index += 1
        }
    }

    /// A product without a sign: `2\sqrt{3}`, `3x`, `2 pi`, or the fraction of a mixed number.
    private mutating func juxtaposed() -> Bool {
        guard let piece = current else { return false }
        let saved = self
        switch piece.kind {
        case .number where isNumber && piece.isSpaced && text.last?.isNumber == true:
            // `2 1/2`
            guard Int(runs.piece(index - 1)?.text ?? "") != nil, peek()?.isMark("/") == true,
                peek()?.isSpaced == false, let top = Int(piece.text), let bottom = Int(peek(2)?.text ?? ""),
                top < bottom
            else { return false }
            append("\(top)/\(bottom)")
            index += 3
            isNumber = false
            return true
        case .command
        where piece.text.first != "\\" || piece.text.hasPrefix("\\frac") || piece.text.hasPrefix("\\sqrt")
            || piece.text.hasPrefix("\\dfrac") || piece.text.hasPrefix("\\tfrac") || piece.text.hasPrefix("\\pi"):
            if operand() { return true }
        case .mark where ["√", "π"].contains(piece.text):
            if operand() { return true }
        case .mark where piece.text == "(" && !piece.isSpaced:
            if operand() { return true }
        case .word where !piece.isSpaced && isNumber:
            // `18mph` and `5m` are quantities, `3x` and `2pi` products.
            guard isFactor(piece.text), !(piece.text == "x" && peek()?.kind == .word) else { return false }
            append(piece.text, spaced: false)
            index += 1
            isNumber = false
            return true
        case .word where piece.text == "pi" || ["sqrt", "sin", "cos", "tan", "log", "ln"].contains(piece.text):
            if operand() { return true }
        default: break
        }
        self = saved
        return false
    }

    /// Whether letters after a number are variables or π, instead of a unit.
    private func isFactor(_ word: String) -> Bool {
        if word == "pi" { return true }
        guard MathNames.units[word] == nil, MathNames.units[word.lowercased()] == nil else { return false }
        // `2h 30m`
        if word == "h", peek()?.kind == .number { return false }
        return word.count == 1 && word.first?.isASCII == true
            || (word.count == 2 && word.allSatisfy { "xyzabn".contains($0) })
    }

    /// An operator and another operand.
    private mutating func connected() -> Bool {
        guard let (sign, width) = connector() else { return false }
        let saved = self
        append(sign, spaced: current?.isSpaced ?? true)
        index += width
        let hasBlank = current?.isSpaced == true
        if hasBlank { text += " " }
        let before = text
        text = ""
        let isOperand = signedOperand()
        guard isOperand else {
            self = saved
            return false
        }
        text = before + text
        return true
    }

    /// An operand after an operator, where a sign needs no preceding blank.
    private mutating func signedOperand() -> Bool {
        if current?.isMark("-") == true, peek()?.kind != .word {
            index += 1
            guard operand() else { return false }
            text = "-" + text
            return true
        }
        return operand()
    }

    /// The sign that connects the preceding and the following operand, and how many pieces it takes.
    private func connector() -> (String, Int)? {
        guard let piece = current, let next = peek() else { return nil }
        if let word = piece.word {
            switch word {
            case "x" where isNumber && (isAmount(index + 1) || next.isMark("(")): return ("*", 1)
            case "times" where isAmount(index + 1), "multiplied" where next.word == "by" && isAmount(index + 2):
                return ("*", word == "times" ? 1 : 2)
            case "to" where isPower(index + 1): return ("^", 4)
            case "raised" where next.word == "to" && isPower(index + 2): return ("^", 5)
            case "over" where isNumber && next.kind == .number && runs.piece(index + 2)?.kind != .word: return ("/", 1)
            case "plus" where isAmount(index + 1): return ("+", 1)
            // `$40 plus a $5 tip`
            case "plus" where ["a", "an", "the", "another"].contains(next.word) && peek(2)?.kind == .currency:
                return ("+", 2)
            case "minus" where isAmount(index + 1): return ("-", 1)
            case "divided" where next.word == "by" && isAmount(index + 2): return ("/", 2)
            case "equals" where isAmount(index + 1): return ("=", 1)
            case "to" where isRatio && isNumber && next.kind == .number: return (":", 1)
            default: return nil
            }
        }
        guard piece.kind == .mark else { return nil }
        switch piece.text {
        case "+", "*", "×", "·", "⋅", "÷", "^", "=", "≈", "<", ">", "<=", ">=", "≤", "≥", "±", "+-", "**", "∪", "!=",
            "≠":
            return (piece.text, 1)
        case "/": return next.kind == .word && next.text.count > 1 ? nil : ("/", 1)
        case "-":
            // Between two numbers, with blanks on both sides or on neither.
            if next.kind == .word, !next.isSpaced, next.text.count > 1 { return nil }
            return ("-", 1)
        // A range is not a difference.
        case "–": return piece.isSpaced && next.isSpaced ? ("-", 1) : isAmount(index + 1) ? ("\\text{ to }", 1) : nil
        case ":":
            guard piece.isSpaced == next.isSpaced, isAmount(index + 1) else { return nil }
            return (":", 1)
        default: return nil
        }
    }

    /// `the power of 8`
    private func isPower(_ place: Int) -> Bool {
        runs.piece(place)?.word == "the" && runs.piece(place + 1)?.word == "power"
            && runs.piece(place + 2)?.word == "of"
            && isAmount(place + 3)
    }

    /// Another member of a list: separated only by a comma, `and` or `or`.
    private mutating func listed() -> Bool {
        let saved = self
        var isSeparated = false
        while let piece = current, piece.isMark(",") || piece.word == "and" || piece.word == "or" {
            isSeparated = true
            index += 1
        }
        guard isSeparated else { return false }
        members.append(text)
        text = ""
        guard let piece = current, startsMember(piece), operand() else {
            self = saved
            return false
        }
        return true
    }

    private func startsMember(_ piece: ProsePiece) -> Bool {
        switch piece.kind {
        case .number, .formula, .command, .currency: true
        case .mark: ["-", "(", "[", "±", "√", "π"].contains(piece.text)
        // `x = 2 and y = 3`
        case .word: piece.text.count == 1 && peek()?.isMark("=") == true
        case .ordinal, .end: false
        }
    }
}
