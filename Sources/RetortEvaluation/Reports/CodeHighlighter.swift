/// Colours for Python: keywords, texts, numbers and comments.
package enum CodeHighlighter {
    private static let keywords: Set<String> = [
        "and", "as", "assert", "break", "class", "continue", "def", "del", "elif", "else", "except", "finally", "for",
        "from", "global", "if", "import", "in", "is", "lambda", "not", "or", "pass", "raise", "return", "try", "while",
        "with", "yield", "None", "True", "False",
    ]

    package static func html(_ source: String) -> String {
        var html = ""
        var rest = source[...]
        while let first = rest.first {
            let token: Substring
            var kind: String?
            if first == "#" {
                token = rest.prefix { $0 != "\n" }
                kind = "c"
            } else if first == "\"" || first == "'" {
                token = text(rest, quote: first)
                kind = "s"
            } else if first.isLetter || first == "_" {
                token = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
                kind = keywords.contains(String(token)) ? "k" : nil
            } else if first.isNumber {
                token = rest.prefix { $0.isNumber || $0 == "." }
                kind = "n"
            } else {
                token = rest.prefix(1)
            }
            html += kind.map { "<i class=\"\($0)\">\(String(token).escaped)</i>" } ?? String(token).escaped
            rest = rest.dropFirst(token.count)
        }
        return html
    }

    private static func text(_ rest: Substring, quote: Character) -> Substring {
        var isEscaped = false
        for index in rest.indices.dropFirst() {
            if !isEscaped, rest[index] == quote || rest[index] == "\n" { return rest[...index] }
            isEscaped = !isEscaped && rest[index] == "\\"
        }
        return rest
    }
}
