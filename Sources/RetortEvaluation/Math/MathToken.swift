/// A piece of an answer's text.
struct MathToken: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// Digits with at most one point, and an exponent.
        case number(String)
        /// A run of letters that is a name, or a single letter.
        case name(String)
        /// A LaTeX command without its backslash.
        case command(String)
        /// Words: from `\text{}`, or letters that are not a name.
        case text(String)
        /// An operator or a bracket; `**` is `^`.
        case mark(String)
    }

    let kind: Kind
    /// Whether white space precedes it.
    let isSpaced: Bool
    /// Whether it is a comma between thousands.
    var isGrouping = false

    func isMark(_ text: String) -> Bool { kind == .mark(text) }

    func isCommand(_ text: String) -> Bool { kind == .command(text) }

    var isNumber: Bool { if case .number = kind { true } else { false } }
}

/// Why a text is not mathematics.
struct MathSyntaxError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Cuts LaTeX, plain text and Python or SymPy text into tokens.
struct MathLexer {
    private var rest: Substring
    private var tokens: [MathToken] = []
    private var isSpaced = false
    private var depth = 0
    private let groupsThousands: Bool

    /// - Parameter groupsThousands: whether `1,234` outside brackets is one number.
    /// - Throws: `MathSyntaxError` for characters that no answer contains.
    static func tokens(_ text: String, groupsThousands: Bool = true) throws -> [MathToken] {
        guard text.utf8.count <= MathLimits.text else { throw MathSyntaxError("longer than \(MathLimits.text) bytes") }
        var lexer = MathLexer(rest: text[...], groupsThousands: groupsThousands)
        while let first = lexer.rest.first { try lexer.take(first) }
        return lexer.tokens
    }

    private init(rest: Substring, groupsThousands: Bool) {
        self.rest = rest
        self.groupsThousands = groupsThousands
    }

    private mutating func add(_ kind: MathToken.Kind) {
        tokens.append(MathToken(kind: kind, isSpaced: isSpaced))
        isSpaced = false
        if case .mark(let mark) = kind {
            if "([{".contains(mark) { depth += 1 }
            if ")]}".contains(mark) { depth = max(depth - 1, 0) }
        }
    }

    private mutating func take(_ first: Character) throws {
        if first.isWhitespace || first == "~" {
            rest.removeFirst()
            isSpaced = true
        } else if first == "\\" {
            rest.removeFirst()
            try takeCommand()
        } else if first.isASCII, first.isNumber || (first == "." && rest.dropFirst().first?.isASCIIDigit == true) {
            takeNumber()
        } else if let name = Self.unicodeNames[first] {
            rest.removeFirst()
            add(name)
        } else if first.isLetter {
            takeLetters()
        } else {
            try takeMark(first)
        }
    }

    // MARK: Numbers

    private mutating func takeNumber() {
        var digits = takeDigits()
        while let width = groupMark(), startsWithThreeDigits(rest.dropFirst(width)) {
            rest = rest.dropFirst(width)
            digits += takeDigits()
        }
        if digits.count <= 3, let groups = pointedGroups() {
            digits += groups
        } else if rest.first == ".", rest.dropFirst().first != "." {
            rest.removeFirst()
            digits += "." + takeDigits()
        }
        if let exponent = exponentLength() {
            digits += rest.prefix(exponent)
            rest = rest.dropFirst(exponent)
        }
        add(.number(digits))
    }

    private mutating func takeDigits() -> String {
        let run = rest.prefix { $0.isASCIIDigit }
        rest = rest[run.endIndex...]
        return String(run)
    }

    /// Moves past the groups of `1.234.567`, where points separate thousands, and gives their digits; nil for fewer than
    /// two groups.
    private mutating func pointedGroups() -> String? {
        guard rest.first == ".", let match = rest.prefixMatch(of: /(?:\.[0-9]{3}){2,}(?![0-9]|\.[0-9])/) else {
            return nil
        }
        rest = rest[match.range.upperBound...]
        return match.output.filter { $0 != "." }
    }

    /// The length of the separator of thousands here; nil when there is none.
    private func groupMark() -> Int? {
        for mark in [",\\!", "{,}", "\\,", "\\!", "_", "~"] where rest.hasPrefix(mark) {
            let after = rest.dropFirst(mark.count)
            return mark.count + after.prefix { $0 == " " }.count
        }
        return groupsThousands && depth == 0 && rest.first == "," ? 1 : nil
    }

