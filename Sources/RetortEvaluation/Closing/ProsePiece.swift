/// A piece of a sentence.
struct ProsePiece: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// Digits with separators of thousands, a point and an exponent, as written except for the separators.
        case number
        /// `5th`: digits that name a position.
        case ordinal
        case word
        /// The text between dollar signs or LaTeX's brackets.
        case formula
        /// A LaTeX command outside any formula, with its groups.
        case command
        /// A sign, such as `+` or `(`.
        case mark
        case currency
        /// The end of a sentence or a line; its text is `?` behind a question.
        case end
    }

    let kind: Kind
    let text: String
    /// Whether white space, or nothing, precedes it.
    let isSpaced: Bool

    func isMark(_ mark: String) -> Bool { kind == .mark && text == mark }

    /// The word in lower case; nil for anything else.
    var word: String? { kind == .word ? text.lowercased() : nil }
}

/// Cuts a text into pieces.
struct ProseLexer {
    private let characters: [Character]
    private var index = 0
    private var isSpaced = true
    private(set) var pieces: [ProsePiece] = []

    static func pieces(_ text: String) -> [ProsePiece] {
        var lexer = ProseLexer(text)
        while lexer.index < lexer.characters.count { lexer.take() }
        lexer.add(.end, "")
        return lexer.pieces
    }

    private init(_ text: String) { characters = Array(text) }

    private func peek(_ offset: Int = 1) -> Character? {
        characters.indices.contains(index + offset) ? characters[index + offset] : nil
    }

    private mutating func add(_ kind: ProsePiece.Kind, _ text: String) {
        pieces.append(ProsePiece(kind: kind, text: text, isSpaced: isSpaced))
        isSpaced = false
    }

    private mutating func add(_ kind: ProsePiece.Kind, length: Int) {
        add(kind, String(characters[index..<(index + length)]))
        index += length
    }

    private mutating func take() {
        let first = characters[index]
        if first == "\n" {
            // A dash at the start of a line marks a list item.
            add(.end, "")
            index += 1
            isSpaced = true
            while let next = peek(0), next == " " || next == "\t" { index += 1 }
            if let mark = peek(0), "-•*+".contains(mark), peek() == " " { index += 2 }
        } else if first.isWhitespace || first == "~" && peek()?.isNumber != true {
            index += 1
            isSpaced = true
        } else if first.isASCIIDigit || startsDecimal(first) {
            takeNumber()
        } else if first.isLetter, first != "π" {
            takeWord()
        } else if first == "\\" {
            takeBackslash()
        } else if first == "$" {
            takeDollar()
        } else if "€£¥₹¢₩₽₱฿".contains(first) {
            add(.currency, length: 1)
        } else {
            takeMark(first)
        }
    }

    private func startsDecimal(_ first: Character) -> Bool {
        guard first == ".", peek()?.isASCIIDigit == true else { return false }
        let before = index > 0 ? characters[index - 1] : " "
        return !before.isLetter && !before.isNumber && before != "."
    }

    // MARK: Numbers and words

    private func digits(from start: Int) -> Int {
        var end = start
        while end < characters.count, characters[end].isASCIIDigit { end += 1 }
        return end - start
    }

    private mutating func takeNumber() {
        var text = ""
        let whole = digits(from: index)
        text += String(characters[index..<(index + whole)])
        index += whole
        if (1...3).contains(whole) { text += takeGroups() }
        if let dotted = takeDotted(behind: text) { return add(.number, dotted) }
        if peek(0) == ".", digits(from: index + 1) > 0 {
            let places = digits(from: index + 1)
            text += String(characters[index..<(index + 1 + places)])
            index += 1 + places
        }
        text += takeExponent()
        if let inches = inches() {
            // `5'10"` is a single length.
            add(.number, text)
            isSpaced = true
            add(.word, "feet")
            index += 1
            isSpaced = true
            add(.number, length: inches)
            isSpaced = true
            add(.word, "inches")
            if let mark = peek(0), "\"”″'".contains(mark) { index += 1 }
            if peek(0) == "'" { index += 1 }
            return
        }
        if let suffix = ordinalSuffix() {
            index += suffix
            return add(.ordinal, text)
        }
        add(.number, text)
    }

