/// A block of code in a model's text.
struct CodeBlock {
    /// Whether it stands between `<code>` and `</code>`.
    let isTagged: Bool
    /// Whether it says that it is Python.
    let isNamed: Bool
    /// Whether it is Python, or says nothing of its language, and holds anything.
    let isProgram: Bool
    let program: String
    /// What stands before the block in its first line.
    let label: String
    /// The number of its first line.
    var line: Int
    /// The number of the line behind it.
    var after: Int
    /// Whether the text's lines end as those of Windows do.
    let endsInReturn: Bool
}

/// How a block of code begins.
struct BlockOpening {
    private enum Form {
        /// Three or more of a character, as in CommonMark. `column` is where they begin, counted in blanks.
        case fence(mark: Unicode.Scalar, length: Int, column: Int)
        /// All of it in one line.
        case line
        case tag
    }

    private let form: Form
    private let isPython: Bool
    /// Whether it says so.
    let isNamed: Bool
    private let label: String
    /// What stands behind the opening in its line and is part of the program.
    private let rest: String?
    /// Whether the text's lines end as those of Windows do.
    private let endsInReturn: Bool

    private static let python: Set<String> = ["", "py", "python", "python3", "py3", "ipython", "ipython3", "tool_code"]

    /// The opening in a line, behind labels or nothing; nil when there is none.
    init?(_ line: String) {
        let scalars = Array(line.unicodeScalars)
        endsInReturn = scalars.last == "\r"
        let (start, column) = Self.start(of: line)
        let head = scalars[start...]
        label = String(String.UnicodeScalarView(scalars[..<start]))
        if head.first == "<", case let text = Self.text(head), let tag = text.prefixMatch(of: CodeTag.opening) {
            let isPython = Self.python.contains(CodeTag.language(of: tag.output))
            (form, self.isPython, isNamed) = (.tag, isPython, isPython)
            rest = String(text[tag.range.upperBound...])
            return
        }
        guard let mark = head.first, mark == "`" || mark == "~" else { return nil }
        let length = head.prefix { $0 == mark }.count
        guard length >= 3 else { return nil }
        let info = Self.text(head.dropFirst(length)).trimmed
        if mark == "`", info.contains("`") {
            guard let content = Self.oneLine(info, length) else { return nil }
            let (language, code) = Self.split(content)
            isNamed = Self.python.contains(language) && !language.isEmpty
            (form, isPython, rest) = (
                .line, isNamed || !Self.others.contains(language), isNamed ? code : content
            )
            return
        }
        let (language, more) = Self.split(info)
        form = .fence(mark: mark, length: length, column: column)
        isPython = Self.python.contains(language)
        isNamed = isPython && !language.isEmpty
        // A program that begins in the fence's own line, not the attributes of a block.
        rest = isPython && !more.isEmpty && !Self.areAttributes(more) ? more : nil
    }

    /// A tag within a line, for texts that have no other program.
    init?(inline line: String) {
        guard line.contains("<"), let mark = line.firstRange(of: CodeTag.opening),
            Self.python.contains(CodeTag.language(of: line[mark]))
        else { return nil }
        endsInReturn = line.unicodeScalars.last == "\r"
        (form, isPython, isNamed) = (.tag, true, true)
        label = String(line[..<mark.lowerBound])
        rest = String(line[mark.upperBound...])
    }

    /// Whether a program may follow.
    var isProgram: Bool { isPython }

    // MARK: The opening line