    private func startsWithThreeDigits(_ text: Substring) -> Bool { text.prefix { $0.isASCIIDigit }.count == 3 }

    /// The length of `e-7` here.
    private func exponentLength() -> Int? {
        guard let mark = rest.first, mark == "e" || mark == "E" else { return nil }
        let after = rest.dropFirst()
        let sign = after.first == "-" || after.first == "+" ? 1 : 0
        let digits = after.dropFirst(sign).prefix { $0.isASCIIDigit }.count
        return digits > 0 && digits <= 6 ? 1 + sign + digits : nil
    }

    // MARK: Letters

    private mutating func takeLetters() {
        let run = rest.prefix { $0.isLetter }
        rest = rest[run.endIndex...]
        let word = String(run)
        if isCurrency(word) { return }
        if isSpaced, ["and", "or"].contains(word) { return add(.text(word)) }
        // `5:30 PM`
        if case .number? = tokens.last?.kind, ["am", "pm"].contains(word.lowercased()) {
            return add(.text(word.lowercased()))
        }
        // `3 x 10^8`
        if word == "x" || word == "X", case .number? = tokens.last?.kind,
            rest.drop(while: \.isWhitespace).first?.isASCIIDigit == true
        {
            return add(.mark("*"))
        }
        // `12 cm` is a length, `2ab` a product.
        if word.count > 1, case .number? = tokens.last?.kind, let unit = unit(word) {
            add(.text(unit))
        } else if let names = MathNames.segments(word) {
            for name in names { add(.name(name)) }
        } else {
            add(.text(word))
        }
    }

    /// A unit after a number; without a blank, `2min` and `18mph` contain one, but `3in` does not.
    private func unit(_ word: String) -> String? {
        if MathNames.units[word] != nil, isSpaced || MathNames.segments(word) != [word] { return word }
        let small = word.lowercased()
        return isSpaced && word.count > 2 && MathNames.units[small] != nil ? small : nil
    }

    /// `US` before a dollar sign, or `USD` before an amount.
    private func isCurrency(_ word: String) -> Bool {
        if rest.first == "$" || rest.hasPrefix("\\$") {
            return ["US", "CA", "AU", "NZ", "HK", "C", "A", "S"].contains(word)
        }
        guard ["USD", "EUR", "GBP", "INR", "CAD", "AUD", "JPY", "CNY", "RMB", "Rs"].contains(word) else { return false }
        return rest.drop { $0 == "." || $0.isWhitespace }.first?.isASCIIDigit == true
    }

    // MARK: Commands

    private mutating func takeCommand() throws {
        guard let first = rest.first else { return }
        guard first.isLetter else {
            rest.removeFirst()
            switch first {
            case "{", "}": add(.mark("\\\(first)"))
            case "\\": add(.command("\\"))
            case "%": add(.mark("%"))
            case "|": add(.mark("|"))
            case "$": break
            default: isSpaced = true
            }
            return
        }
        let name = String(rest.prefix { $0.isLetter && $0.isASCII })
        rest = rest.dropFirst(max(name.count, 1))
        if Self.ignored.contains(name) { return }
        if ["color", "textcolor", "tag"].contains(name) {
            _ = try takeGroupText()
            return
        }
        if name == "not", rest.drop(while: \.isWhitespace).first == "=" {
            rest = rest.drop(while: \.isWhitespace).dropFirst()
            return add(.mark("!="))
        }
        if Self.spacing.contains(name) {
            isSpaced = true
        } else if Self.texts.contains(name) {
            add(.text(try takeGroupText()))
        } else if let mark = Self.markNames[name] {
            add(.mark(mark))
        } else {
            add(.command(Self.synonyms[name] ?? name))
        }
    }

    /// The text in the braces that follow.
    private mutating func takeGroupText() throws -> String {
        rest = rest.drop(while: \.isWhitespace)
        guard rest.first == "{" else { return String(rest.popFirst().map(String.init) ?? "") }
        var level = 0
        for index in rest.indices {
            if rest[index] == "{" { level += 1 }
            if rest[index] == "}" { level -= 1 }
            if level == 0 {
                let content = rest[rest.index(after: rest.startIndex)..<index]
                rest = rest[rest.index(after: index)...]
                return String(content)
            }
        }
        throw MathSyntaxError("a brace is not closed")
    }

    // MARK: Marks