    /// Moves past the rest of a number with several points: `1.234.567` is a whole number, while `3.2.1` and `10.0.0.1`
    /// have no value, and neither have their parts.
    private mutating func takeDotted(behind whole: String) -> String? {
        var groups: [String] = []
        var end = index
        while end < characters.count, characters[end] == ".", case let count = digits(from: end + 1), count > 0 {
            groups.append(String(characters[(end + 1)..<(end + 1 + count)]))
            end += 1 + count
        }
        guard groups.count > 1 else { return nil }
        index = end
        let isGrouped = whole.count <= 3 && groups.allSatisfy { $0.count == 3 }
        return whole + (isGrouped ? groups.joined() : groups.map { ".\($0)" }.joined())
    }

    /// Reads groups of three digits after commas, `{,}` or `,\!`, and drops the separators.
    private mutating func takeGroups() -> String {
        var groups = ""
        scan: while true {
            for mark in [",\\!", "{,}", "\\,", ",", "'", "_", "~"] {
                let length = mark.count
                guard index + length <= characters.count, String(characters[index..<(index + length)]) == mark,
                    digits(from: index + length) == 3
                else { continue }
                groups += String(characters[(index + length)..<(index + length + 3)])
                index += length + 3
                continue scan
            }
            return groups
        }
    }

    private mutating func takeExponent() -> String {
        guard let mark = peek(0), mark == "e" || mark == "E" else { return "" }
        let sign = peek() == "-" || peek() == "+" ? 1 : 0
        let count = digits(from: index + 1 + sign)
        guard count > 0, count <= 6, peek(1 + sign + count)?.isLetter != true else { return "" }
        let text = String(characters[index..<(index + 1 + sign + count)])
        index += 1 + sign + count
        return text
    }

    /// How many digits after the mark of feet here are inches.
    private func inches() -> Int? {
        guard let mark = peek(0), "'’′".contains(mark) else { return nil }
        let count = digits(from: index + 1)
        guard (1...2).contains(count), let end = peek(1 + count), "\"”″'".contains(end) else { return nil }
        return count
    }

    /// The length of `st`, `nd`, `rd` or `th` here.
    private func ordinalSuffix() -> Int? {
        guard let a = peek(0), let b = peek(1), peek(2)?.isLetter != true else { return nil }
        return ["st", "nd", "rd", "th"].contains("\(a)\(b)".lowercased()) ? 2 : nil
    }

    /// Letters with what belongs to them: `don't`, `twenty-one`, `H2O`, but not the sign of a value: `US$`, `x=5`.
    private mutating func takeWord() {
        var end = index + 1
        while end < characters.count {
            let character = characters[end]
            let next = end + 1 < characters.count ? characters[end + 1] : " "
            let isJoint = (character == "'" || character == "-") && next.isLetter && characters[end - 1].isLetter
            guard character.isLetter || character.isNumber && character.isASCII || isJoint else { break }
            end += 1
        }
        add(.word, length: end - index)
    }

    // MARK: Signs

    private mutating func takeMark(_ first: Character) {
        if first == "+", peek() == "/", peek(2) == "-" {
            index += 3
            return add(.mark, "±")
        }
        for mark in ["**", "<=", ">=", "!=", "=>", "->", "+-"] where first == mark.first && peek() == mark.last {
            return add(.mark, length: 2)
        }
        if first == "." { return takePoint() }
        if first == "?" || first == "!" { return takeExclamation(first) }
        // An alignment mark in an environment's lines.
        if first == "&" {
            index += 1
            return
        }
        if "½¼¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅐⅑".contains(first) { return add(.command, length: 1) }
        add(.mark, length: 1)
    }

