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
        case "set": return try assignment(parser, line)
        case "with": return [try scope(parser, line)]
        case "filter": return try filtered(parser, line)
        case "call": return [try call(parser, line)]
        case "macro": return [try macro(parser, line)]
        // This tag marks what an assistant writes, which is known here from the messages.
        case "generation": return [.scope([], try body(until: ["endgeneration"], of: name, line).0, line: line)]
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
        let target = try parser.target()
        guard parser.take(name: "in") else { throw .syntax(line: line, "'in' is missing") }
        let sequence = try parser.sequence()
        let condition = parser.take(name: "if") ? try parser.expression() : nil
        let isRecursive = parser.take(name: "recursive")
        try parser.end()
        let (nodes, end) = try body(until: ["else", "endfor"], of: "for", line)
        let otherwise = end.name == "else" ? try body(until: ["endfor"], of: "else", end.line).0 : []
        return .loop(
            JinjaLoop(
                target: target, sequence: sequence, condition: condition, body: nodes, otherwise: otherwise,
                isRecursive: isRecursive, line: line
            ))
    }

    private mutating func assignment(_ parser: JinjaExpressionParser, _ line: Int) throws(JinjaError) -> [JinjaNode] {
        var parser = parser
        let target = try parser.target()
        if parser.take(sign: "=") { return [.set(target, try parser.whole(), line: line)] }
        let filters = parser.isAt(sign: "|") ? try parser.filters(of: Self.text(line)) : nil
        try parser.end()
        let body = try body(until: ["endset"], of: "set", line).0
        guard let filters else { return [.capture(target, body, line: line)] }
        return [.capture(.variable(Self.held), body, line: line), .set(target, filters, line: line)]
    }

    /// A name that no template can write, for the text of a block.
    private static let held = "(text)"

    private static func text(_ line: Int) -> JinjaExpression { JinjaExpression(kind: .variable(held), line: line) }

    /// `{% with name = value, … %}`
    private mutating func scope(_ parser: JinjaExpressionParser, _ line: Int) throws(JinjaError) -> JinjaNode {
        var parser = parser
        var assignments: [(target: JinjaTarget, value: JinjaExpression)] = []
        while !parser.isAtEnd {
            if !assignments.isEmpty, !parser.take(sign: ",") { throw .syntax(line: line, "',' is missing") }
            let target = JinjaTarget.variable(try parser.name("a variable"))
            guard parser.take(sign: "=") else { throw .syntax(line: line, "'=' is missing") }
            assignments.append((target, try parser.expression()))
        }
        return .scope(assignments, try body(until: ["endwith"], of: "with", line).0, line: line)
    }

    /// `{% filter name %}`: the text of a block through filters.
    private mutating func filtered(_ parser: JinjaExpressionParser, _ line: Int) throws(JinjaError) -> [JinjaNode] {
        var parser = parser
        let filters = try parser.filters(of: Self.text(line), isInline: true)
        try parser.end()
        let body = try body(until: ["endfilter"], of: "filter", line).0
        return [.capture(.variable(Self.held), body, line: line), .output(filters, line: line)]
    }

    /// `{% call(x) name(…) %}`: calls a macro that calls the block as `caller(x)`.
    private mutating func call(_ parser: JinjaExpressionParser, _ line: Int) throws(JinjaError) -> JinjaNode {
        var parser = parser
        let parameters = parser.take(sign: "(") ? try self.parameters(&parser, line) : []
        let called = try parser.whole()
        guard case .call(let callee, var arguments) = called.kind else {
            throw .syntax(line: line, "'call' needs a call")
        }
        let name = "(caller)"
        let caller = try macro(name, parameters, until: "endcall", line)
        arguments.named.append(("caller", JinjaExpression(kind: .variable(name), line: line)))
        let call = JinjaExpression(kind: .call(callee, arguments), line: line)
        return .scope([], [.macro(caller), .output(call, line: line)], line: line)
    }

    private mutating func macro(_ parser: JinjaExpressionParser, _ line: Int) throws(JinjaError) -> JinjaNode {
        var parser = parser
        let name = try parser.name("a macro's name")
        guard parser.take(sign: "(") else { throw .syntax(line: line, "'(' is missing") }
        let parameters = try parameters(&parser, line)
        try parser.end()
        return .macro(try macro(name, parameters, until: "endmacro", line))
    }

    /// A macro with the body that follows.
    private mutating func macro(
        _ name: String, _ parameters: [(name: String, value: JinjaExpression?)], until end: String, _ line: Int
    ) throws(JinjaError) -> JinjaMacro {
        let start = position
        let body = try body(until: [end], of: String(end.dropFirst(3)), line).0
        let extras = ["varargs", "kwargs", "caller"].filter { name in
            pieces[start..<position].contains { $0.tokens.contains { $0.kind == .name(name) } }
        }
        return JinjaMacro(name: name, parameters: parameters, body: body, extras: Set(extras), line: line)
    }

    /// Parameters behind `(`.
    private func parameters(
        _ parser: inout JinjaExpressionParser, _ line: Int
    ) throws(JinjaError) -> [(name: String, value: JinjaExpression?)] {
        var parameters: [(name: String, value: JinjaExpression?)] = []
        while !parser.take(sign: ")") {
            let parameter = try parser.name("a parameter")
            parameters.append((parameter, parser.take(sign: "=") ? try parser.expression() : nil))
            if !parser.take(sign: ","), !parser.isAt(sign: ")") { throw .syntax(line: line, "')' is missing") }
        }
        return parameters
    }
}
