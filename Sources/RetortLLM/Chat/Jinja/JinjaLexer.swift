/// Splits a Jinja template into text, expressions and statements (the syntax of Jinja 3, with the settings that
/// transformers uses for chat templates: `trim_blocks`, `lstrip_blocks`, no newline at the end).
struct JinjaLexer {
    /// A piece of a template.
    enum Piece {
        case text(String)
        /// `{{ … }}`
        case output([JinjaToken], line: Int)
        /// `{% … %}`
        case statement([JinjaToken], line: Int)

        var tokens: [JinjaToken] {
            switch self {
            case .text: []
            case .output(let tokens, _), .statement(let tokens, _): tokens
            }
        }
    }

    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var line = 1
    private var pieces: [Piece] = []
    /// Which of the following blanks the previous tag removes.
    private var trimsNext = Trim.none

    private enum Trim { case none, newline, all }

    /// The longest tag, in words and signs; it limits how deep an expression can be.
    private static let longestTag = 1000

    static func pieces(of template: String) throws(JinjaError) -> [Piece] {
        var text = Substring(template.replacing("\r\n", with: "\n").replacing("\r", with: "\n"))
        if text.hasSuffix("\n") { text.removeLast() }
        var lexer = JinjaLexer(scalars: Array(text.unicodeScalars))
        try lexer.run()
        return lexer.pieces
    }

    private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    private mutating func run() throws(JinjaError) {
        while position < scalars.count {
            let start = position
            while position < scalars.count, !isOpening(position) { position += 1 }
            let text = Array(scalars[start..<position])
            guard position < scalars.count else {
                append(text, before: nil, control: nil)
                break
            }
            let kind = scalars[position + 1]
            let control = position + 2 < scalars.count ? scalars[position + 2] : " "
            append(text, before: kind, control: control)
            try tag(kind)
        }
    }

    private func isOpening(_ index: Int) -> Bool {
        scalars[index] == "{" && index + 1 < scalars.count && "{%#".unicodeScalars.contains(scalars[index + 1])
    }

    /// Adds the text before a tag, without the blanks that the tags on both sides remove.
    private mutating func append(_ text: [Unicode.Scalar], before kind: Unicode.Scalar?, control: Unicode.Scalar?) {
        var text = text[...]
        let newlines = text.count { $0 == "\n" }
        switch trimsNext {
        case .none: break
        case .newline: if text.first == "\n" { text = text.dropFirst() }
        case .all: text = text.drop { $0.properties.isWhitespace }
        }
        if control == "-" {
            while let last = text.last, last.properties.isWhitespace { text = text.dropLast() }
        } else if let kind, kind != "{", control != "+" {
            // A statement alone on its line also removes the blanks of that line.
            let blanks = text.reversed().prefix { $0 == " " || $0 == "\t" }.count
            let rest = text.dropLast(blanks)
            if rest.last == "\n" || (rest.isEmpty && startsLine) { text = rest }
        }
        startsLine = false
        line += newlines
        if !text.isEmpty { pieces.append(.text(String(String.UnicodeScalarView(text)))) }
    }

    /// Whether the following text begins a line of the template.
    private var startsLine = true

    private mutating func tag(_ kind: Unicode.Scalar) throws(JinjaError) {
        let opened = line
        position += 2
        if position < scalars.count, scalars[position] == "-" || scalars[position] == "+" { position += 1 }
        if kind == "#" {
            let content = position
            while position + 1 < scalars.count, !(scalars[position] == "#" && scalars[position + 1] == "}") {
                if scalars[position] == "\n" { line += 1 }
                position += 1
            }
            guard position + 1 < scalars.count else { throw .syntax(line: opened, "a comment does not end") }
            let sign = position > content ? scalars[position - 1] : " "
            position += 2
            finish(sign == "-" || sign == "+" ? sign : nil, trimsNewline: true)
            return
        }
        let closing: Unicode.Scalar = kind == "{" ? "}" : "%"
        var tokens: [JinjaToken] = []
        // Counts open brackets: `{{ {'a': {'b': 1}} }}` ends after the last of them.
        var depth = 0
        while true {
            skipBlanks()
            guard position < scalars.count else { throw .syntax(line: opened, "a tag does not end") }
            if depth == 0, let control = takeEnd(closing) {
                finish(control, trimsNewline: kind == "%")
                break
            }
            let token = JinjaToken(kind: try token(), line: line)
            if case .sign(let sign) = token.kind {
                if "([{".contains(sign) { depth += 1 }
                if ")]}".contains(sign) { depth = max(depth - 1, 0) }
            }
            tokens.append(token)
            if tokens.count > Self.longestTag { throw .unsupported(line: opened, "a tag this long") }
        }
        pieces.append(kind == "{" ? .output(tokens, line: opened) : .statement(tokens, line: opened))
        if kind == "%", tokens.count == 1, tokens[0].kind == .name("raw") { try raw(opened) }
    }