    private mutating func takePoint() {
        let next = peek()
        if next == "." || next == nil || next?.isWhitespace == true || "\"')]*_$".contains(next ?? " ") {
            var end = index
            while end < characters.count, characters[end] == "." { end += 1 }
            let isAbbreviation =
                next != nil && end - index == 1 && pieces.last?.word.map(ProseWords.abbreviations.contains) == true
            if isAbbreviation || (end - index > 1 && end < characters.count) {
                index = end
                isSpaced = true
            } else {
                add(.end, "")
                index = end
            }
        } else {
            // Inside `p.m.` or `e.g.`
            index += 1
        }
    }

    /// The end of a sentence, or the sign of a factorial where an operator follows.
    private mutating func takeExclamation(_ first: Character) {
        var after = index + 1
        while after < characters.count, characters[after] == " " { after += 1 }
        // `10!.`
        let isCounted = index > 0 && characters[index - 1].isASCIIDigit && (peek() == "." || peek() == ",")
        if first == "!", isCounted || after < characters.count && "=+-*/)^<>".contains(characters[after]) {
            return add(.mark, length: 1)
        }
        add(.end, first == "?" ? "?" : "")
        index += 1
    }

    // MARK: Formulas

    /// A dollar sign: either of a price, or the start of a formula.
    private mutating func takeDollar() {
        if let end = ProseFormula.end(in: characters, from: index) {
            let content = String(characters[end.content])
            index = end.after
            return add(.formula, content)
        }
        if peek() == "$" {
            index += 2
            return
        }
        add(.currency, length: 1)
    }

    private mutating func takeBackslash() {
        guard let next = peek() else {
            index += 1
            return
        }
        if let end = ProseFormula.end(in: characters, from: index) {
            let content = String(characters[end.content])
            index = end.after
            return add(.formula, content)
        }
        guard next.isLetter else {
            index += 2
            switch next {
            case "$": add(.currency, "$")
            case "%", "{", "}", "|", "&", "#": add(.mark, String(next))
            case "\\": add(.end, "")
            default: isSpaced = true
            }
            return
        }
        takeCommand()
    }

    private mutating func takeCommand() {
        var end = index + 1
        while end < characters.count, characters[end].isLetter, characters[end].isASCII { end += 1 }
        let name = String(characters[(index + 1)..<end])
        if ProseWords.isTextCommand(name) {
            // The words of \text{} are words; its braces are dropped.
            index = end
            isSpaced = true
            return takeTextGroup()
        }
        if name == "begin" || name == "end" {
            // Each line of an environment stands alone.
            index = end
            if peek(0) == "{", let close = ProseFormula.group(characters, index) { index = close }
            return add(.end, "")
        }
        if let mark = Self.marks[name] {
            index = end
            return add(.mark, mark)
        }
        if Self.spacing.contains(name) {
            index = end
            isSpaced = true
            return
        }
        if name == "left" || name == "right" || name == "displaystyle" || name == "boxed" {
            index = end
            return
        }
        let openings = name == "sqrt" ? "{[^_" : "{^_"
        while end < characters.count, openings.contains(characters[end]),
            let close = ProseFormula.group(characters, end)
        {
            end = close
        }
        // \frac12
        if name.hasSuffix("frac"), characters[end - 1] != "}" {
            while end < characters.count, characters[end].isASCIIDigit || characters[end] == " " { end += 1 }
        }
        add(.command, length: end - index)
    }

    private mutating func takeTextGroup() {
        while peek(0) == " " { index += 1 }
        guard peek(0) == "{", let close = ProseFormula.group(characters, index) else { return }
        var inner = ProseLexer(String(characters[(index + 1)..<(close - 1)]))
        while inner.index < inner.characters.count { inner.take() }
        pieces += inner.pieces
        index = close
        isSpaced = true
    }

