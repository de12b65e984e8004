import RetortCore

/// The programs that stand in a model's text, read and written: between fences as CommonMark (0.31, section 4.5) has them,
/// or between `<code>` and `</code>`, as smolagents has them today.
///
/// A mark inside one of the program's own strings does not end it. Where a label `Code:` stands before a program, what is
/// fenced before the label is an example. A program that itself has fences is written between longer ones, so that reading
/// gives back exactly what was written.
struct FencedBlocks {
    /// What stands between the fences, in order; never blank.
    let programs: [String]
    /// Everything before the first program.
    let lead: String

    /// Reads the blocks tagged as Python or untagged. A last block left open, because the model was stopped there,
    /// counts as closed. Nil when there is no program.
    init?(_ text: String) {
        let lines = Self.lines(of: text)
        // As smolagents reads them: where there is no other program, a tag may also stand within a line.
        let read: [[CodeBlock]] = [
            Self.blocks(of: lines) { BlockOpening($0) }, Self.blocks(of: lines) { BlockOpening(inline: $0) },
        ]
        guard let chosen = read.lazy.compactMap({ Self.chosen($0.filter(\.isProgram), lines) }).first else {
            return nil
        }
        programs = chosen.map(\.program)
        let before = (lines[..<chosen[0].line] + [chosen[0].label]).joined(separator: "\n")
        lead = chosen[0].endsInReturn ? before.replacing("\r\n", with: "\n") : before
    }

    /// Writes a program between fences that it does not contain.
    static func block(_ program: String) -> String {
        var (longest, current) = (0, 0)
        for scalar in program.unicodeScalars {
            current = scalar == "`" ? current + 1 : 0
            longest = max(longest, current)
        }
        let fence = String(repeating: "`", count: longest < 3 ? 3 : longest + 1)
        return "\(fence)py\n\(program)\n\(fence)"
    }

    /// Whether a program's block opens in a text.
    static func opensProgram(in text: some StringProtocol) -> Bool {
        lines(of: String(text)).contains { BlockOpening($0)?.isProgram ?? false }
    }

    private static func blocks(of lines: [String], _ opening: (String) -> BlockOpening?) -> [CodeBlock] {
        var blocks: [CodeBlock] = []
        var next = 0
        while next < lines.count {
            guard let opening = opening(lines[next]) else {
                next += 1
                continue
            }
            let block = opening.block(in: lines, at: next)
            blocks.append(block)
            next = block.after
        }
        return blocks
    }

    /// Those that are meant to run: from the first label on, and of these the tagged ones where there are any.
    private static func chosen(_ programs: [CodeBlock], _ lines: [String]) -> [CodeBlock]? {
        let first = programs.indices.first { index in
            isLabelled(programs[index], lines[(index == 0 ? 0 : programs[index - 1].after)...])
        }
        let meant = Array(programs[(first ?? 0)...])
        let tagged = meant.filter(\.isTagged)
        let chosen = tagged.isEmpty ? meant : tagged
        return chosen.isEmpty ? nil : chosen
    }

    /// - Parameter lines: those behind the block before, to the end.
    private static func isLabelled(_ block: CodeBlock, _ lines: ArraySlice<String>) -> Bool {
        let before = lines[..<max(block.line, lines.startIndex)]
        let label = block.label.trimmed.isEmpty ? before.last { !$0.trimmed.isEmpty } : block.label
        guard var words = label?.trimmed else { return false }
        while let last = words.last, "*_".contains(last) { words.removeLast() }
        guard words.hasSuffix("Code:") else { return false }
        return words.dropLast("Code:".count).last.map { !$0.isLetter && !$0.isNumber } ?? true
    }

    /// Lines by line feed alone: a carriage return stays with its line, so that joining gives the text back.
    private static func lines(of text: String) -> [String] {
        text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
    }
}
