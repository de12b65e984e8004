import RetortCore

/// The programs that stand between fences in a model's text, read and written.
///
/// A fence is a line of three or more backticks. A program that itself has such a line is written between longer
/// fences, as in CommonMark, so that reading gives back exactly what was written.
struct FencedBlocks {
    /// What stands between the fences, in order; never blank.
    let programs: [String]
    /// Everything before the first program.
    let lead: String

    private static let tags: Set<String> = ["", "py", "python", "python3"]
    private static let endMark = "<end_code>"

    /// Reads the blocks tagged as Python or untagged. A last fence left open, because the model was stopped there,
    /// counts as closed. Nil when there is no program.
    init?(_ text: String) {
        let lines = Self.lines(of: text)
        var programs: [String] = []
        var firstLine: Int?
        var next = 0
        while next < lines.count {
            guard let opening = Opening(lines[next]) else {
                next += 1
                continue
            }
            let (program, after) = Self.content(of: lines, from: next + 1, closedBy: opening.length)
            if Self.tags.contains(opening.tag), !program.trimmed.isEmpty {
                programs.append(program)
                firstLine = firstLine ?? next
            }
            next = after
        }
        guard let firstLine else { return nil }
        self.programs = programs
        let label = lines[firstLine].prefix { $0 != "`" }
        lead = (lines[..<firstLine] + [String(label)]).joined(separator: "\n")
    }

    /// Writes a program between fences that it does not contain.
    static func block(_ program: String) -> String {
        let longest = lines(of: program).map { closingLength($0) }.max() ?? 0
        let fence = String(repeating: "`", count: longest < 3 ? 3 : longest + 1)
        return "\(fence)py\n\(program)\n\(fence)"
    }

    /// Whether a program's fence opens in a text.
    static func opensProgram(in text: some StringProtocol) -> Bool {
        lines(of: String(text)).contains { line in Opening(line).map { tags.contains($0.tag) } ?? false }
    }

    /// A line that opens a block: backticks and at most one word, behind the labels of a turn or nothing.
    private struct Opening {
        let length: Int
        let tag: String

        init?(_ line: String) {
            var rest = line.trimmed[...]
            for label in ["Thought:", "Code:"] where rest.hasPrefix(label) {
                rest = rest.dropFirst(label.count).trimmed[...]
            }
            length = rest.prefix { $0 == "`" }.count
            tag = rest.dropFirst(length).trimmed.lowercased()
            guard length >= 3, !tag.contains(where: { $0 == "`" || $0.isWhitespace }) else { return nil }
        }
    }

    /// The text up to the closing fence, and the line after it.
    private static func content(
        of lines: [String], from start: Int, closedBy length: Int
    ) -> (program: String, after: Int) {
        for index in lines.indices.dropFirst(start) where closingLength(lines[index]) >= length {
            // Some models close right behind the last statement.
            let last = withoutEndMark(lines[index]).dropLast(closingLength(lines[index]))
            let rest = last.trimmed.isEmpty ? [] : [String(last)]
            return ((lines[start..<index] + rest).joined(separator: "\n"), index + 1)
        }
        var open = lines.dropFirst(start).map { $0 }
        while let last = open.last, withoutEndMark(last).isEmpty { open.removeLast() }
        if let last = open.popLast() { open.append(String(withoutEndMark(last))) }
        return (open.joined(separator: "\n"), lines.count)
    }

    /// How many backticks a line ends with, white space and the end mark aside.
    private static func closingLength(_ line: String) -> Int {
        withoutEndMark(line).reversed().prefix { $0 == "`" }.count
    }

    /// A line without white space and end mark behind it.
    private static func withoutEndMark(_ line: String) -> Substring {
        var rest = line[...]
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return rest.hasSuffix(endMark) ? rest.dropLast(endMark.count) : rest
    }

    /// Lines by line feed alone: a carriage return stays with its line, so that joining gives the text back.
    private static func lines(of text: String) -> [String] {
        text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
    }
}
