/// Makes what stands in a block a program that Python takes.
enum ProgramText {
    /// A text without marks of a turn's end behind it, and without the indent that its lines share.
    static func cleaned(_ text: String) -> String { dedented(withoutEndMarks(text)) }

    /// Marks in strings and comments are the program's.
    private static func withoutEndMarks(_ text: String) -> String {
        guard EndMark.before(in: text) != nil else { return text }
        let isCode = PythonPlaces.isCode(text)
        var kept = text
        while let before = EndMark.before(in: kept), isCode[before.unicodeScalars.count] { kept = before }
        return kept.utf8.count == text.utf8.count ? text : EndMark.withoutBlanks(kept)
    }

    /// As `textwrap.dedent` of Python, except that neither lines of a string nor those with only a comment count, and that
    /// the former stay as they are.
    private static func dedented(_ text: String) -> String {
        let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
        var scanner = PythonScanner()
        var isOutside: [Bool] = []
        var shared: Int?
        for line in lines {
            isOutside.append(!scanner.isInString)
            if !scanner.isInString, let column = column(of: line) { shared = min(shared ?? column, column) }
            _ = scanner.places(in: Array(line))
        }
        guard let shared, shared > 0 else { return text }
        return zip(lines, isOutside).map { $1 ? dedented(String($0), by: shared) : String($0) }.joined(separator: "\n")
    }

    /// How many blanks deep a line's statement begins; nil when it has none.
    private static func column(of line: Substring.UnicodeScalarView) -> Int? {
        var column = 0
        for scalar in line {
            switch scalar {
            case " ": column += 1
            case "\t": column = column / 4 * 4 + 4
            case "#", "\r": return nil
            default: return column
            }
        }
        return nil
    }

    /// A line that stands so many blanks less deep, as CommonMark reads the lines of an indented fence.
    static func dedented(_ line: String, by columns: Int) -> String {
        var rest = line.unicodeScalars[...]
        var column = 0
        while column < columns, let blank = rest.first, blank == " " || blank == "\t" {
            column = blank == "\t" ? column / 4 * 4 + 4 : column + 1
            rest.removeFirst()
        }
        return String(repeating: " ", count: max(column - columns, 0)) + String(rest)
    }
}
