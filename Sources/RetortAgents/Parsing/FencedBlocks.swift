import RetortCore

/// The programs that stand in a model's text, read and written: between fences as CommonMark (0.31, section 4.5) has them,
/// or between `<code>` and `</code>`, as smolagents has them today.
///
/// A mark inside one of the program's own strings does not end it. Where a label `Code:` stands before a program, what is
/// fenced before the label is an example, and where a block says that it is Python, blocks that say nothing are not run. A
/// program that itself has fences is written between longer ones, so that reading gives back what was written, less an indent
/// that all of its lines share and marks of a turn's end behind it (`ProgramText`).
struct FencedBlocks {
    /// What stands between the fences, in order; never blank.
    let programs: [String]
    /// All of them as one program.
    var program: String { ProgramText.cleaned(programs.joined(separator: "\n\n")) }
    /// Everything before the first program.
    let lead: String
    /// Whether the first one is labelled as the agent's, or tagged.
    let isMarked: Bool

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
        isMarked = chosen[0].isTagged || Self.isLabelled(chosen[0], lines[...])
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
            if let quoted = quoted(lines[next...]) {
                for var block in Self.blocks(of: quoted, opening) {
                    block.line += next
                    block.after += next
                    blocks.append(block)
                }
                next += quoted.count
                continue
            }
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

    /// The lines up to where a quotation ends that begins with a block, without the marks of quoting; nil when none does.
    private static func quoted(_ lines: ArraySlice<String>) -> [String]? {
        func unquoted(_ line: String) -> String? {
            let rest = line.drop { $0 == " " }
            guard rest.first == ">", line.count - rest.count <= 3 else { return nil }
            return String(rest.dropFirst(rest.dropFirst().first == " " ? 2 : 1))
        }
        guard let first = lines.first.flatMap(unquoted)?.trimmed.lowercased(),
            ["```", "~~~", "<code"].contains(where: first.hasPrefix)
        else { return nil }
        var quoted: [String] = []
        for line in lines {
            guard let line = unquoted(line) else { break }
            quoted.append(line)
        }
        return quoted
    }

    /// Those that are meant to run: from the first label on, and of these the tagged ones where there are any, or else those
    /// that are labelled or say that they are Python where any does.
    private static func chosen(_ programs: [CodeBlock], _ lines: [String]) -> [CodeBlock]? {
        let labelled = programs.indices.filter { index in
            isLabelled(programs[index], lines[(index == 0 ? 0 : programs[index - 1].after)...])
        }
        let meant = programs.indices.dropFirst(labelled.first ?? 0)
        let tagged = meant.filter { programs[$0].isTagged }
        let named = meant.filter { programs[$0].isNamed }
        let chosen =
            !tagged.isEmpty
            ? tagged : named.isEmpty ? Array(meant) : meant.filter { programs[$0].isNamed || labelled.contains($0) }
        return chosen.isEmpty ? nil : chosen.map { programs[$0] }
    }

    /// - Parameter lines: those behind the block before, to the end.
    private static func isLabelled(_ block: CodeBlock, _ lines: ArraySlice<String>) -> Bool {
        let before = lines[..<max(block.line, lines.startIndex)]
        let label = block.label.trimmed.isEmpty ? before.last { !$0.trimmed.isEmpty } : block.label
        return label.map(TurnLabel.isCode) ?? false
    }

    /// Lines by line feed alone: a carriage return stays with its line, so that joining gives the text back.
    private static func lines(of text: String) -> [String] {
        text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { String($0) }
    }
}