    private mutating func takeMark(_ first: Character) throws {
        if rest.hasPrefix("...") || first == "…" { throw MathSyntaxError("a list is not written out") }
        if rest.hasPrefix("**") {
            rest = rest.dropFirst(2)
            return add(.mark("^"))
        }
        for (text, mark) in [("<=", "<="), (">=", ">="), ("!=", "!="), ("==", "="), ("+-", "±"), ("+/-", "±")]
        where rest.hasPrefix(text) {
            rest = rest.dropFirst(text.count)
            return add(.mark(mark))
        }
        rest.removeFirst()
        switch first {
        case "$", "€", "£", "¥", "₹", "₩", "₽", "₱", "\u{200B}": return
        case "∅": add(.command("emptyset"))
        case "¢": add(.text("cents"))
        case "℃": add(.text("°C"))
        case "℉": add(.text("°F"))
        case "−", "–", "‐", "\u{2011}", "\u{2012}": add(.mark("-"))
        case "\u{2044}", "\u{2215}": add(.mark("/"))
        case "×", "·", "⋅", "∙": add(.mark("*"))
        case "÷": add(.mark("/"))
        case "≤": add(.mark("<="))
        case "≥": add(.mark(">="))
        case "≠": add(.mark("!="))
        case "∈": add(.mark("in"))
        case "≈": add(.mark("≈"))
        case "∓": add(.mark("±"))
        case "º": add(.mark("°"))
        case "²": addPower("2")
        case "³": addPower("3")
        case let sign where Self.fractions[sign] != nil:
            add(.command("frac"))
            add(.number(Self.fractions[sign] ?? ""))
        case "+", "-", "*", "/", "^", "_", "(", ")", "[", "]", "{", "}", ",", ";", ":", "=", "<", ">", "|", "!", "&",
            "%", "°", "±", "√", "∪", "∩", ".", "'", "\"":
            add(.mark(String(first)))
        default: throw MathSyntaxError("'\(first)' is no mathematics")
        }
    }

    private mutating func addPower(_ digit: String) {
        add(.mark("^"))
        add(.number(digit))
    }

    /// Fractions that are a single character, written as `\frac` takes their digits.
    private static let fractions: [Character: String] = [
        "½": "12", "⅓": "13", "⅔": "23", "¼": "14", "¾": "34", "⅕": "15", "⅖": "25", "⅗": "35", "⅘": "45", "⅙": "16",
        "⅚": "56", "⅛": "18", "⅜": "38", "⅝": "58", "⅞": "78", "⅐": "17", "⅑": "19",
    ]

    private static let ignored: Set<String> = [
        "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "displaystyle", "textstyle",
        "limits", "rm", "bf", "it", "middle", "boxed", "mathbf", "boldsymbol", "mathit", "mathsf", "bm", "phantom",
    ]
    private static let spacing: Set<String> = ["quad", "qquad", "space", "thinspace", "hspace", "newline"]
    private static let texts: Set<String> = [
        "text", "mbox", "textbf", "textit", "textrm", "textnormal", "mathrm", "texttt", "operatorname", "hbox",
        "mathtt", "textsf", "emph",
    ]
    private static let synonyms = [
        "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "nicefrac": "frac",
        "sfrac": "frac",
    ]
    private static let markNames = [
        "cdot": "*", "times": "*", "ast": "*", "div": "/", "pm": "±", "mp": "±", "le": "<=", "leq": "<=",
        "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "ne": "!=", "neq": "!=", "lt": "<", "gt": ">",
        "in": "in", "approx": "≈", "simeq": "≈", "cup": "∪", "bigcup": "∪", "cap": "∩", "circ": "°", "degree": "°",
        "vert": "|", "lvert": "|", "rvert": "|", "mid": "|", "lbrace": "\\{", "rbrace": "\\}", "lbrack": "[",
        "rbrack": "]", "colon": ":", "langle": "(", "rangle": ")", "equiv": "=", "to": "→", "land": ",", "lor": ",",
        "wedge": ",", "vee": ",", "setminus": "∖", "backslash": "∖",
    ]
    private static let unicodeNames: [Character: MathToken.Kind] = [
        "π": .name("pi"), "∞": .name("oo"), "θ": .name("theta"), "α": .name("alpha"), "β": .name("beta"),
        "γ": .name("gamma"), "φ": .name("phi"), "λ": .name("lambda"), "ℝ": .name("Reals"),
    ]
}

extension Character {
    var isASCIIDigit: Bool { isASCII && isNumber }
}
