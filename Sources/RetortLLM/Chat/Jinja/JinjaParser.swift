/// Parses statements; `JinjaExpressionParser` parses expressions.
struct JinjaParser {
    private let pieces: [JinjaLexer.Piece]
    private var position = 0
    private var depth = 0
    private static let deepest = 100

    static func parse(_ template: String) throws(JinjaError) -> [JinjaNode] {
        var parser = JinjaParser(pieces: try JinjaLexer.pieces(of: template))
        let (nodes, end) = try parser.nodes(until: [])
        if let end { throw .syntax(line: end.line, "'\(end.name)' closes nothing") }
        return nodes
    }

    private init(pieces: [JinjaLexer.Piece]) { self.pieces = pieces }

    /// The statement that ends a body.
    private struct End {
        let name: String
        let line: Int
        var expressions: JinjaExpressionParser
    }

    private mutating func nodes(until ends: Set<String>) throws(JinjaError) -> ([JinjaNode], End?) {
        depth += 1
        defer { depth -= 1 }
        var nodes: [JinjaNode] = []
        while position < pieces.count {
            let piece = pieces[position]
            position += 1
            switch piece {
            case .text(let text): nodes.append(.text(text))
            case .output(let tokens, let line):
                var parser = JinjaExpressionParser(tokens, line: line)
                nodes.append(.output(try parser.whole(), line: line))
            case .statement(let tokens, let line):
                guard depth < Self.deepest else { throw .unsupported(line: line, "nesting this deep") }
                var parser = JinjaExpressionParser(tokens, line: line)
                let name = try parser.name("a statement")
                if ends.contains(name) || name.hasPrefix("end") || name == "else" || name == "elif" {
                    guard ends.contains(name) else { throw .syntax(line: line, "'\(name)' is not expected here") }
                    return (nodes, End(name: name, line: line, expressions: parser))
                }
                nodes += try statement(name, parser, line)
            }
        }
        return (nodes, nil)
    }

    /// A body together with the statement that ends it.
    private mutating func body(until ends: Set<String>, of name: String, _ line: Int) throws(JinjaError) -> (
        [JinjaNode], End
    ) {
        let (nodes, end) = try nodes(until: ends)
        guard let end else { throw .syntax(line: line, "'\(name)' does not end") }
        return (nodes, end)
    }

    private mutating func statement(
        _ name: String, _ parser: JinjaExpressionParser, _ line: Int
    ) throws(JinjaError) -> [JinjaNode] {
        switch name {
        case "if": return [try branches(parser, line)]
        case "for": return [try loop(parser, line)]
        case "set": return [try assignment(parser, line)]
        case "macro": return [try macro(parser, line)]
        // This tag marks what an assistant writes, which is known here from the messages.
        case "generation": return try body(until: ["endgeneration"], of: name, line).0
        case "break":
            try parser.end()
            return [.breakLoop]
        case "continue":
            try parser.end()
            return [.continueLoop]
        default: throw .unsupported(line: line, "the statement '\(name)'")
        }
    }

    private mutating func branches(_ parser: JinjaExpressionParser, _ line: Int) throws(JinjaError) -> JinjaNode {
        var parser = parser
        var branches: [(condition: JinjaExpression, body: [JinjaNode])] = []
        var condition = try parser.whole()
        while true {
            var (nodes, end) = try body(until: ["elif", "else", "endif"], of: "if", line)
            branches.append((condition, nodes))
            switch end.name {
            case "elif": condition = try end.expressions.whole()
            case "else": return .branches(branches, otherwise: try body(until: ["endif"], of: "else", end.line).0)
            default: return .branches(branches, otherwise: [])
            }
        }
    }

    private mutating func loop(_ parser: JinjaExpressionParser, _ line: Int) throws(JinjaError) -> JinjaNode {
        var parser = parser
        var targets = [try parser.name("a loop's variable")]
        while parser.take(sign: ",") { targets.append(try parser.name("a loop's variable")) }
        guard parser.take(name: "in") else { throw .syntax(line: line, "'in' is missing") }
        let sequence = try parser.withoutCondition()
        let condition = parser.take(name: "if") ? try parser.expression() : nil
        if parser.take(name: "recursive") { throw .unsupported(line: line, "a recursive loop") }
        try parser.end()
        let (nodes, end) = try body(until: ["else", "endfor"], of: "for", line)
        let otherwise = end.name == "else" ? try body(until: ["endfor"], of: "else", end.line).0 : []
        return .loop(
            JinjaLoop(
                targets: targets, sequence: sequence, condition: condition, body: nodes, otherwise: otherwise,
                line: line
            ))
    }

    private mutating func assignment(_ parser: JinjaExpressionParser, _ line: Int) throws(JinjaError) -> JinjaNode {
        var parser = parser
        var targets = [try parser.target()]
        while parser.take(sign: ",") { targets.append(try parser.target()) }
        if parser.take(sign: "=") { return .set(targets, try parser.whole(), line: line) }
        try parser.end()
        return .capture(targets[0], try body(until: ["endset"], of: "set", line).0, line: line)
    }

    private mutating func macro(_ parser: JinjaExpressionParser, _ line: Int) throws(JinjaError) -> JinjaNode {
        var parser = parser
        let name = try parser.name("a macro's name")
        guard parser.take(sign: "(") else { throw .syntax(line: line, "'(' is missing") }
        var parameters: [(name: String, value: JinjaExpression?)] = []
        while !parser.take(sign: ")") {
            let parameter = try parser.name("a parameter")
            parameters.append((parameter, parser.take(sign: "=") ? try parser.expression() : nil))
            if !parser.take(sign: ","), !parser.isAt(sign: ")") { throw .syntax(line: line, "')' is missing") }
        }
        try parser.end()
        return .macro(
            JinjaMacro(
                name: name, parameters: parameters, body: try body(until: ["endmacro"], of: "macro", line).0, line: line
            ))
    }
}
