/// A model's text split at its fences: prose, programs and recorded outputs in turn.
enum FencedText: Equatable {
    case prose(String)
    case program(String)
    case output(String)

    /// Splits a text. A fence opens at the start of a line with three backticks and a tag, and ends at a line of three
    /// backticks or at the end of the text; `output` is a program's output, any other tag a program.
    static func blocks(of text: String) -> [FencedText] {
        var blocks: [FencedText] = []
        var lines: [Substring] = []
        var tag: Substring?
        func close() {
            let body = lines.joined(separator: "\n")
            if let tag {
                blocks.append(tag == "output" ? .output(body) : .program(body))
            } else if !body.allSatisfy(\.isWhitespace) {
                blocks.append(.prose(body))
            }
            lines = []
        }
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" }) {
            guard line.hasPrefix("```"), tag == nil || line.allSatisfy({ $0 == "`" || $0.isWhitespace }) else {
                lines.append(line)
                continue
            }
            close()
            tag = tag == nil ? line.dropFirst(3) : nil
        }
        if tag != nil || !lines.isEmpty { close() }
        return blocks
    }

    /// The content of the last `\boxed{…}` of a text, including inner braces; nil without one.
    static func boxed(in text: String) -> String? {
        guard let open = text.ranges(of: "\\boxed{").last else { return nil }
        var depth = 1
        for index in text[open.upperBound...].indices {
            if text[index] == "{" { depth += 1 }
            if text[index] == "}" { depth -= 1 }
            if depth == 0 { return String(text[open.upperBound..<index]) }
        }
        return nil
    }
}