    private mutating func finish(_ control: Unicode.Scalar?, trimsNewline: Bool) {
        trimsNext = control == "-" ? .all : trimsNewline && control != "+" ? .newline : .none
        startsLine = trimsNewline && control != "+" && position < scalars.count && scalars[position] == "\n"
    }

    /// Reads `%}`, `-%}` or `+%}`: returns the control character, a blank if there is none, or nil when the tag goes
    /// on.
    private mutating func takeEnd(_ closing: Unicode.Scalar) -> Unicode.Scalar? {
        for (text, control) in [("\(closing)}", " "), ("-\(closing)}", "-"), ("+\(closing)}", "+")] {
            let end = Array(text.unicodeScalars)
            guard position + end.count <= scalars.count,
                scalars[position..<position + end.count].elementsEqual(end)
            else { continue }
            position += end.count
            return Unicode.Scalar(control)
        }
        return nil
    }

    /// Reads everything up to `{% endraw %}` unchanged.
    private mutating func raw(_ opened: Int) throws(JinjaError) {
        pieces.removeLast()
        let start = position
        while position < scalars.count {
            if isOpening(position), scalars[position + 1] == "%" {
                let end = position
                let saved = (pieces, trimsNext, line)
                var words = JinjaLexer(scalars: scalars)
                (words.position, words.line) = (position, line)
                if (try? words.tag("%")) != nil, case .statement(let tokens, _)? = words.pieces.last,
                    tokens.map(\.kind) == [.name("endraw")]
                {
                    (pieces, trimsNext, line) = saved
                    // The newline behind the tag stays, and only a hyphen removes it.
                    if trimsNext == .newline { (trimsNext, startsLine) = (.none, false) }
                    append(Array(scalars[start..<end]), before: "%", control: scalars[end + 2])
                    (position, trimsNext, startsLine) = (words.position, words.trimsNext, words.startsLine)
                    return
                }
            }
            position += 1
        }
        throw .syntax(line: opened, "{% raw %} does not end")
    }

    private mutating func skipBlanks() {
        while position < scalars.count, scalars[position].properties.isWhitespace {
            if scalars[position] == "\n" { line += 1 }
            position += 1
        }
    }

    private static let operators = [
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ",", ":", "|", "(", ")",
        "[", "]", "{", "}",
    ].map { (text: $0, scalars: Array($0.unicodeScalars)) }

    private mutating func token() throws(JinjaError) -> JinjaToken.Kind {
        let first = scalars[position]
        if first == "'" || first == "\"" { return .string(try string(first)) }
        if first.properties.isAlphabetic || first == "_" {
            return .name(take { $0.properties.isAlphabetic || $0 == "_" || $0.properties.numericType != nil })
        }
        if ("0"..."9").contains(first) { return try number() }
        for (text, sign) in Self.operators where scalars[position...].starts(with: sign) {
            position += sign.count
            return .sign(text)
        }
        throw .syntax(line: line, "'\(first)' is not expected")
    }

    private mutating func take(while condition: (Unicode.Scalar) -> Bool) -> String {
        let start = position
        while position < scalars.count, condition(scalars[position]) { position += 1 }
        return String(String.UnicodeScalarView(scalars[start..<position]))
    }