    /// Where a line's block begins, behind labels, list marks and blanks, and how many blanks deep its lines stand.
    private static func start(of line: String) -> (offset: Int, column: Int) {
        let scalars = Array(line.unicodeScalars)
        var (at, column, isLabelled) = (0, 0, false)
        func skipBlanks() {
            while at < scalars.count, scalars[at] == " " || scalars[at] == "\t" {
                column = scalars[at] == "\t" ? column / 4 * 4 + 4 : column + 1
                at += 1
            }
        }
        skipBlanks()
        // Most lines have no block, and expressions take long.
        guard scalars[at...].contains(where: { $0 == "`" || $0 == "~" || $0 == "<" }) else { return (at, column) }
        while let label = TurnLabel.length(atStartOf: text(scalars[at...])) {
            at += label
            isLabelled = true
            skipBlanks()
        }
        let isListed =
            at < scalars.count && ("-*+".unicodeScalars.contains(scalars[at]) || ("0"..."9").contains(scalars[at]))
        if !isLabelled, isListed, let mark = line.prefixMatch(of: /[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+(?=```|~~~)/) {
            let width = mark.output.unicodeScalars.count
            return (width, width)
        }
        // Not CommonMark's, but models do open a block at the end of a line of prose.
        let rest = text(scalars[at...])
        guard !rest.hasPrefix("```") else { return (at, isLabelled ? 0 : column) }
        let opening = /(?:<code(?:\s[^<>]*)?>|`{3,}(?:py|python3?|ipython|tool_code))\s*$/.ignoresCase()
        if rest.first != ">", let mark = rest.firstMatch(of: opening), mark.range.lowerBound > rest.startIndex,
            !rest[..<mark.range.lowerBound].contains("```")
        {
            return (at + rest[..<mark.range.lowerBound].unicodeScalars.count, 0)
        }
        return (at, isLabelled ? 0 : column)
    }

    /// What stands before the backticks that close a block in its own line; nil when they do not.
    private static func oneLine(_ info: String, _ length: Int) -> String? {
        let text = EndMark.removed(from: info)
        let closing = text.unicodeScalars.reversed().prefix { $0 == "`" }.count
        guard closing >= length else { return nil }
        let content = String(text.dropLast(closing)).trimmed
        return content.contains("```") ? nil : content
    }

    /// The language and the rest: of `python title="a"`, `{.python #id}`, `python:a.py`, `py {1,3}`, `{code-cell} ipython3`.
    private static func split(_ info: String) -> (language: String, rest: String) {
        if let directive = info.prefixMatch(of: /\{code(?:-cell|-block)?\}\s*(?=\S)/) {
            return split(String(info[directive.range.upperBound...]))
        }
        let bare = info.drop { $0 == "{" || $0 == "." }
        let language = bare.prefix { $0.isLetter || $0.isNumber || "_+-#".contains($0) }
        return (language.lowercased(), String(bare.dropFirst(language.count)).trimmed)
    }

    /// Whether each word is an attribute as writers of fences use them, and none a piece of a program.
    private static func areAttributes(_ words: String) -> Bool {
        let attribute =
            #/(?:\{[^}]*\}?|\[[^\]]*\]|[\w.:-]+=(?:"[^"]*"|'[^']*'|[^\s"']+)|[.#:,][^\s(]*|[\w/-]+\.\w{1,5}|[\w:-]+|\})/#
        // HackMD's numbers of lines: `python=`, `python=10`, `python=+`.
        if words.wholeMatch(of: /=\s*(?:\d+|\+)?!?/) != nil { return true }
        var rest = words[...]
        var count = 0
        while !rest.isEmpty {
            guard let match = rest.prefixMatch(of: attribute) else { return false }
            rest = rest[match.range.upperBound...]
            guard rest.isEmpty || rest.first?.isWhitespace == true || rest.first == "}" else { return false }
            rest = rest.drop(while: \.isWhitespace)
            // Words alone are names of options, but `import math` is a program.
            if match.output.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) { count += 1 }
        }
        return count <= 1 && !["pass", "break", "continue", "return"].contains(words)
    }

    /// Languages that models fence and that are not to run.
    private static let others: Set<String> = [
        "json", "bash", "sh", "shell", "console", "text", "txt", "output", "html", "xml", "yaml", "yml", "sql", "js",
        "javascript", "ts", "typescript", "c", "cpp", "java", "rust", "go", "swift", "markdown", "md", "latex", "tex",
        "math", "diff", "csv", "toml", "ini", "r", "julia", "plaintext",
    ]

    private static func text(_ scalars: some Collection<Unicode.Scalar>) -> String {
        String(String.UnicodeScalarView(scalars))
    }

    // MARK: The block

    /// The block that begins in a line.
    func block(in lines: [String], at line: Int) -> CodeBlock {
        let (body, after): (String, Int)
        switch form {
        case .line: (body, after) = (rest ?? "", line + 1)
        case .tag: (body, after) = tagged(lines, line)
        case .fence(let mark, let length, let column):
            let (content, next) = fenced(lines, line + 1, mark, length)
            let program = content.map { ProgramText.dedented($0, by: column) }
            (body, after) = (
                (program.isEmpty && rest == nil ? [""] : (rest.map { [$0] } ?? []) + program)
                    .joined(separator: "\n"), next
            )
        }
        let program = ProgramText.cleaned(body)
        return CodeBlock(
            isTagged: { if case .tag = form { true } else { false } }(), isNamed: isNamed,
            isProgram: isPython && !program.trimmed.isEmpty, program: program, label: label, line: line, after: after,
            endsInReturn: endsInReturn)
    }

    /// A line without the end that the opening line has, too.
    private func unended(_ line: String) -> String {
        endsInReturn && line.unicodeScalars.last == "\r" ? String(line.unicodeScalars.dropLast()) : line
    }

    /// The lines up to the closing fence, and the line after it.
    private func fenced(
        _ lines: [String], _ start: Int, _ mark: Unicode.Scalar, _ length: Int
    ) -> (content: [String], after: Int) {
        var scanner = PythonScanner()
        if let rest { _ = scanner.places(in: Array(rest.unicodeScalars)) }
        var closingInString: Int?
        var first = start
        func content(to end: Int, _ last: String = "") -> [String] {
            lines[first..<end].map(unended) + (last.trimmed.isEmpty ? [] : [last])
        }
        for index in lines.indices.dropFirst(start) {
            let closes = Self.isClosing(lines[index], mark, length)
            if closes, !isPython || !scanner.isInString { return (content(to: index), index + 1) }
            if closes { closingInString = closingInString ?? index }
            if isPython, mark == "`", !scanner.isInString, Self.beginsWithFence(lines[index], length) {
                // Outside its strings no program has backticks: the block ends here, or begins only here.
                let opensPython = Self.opensPython(lines[index])
                guard opensPython, rest == nil, lines[first..<index].allSatisfy(Self.isBlank) else {
                    return (content(to: index), isNamed && opensPython ? index : index + 1)
                }
                first = index + 1
                continue
            }
            let line = Array(lines[index].unicodeScalars)
            let places = isPython ? scanner.places(in: line) : line.map { _ in .code }
            // Some models close right behind the last statement.
            if mark == "`", let at = Self.closing(in: line, places, length) {
                return (content(to: index, Self.text(line[..<at])), index + 1)
            }
        }
        // A string that never ends holds nothing together.
        if scanner.isInString, let closingInString { return (content(to: closingInString), closingInString + 1) }
        return (Self.withoutEnd(lines.dropFirst(first).map(unended)), lines.count)
    }

    /// Lines of a block that the model was stopped in, without the marks by which it ended its turn.
    private static func withoutEnd(_ lines: [String]) -> [String] {
        var lines = lines
        while let last = lines.last, isBlank(last) { lines.removeLast() }
        if let last = lines.popLast() { lines.append(EndMark.removed(from: last)) }
        return lines
    }

    private static func isBlank(_ line: String) -> Bool { EndMark.removed(from: line).isEmpty }

    private static func beginsWithFence(_ line: String, _ length: Int) -> Bool {
        line.trimmed.unicodeScalars.prefix { $0 == "`" }.count >= length
    }

    private static func opensPython(_ line: String) -> Bool {
        guard let opening = BlockOpening(line), case .fence = opening.form else { return false }
        return opening.isNamed && opening.rest == nil
    }

    /// Whether a line is a closing fence, or one with marks of a turn's end behind it.
    private static func isClosing(_ line: String, _ mark: Unicode.Scalar, _ length: Int) -> Bool {
        let bare = line.trimmed
        let run = bare.unicodeScalars.prefix { $0 == mark }.count
        guard run >= length else { return false }
        return bare.dropFirst(run).wholeMatch(of: /(?:\s*<[^<>\s]{1,40}>)*\s*/) != nil
    }

    /// Where backticks outside strings and comments end a line.
    private static func closing(in line: [Unicode.Scalar], _ places: [PythonScanner.Context], _ length: Int) -> Int? {
        let bare = Array(EndMark.removed(from: text(line)).unicodeScalars)
        let run = bare.reversed().prefix { $0 == "`" }.count
        guard run >= length else { return nil }
        let at = bare.count - run
        return places[at] == .code && !text(line[..<at]).contains("```") ? at : nil
    }

    /// The text up to `</code>`, and the line after it.
    private func tagged(_ lines: [String], _ line: Int) -> (program: String, after: Int) {
        var scanner = PythonScanner()
        var content: [String] = []
        // Where the block ends if no tag closes it outside strings and comments.
        var (closingInString, closingInComment): ((content: [String], after: Int)?, (content: [String], after: Int)?)
        func program(_ lines: [String]) -> String {
            var lines = lines[...]
            if lines.first?.trimmed.isEmpty == true { lines.removeFirst() }
            if lines.last?.trimmed.isEmpty == true { lines.removeLast() }
            let text = lines.joined(separator: "\n")
            // Some models fence what they tag.
            let first = lines.first { !$0.trimmed.isEmpty } ?? ""
            return first.trimmed.hasPrefix("```") ? FencedBlocks(text)?.program ?? text : text
        }
        for index in lines.indices.dropFirst(line) {
            let text = unended(index == line ? rest ?? "" : lines[index])
            if !scanner.isInString, CodeTag.isOpening(text) {
                if content.allSatisfy(Self.isBlank) { continue }
                // Where no closing tag follows, the model has closed with an opening one.
                let isNext = lines[(index + 1)...].contains { $0.contains("<") && $0.contains(CodeTag.closing) }
                return (program(closingInComment?.content ?? content), isNext ? index : index + 1)
            }
            let places = scanner.places(in: Array(text.unicodeScalars))
            for mark in text.contains("<") ? text.ranges(of: CodeTag.closing) : [] {
                let at = text.unicodeScalars.distance(
                    from: text.unicodeScalars.startIndex, to: mark.lowerBound)
                let before = content + [String(text[..<mark.lowerBound])]
                switch places[at] {
                case .code: return (program(before), index + 1)
                case .comment: closingInComment = closingInComment ?? (before, index + 1)
                case .string: closingInString = closingInString ?? (before, index + 1)
                }
            }
            content.append(text)
        }
        if scanner.isInString, let (before, after) = closingInString { return (program(before), after) }
        if let (before, after) = closingInComment { return (program(before), after) }
        return (program(Self.withoutEnd(content)), lines.count)
    }
}
