/// Tells, line by line, which characters of a Python program stand in strings and comments: as Python's own tokenizer does
/// (docs.python.org, "Lexical analysis", 2.4.1), and without judging the rest.
struct PythonScanner {
    enum Context {
        case code, comment, string
    }

    /// The string that goes on in the next line.
    private var quote: (mark: Unicode.Scalar, isTriple: Bool)?

    /// Whether the next line begins inside a string.
    var isInString: Bool { quote != nil }

    /// The place of each scalar of the next line, which comes without its line end.
    mutating func places(in line: [Unicode.Scalar]) -> [Context] {
        var places: [Context] = []
        places.reserveCapacity(line.count)
        var isContinued = false
        var at = 0
        func take(_ count: Int, _ place: Context) {
            let end = min(at + count, line.count)
            places += Array(repeating: place, count: end - at)
            at = end
        }
        while at < line.count {
            let scalar = line[at]
            if let (mark, isTriple) = quote {
                if scalar == "\\" {
                    // Also in a raw string the quote behind a backslash does not end it.
                    isContinued = at + 1 >= line.count || line[(at + 1)...] == ["\r"]
                    take(2, .string)
                } else if scalar == mark, !isTriple || Self.isTriple(line, at) {
                    take(isTriple ? 3 : 1, .string)
                    quote = nil
                } else {
                    take(1, .string)
                }
            } else if scalar == "#" {
                take(line.count - at, .comment)
            } else if scalar == "\"" || scalar == "'" {
                let isTriple = Self.isTriple(line, at)
                take(isTriple ? 3 : 1, .string)
                quote = (scalar, isTriple)
            } else {
                take(1, .code)
            }
        }
        if let quote, !quote.isTriple, !isContinued { self.quote = nil }
        return places
    }

    private static func isTriple(_ line: [Unicode.Scalar], _ at: Int) -> Bool {
        at + 2 < line.count && line[at + 1] == line[at] && line[at + 2] == line[at]
    }
}