    private mutating func number() throws(JinjaError) -> JinjaToken.Kind {
        func isDigit(_ index: Int) -> Bool { index < scalars.count && ("0"..."9").contains(scalars[index]) }
        // Behind a dot, as in `list.0.1`, there is no fraction.
        let isPlace = position > 0 && scalars[position - 1] == "."
        if let value = based() { return .integer(value) }
        var digits = take { ("0"..."9").contains($0) || $0 == "_" }.replacing("_", with: "")
        var isWhole = true
        if isPlace, let place = Int(digits) { return .integer(place) }
        if position < scalars.count, scalars[position] == ".", isDigit(position + 1) {
            isWhole = false
            position += 1
            digits += "." + take { ("0"..."9").contains($0) }
        }
        if position < scalars.count, scalars[position] == "e" || scalars[position] == "E" {
            let isSigned =
                position + 1 < scalars.count && (scalars[position + 1] == "+" || scalars[position + 1] == "-")
            if isDigit(position + (isSigned ? 2 : 1)) {
                isWhole = false
                digits += "e" + (isSigned ? String(scalars[position + 1]) : "")
                position += isSigned ? 2 : 1
                digits += take { ("0"..."9").contains($0) }
            }
        }
        if isWhole, let value = Int(digits) { return .integer(value) }
        guard !isWhole, let value = Double(digits) else { throw .syntax(line: line, "'\(digits)' is no number") }
        return .float(value)
    }

    /// A number such as `0x1F`; nil when there is none here.
    private mutating func based() -> Int? {
        guard scalars[position] == "0", position + 2 < scalars.count,
            let base = ["x": 16, "X": 16, "o": 8, "O": 8, "b": 2, "B": 2][String(scalars[position + 1])]
        else { return nil }
        let digits = scalars[(position + 2)...].prefix { $0 == "_" || $0.properties.isASCIIHexDigit }
        guard let value = Int(String(String.UnicodeScalarView(digits)).replacing("_", with: ""), radix: base) else {
            return nil
        }
        position += 2 + digits.count
        return value
    }

    private mutating func string(_ quote: Unicode.Scalar) throws(JinjaError) -> String {
        let opened = line
        var text = String.UnicodeScalarView()
        position += 1
        while position < scalars.count {
            let scalar = scalars[position]
            position += 1
            if scalar == quote { return String(text) }
            if scalar == "\n" { line += 1 }
            guard scalar == "\\", position < scalars.count else {
                text.append(scalar)
                continue
            }
            text.append(contentsOf: try escaped())
        }
        throw .syntax(line: opened, "a string does not end")
    }

    private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
        "n": "\n", "t": "\t", "r": "\r", "a": "\u{7}", "b": "\u{8}", "f": "\u{C}", "v": "\u{B}", "\\": "\\", "'": "'",
        "\"": "\"",
    ]

    /// What Python reads behind a backslash.
    private mutating func escaped() throws(JinjaError) -> [Unicode.Scalar] {
        let mark = scalars[position]
        position += 1
        if let scalar = Self.escapes[mark] { return [scalar] }
        switch mark {
        case "\n":
            line += 1
            return []
        case "x": return [try character(digits: 2, after: mark)]
        case "u": return [try character(digits: 4, after: mark)]
        case "U": return [try character(digits: 8, after: mark)]
        case "0"..."7":
            let digits = scalars[(position - 1)...].prefix(3).prefix { ("0"..."7").contains($0) }
            position += digits.count - 1
            return [Unicode.Scalar(UInt32(String(String.UnicodeScalarView(digits)), radix: 8) ?? 0) ?? "\0"]
        case "N": throw .unsupported(line: line, "a character by its name, '\\N{…}',")
        default: return ["\\", mark]
        }
    }

    private mutating func character(digits count: Int, after mark: Unicode.Scalar) throws(JinjaError) -> Unicode.Scalar
    {
        let digits = String(String.UnicodeScalarView(scalars[position..<min(position + count, scalars.count)]))
        guard digits.count == count, digits.allSatisfy(\.isHexDigit),
            let scalar = UInt32(digits, radix: 16).flatMap(Unicode.Scalar.init)
        else { throw .syntax(line: line, "'\\\(mark)\(digits)' is no character") }
        position += count
        return scalar
    }
}

/// A word or sign in a tag.
struct JinjaToken {
    enum Kind: Equatable {
        case name(String)
        case string(String)
        case integer(Int)
        case float(Double)
        case sign(String)
    }

    let kind: Kind
    let line: Int
}
