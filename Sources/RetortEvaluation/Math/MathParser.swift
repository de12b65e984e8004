import Foundation

/// Reads an answer written in LaTeX, plain text, Python or SymPy.
///
/// It is hand-written because Swift has no such library; `Tools/compare_graders.py` checks it against Math-Verify.
struct MathParser {
    let tokens: [MathToken]
    var index = 0
    var depth = 0
    /// How many absolute values are open, inside which `|` ends an expression.
    var barDepth = 0

    /// - Throws: `MathSyntaxError`, `MathFault.tooLarge`.
    static func parse(_ text: String, groupsThousands: Bool = true) throws -> MathNode {
        if let value = numeral(text) ?? MeasuredNumber.read(text, groupsThousands: groupsThousands) { return value }
        var parser = MathParser(tokens: try MathLexer.tokens(text, groupsThousands: groupsThousands))
        while parser.tokens.count > parser.index, parser.take(".") {}
        guard parser.current != nil else { throw MathSyntaxError("nothing is written") }
        let node = try parser.answer()
        while parser.take(".") {}
        if let token = parser.current { throw MathSyntaxError("'\(token.display)' does not belong there") }
        return node
    }

    init(tokens: [MathToken]) { self.tokens = tokens }

    /// `52_8`, `-37_{8}`, `A5_{11}` or `\text{A5}_{11}`.
    static func numeral(_ text: String) -> MathNode? {
        guard text.contains("_") else { return nil }
        let pattern = /^\s*(-?)\s*\(?(?:\\text\{)?([0-9A-Za-z]+)\}?\)?\s*_\s*\{?([0-9]{1,2})\}?\s*$/
        guard let match = text.firstMatch(of: pattern), let base = Int(match.3), (2...36).contains(base),
            match.2.contains(where: \.isNumber), match.2.count <= 400,
            match.2.allSatisfy({ ($0.hexDigitValue ?? $0.base36Value ?? 99) < base })
        else { return nil }
        return .numeral(match.1 + match.2.uppercased(), base: base)
    }

    // MARK: Tokens

    var current: MathToken? { index < tokens.count ? tokens[index] : nil }

    func peek(_ offset: Int) -> MathToken? { index + offset < tokens.count ? tokens[index + offset] : nil }

    func isMark(_ mark: String) -> Bool { current?.isMark(mark) == true }

    mutating func take(_ mark: String) -> Bool {
        guard isMark(mark) else { return false }
        index += 1
        return true
    }

    mutating func takeCommand(_ name: String) -> Bool {
        guard current?.isCommand(name) == true else { return false }
        index += 1
        return true
    }

    mutating func expect(_ mark: String) throws {
        guard take(mark) else {
            throw MathSyntaxError("'\(mark)' is missing before '\(current?.display ?? "the end")'")
        }
    }

    /// Limits the recursion, so that nested brackets cannot overflow the stack.
    mutating func nested<T>(_ body: (inout MathParser) throws -> T) throws -> T {
        depth += 1
        defer { depth -= 1 }
        guard depth <= MathLimits.depth else { throw MathFault.tooLarge }
        return try body(&self)
    }
}

extension MathToken {
    /// Its name in messages.
    var display: String {
        switch kind {
        case .number(let text), .name(let text), .text(let text), .mark(let text): text
        case .command(let name): "\\\(name)"
        }
    }
}

extension Character {
    /// 10 for `A`, 35 for `Z`.
    var base36Value: Int? {
        guard let value = uppercased().unicodeScalars.first?.value, (65...90).contains(value) else { return nil }
        return Int(value) - 55
    }
}