    private static let marks: [String: String] = [
        "times": "*", "cdot": "*", "ast": "*", "div": "/", "pm": "±", "mp": "±", "le": "<=", "leq": "<=", "ge": ">=",
        "geq": ">=", "ne": "!=", "neq": "!=", "approx": "≈", "simeq": "≈", "equiv": "=", "circ": "°", "degree": "°",
        "to": "→", "rightarrow": "→", "Rightarrow": "⇒", "implies": "⇒", "Longrightarrow": "⇒", "therefore": "⇒",
        "lt": "<", "gt": ">", "langle": "(", "rangle": ")", "lbrace": "{", "rbrace": "}", "cup": "∪",
    ]
    private static let spacing: Set<String> = [
        "quad", "qquad", "space", "thinspace", "newline", "dots", "ldots", "par",
    ]
}

/// Finds where formulas end.
enum ProseFormula {
    /// How many characters are searched for a formula's end.
    private static let longest = 2000

    /// A formula that begins at a dollar sign or at `\(` or `\[`: its content, and where the text continues. Nil where
    /// none begins, for example at the dollar sign of a price.
    static func end(in characters: [Character], from index: Int) -> (content: Range<Int>, after: Int)? {
        guard index + 1 < characters.count else { return nil }
        let next = characters[index + 1]
        if characters[index] == "\\" {
            guard next == "(" || next == "[" else { return nil }
            let closing: Character = next == "(" ? ")" : "]"
            var end = index + 2
            let limit = min(characters.count, index + longest)
            while end + 1 < limit {
                if characters[end] == "\\", characters[end + 1] == closing {
                    return ((index + 2)..<end, end + 2)
                }
                end += characters[end] == "\\" ? 2 : 1
            }
            return nil
        }
        return next == "$" ? display(characters, index) : inline(characters, index)
    }

    private static func display(_ characters: [Character], _ index: Int) -> (content: Range<Int>, after: Int)? {
        var end = index + 2
        let limit = min(characters.count, index + longest)
        while end + 1 < limit {
            if characters[end] == "$", characters[end + 1] == "$" {
                return end > index + 2 ? ((index + 2)..<end, end + 2) : nil
            }
            end += characters[end] == "\\" ? 2 : 1
        }
        return nil
    }

    /// The text between two dollar signs is a formula if it contains no words, does not end incomplete, as `5 + ` or
    /// `5. They paid ` would, and neither sign belongs to a price beside it.
    private static func inline(_ characters: [Character], _ index: Int) -> (content: Range<Int>, after: Int)? {
        if index > 0, characters[index - 1].isASCIIDigit { return nil }
        var end = index + 1
        let limit = min(characters.count, index + longest)
        while end < limit, characters[end] != "$", characters[end] != "\n" {
            end += characters[end] == "\\" ? 2 : 1
        }
        guard end < limit, characters[end] == "$", end > index + 1 else { return nil }
        if end + 1 < characters.count, characters[end + 1].isASCIIDigit { return nil }
        let first = characters[index + 1]
        let isPadded = first.isWhitespace
        guard characters[end - 1].isWhitespace == isPadded else { return nil }
        let content = String(characters[(index + 1)..<end])
        let last = characters[(index + 1)..<end].last { !$0.isWhitespace }
        guard let last, !"+-*/=(,;:<>^_".contains(last), !")]},;".contains(first) else { return nil }
        guard !ProseWords.arePresent(in: content) else { return nil }
        return ((index + 1)..<end, end + 1)
    }

    /// The end of a group that opens at `index`; the sign of a script may precede it.
    static func group(_ characters: [Character], _ index: Int) -> Int? {
        var start = index
        if characters[start] == "^" || characters[start] == "_" {
            start += 1
            guard start < characters.count else { return nil }
            if !"{[(\\".contains(characters[start]) { return start + 1 }
        }
        guard let open = characters.indices.contains(start) ? characters[start] : nil, "{[".contains(open) else {
            return nil
        }
        let close: Character = open == "{" ? "}" : "]"
        var level = 0
        for end in start..<min(characters.count, start + longest) {
            if characters[end] == open { level += 1 }
            if characters[end] == close { level -= 1 }
            if level == 0 { return end + 1 }
            if characters[end] == "\n", open == "[" { return nil }
        }
        return nil
    }
}
