import RetortAgents

/// The plain calls of a Python program, `name(`, outside strings and comments.
enum ProgramCalls {
    /// A called name, and its position in the program's scalars.
    struct Token: Equatable {
        let name: String
        let range: Range<Int>
    }

    /// Names that are called without a dot before them, in order.
    static func tokens(in program: String) -> [Token] {
        let scalars = Array(program.unicodeScalars)
        let isCode = PythonPlaces.isCode(program)
        var tokens: [Token] = []
        var at = 0
        while at < scalars.count {
            guard isCode[at], isNameStart(scalars[at]) else {
                at += 1
                continue
            }
            let start = at
            while at < scalars.count, isCode[at], isNamePart(scalars[at]) { at += 1 }
            var next = at
            while next < scalars.count, scalars[next] == " " || scalars[next] == "\t" { next += 1 }
            guard next < scalars.count, isCode[next], scalars[next] == "(" else { continue }
            var before = start - 1
            while before >= 0, scalars[before] == " " || scalars[before] == "\t" { before -= 1 }
            let isMember = before >= 0 && scalars[before] == "."
            let isPrefixed = start > 0 && isNamePart(scalars[start - 1])
            let name = String(String.UnicodeScalarView(scalars[start..<at]))
            let word = wordBefore(start, scalars)
            if !isMember, !isPrefixed, word != "def", word != "class", !keywords.contains(name) {
                tokens.append(Token(name: name, range: start..<at))
            }
        }
        return tokens
    }

    /// Names that a program calls, and that are neither Python's own nor defined, imported or assigned in the program.
    static func unknown(in program: String) -> [String] {
        let tokens = tokens(in: program)
        guard !tokens.isEmpty else { return [] }
        let defined = self.defined(in: program)
        return tokens.map(\.name).filter { !builtIns.contains($0) && !defined.contains($0) }
    }

    /// A program with called names replaced.
    static func renamed(_ program: String, _ names: [String: String]) -> String {
        var scalars = Array(program.unicodeScalars)
        for token in tokens(in: program).reversed() {
            guard let name = names[token.name] else { continue }
            scalars.replaceSubrange(token.range, with: Array(name.unicodeScalars))
        }
        return String(String.UnicodeScalarView(scalars))
    }

    private static func defined(in program: String) -> Set<String> {
        let scalars = Array(program.unicodeScalars)
        let mask = PythonPlaces.isCode(program)
        // Only code is searched; strings and comments are blanked out.
        let code = String(String.UnicodeScalarView(zip(scalars, mask).map { $1 || $0 == "\n" ? $0 : " " }))
        var names: Set<String> = []
        for match in code.matches(of: /(?:\bdef|\bclass|\bas|\bfor|\blambda)\s+([A-Za-z_]\w*)/) {
            names.insert(String(match.output.1))
        }
        for match in code.matches(of: /(?m)^\s*([A-Za-z_]\w*)(?:\s*,\s*[A-Za-z_]\w*)*\s*=[^=]/) {
            for name in match.output.0.prefix(while: { $0 != "=" }).split(separator: ",") {
                names.insert(name.trimmingBlanks)
            }
        }
        for match in code.matches(of: /\bimport\s+([^\n]+)/) {
            for name in match.output.1.split(whereSeparator: { ", ()".contains($0) }) { names.insert(String(name)) }
        }
        for match in code.matches(of: /\bdef\s+\w+\s*\(([^)]*)\)/) {
            for name in match.output.1.split(whereSeparator: { ",:= *".contains($0) }) { names.insert(String(name)) }
        }
        return names
    }

    private static func wordBefore(_ start: Int, _ scalars: [Unicode.Scalar]) -> String {
        var end = start
        while end > 0, scalars[end - 1] == " " || scalars[end - 1] == "\t" { end -= 1 }
        var begin = end
        while begin > 0, isNamePart(scalars[begin - 1]) { begin -= 1 }
        return String(String.UnicodeScalarView(scalars[begin..<end]))
    }

    private static func isNameStart(_ scalar: Unicode.Scalar) -> Bool { scalar == "_" || scalar.properties.isXIDStart }
    private static func isNamePart(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.properties.isXIDContinue
    }

    private static let keywords: Set = [
        "and", "as", "assert", "await", "case", "class", "def", "del", "elif", "else", "except", "for", "from", "if",
        "import", "in", "is", "lambda", "match", "not", "or", "raise", "return", "while", "with", "yield",
    ]

    /// Python's built-in functions and exceptions (docs.python.org, "Built-in Functions", "Built-in Exceptions").
    private static let builtIns: Set = [
        "abs", "aiter", "all", "anext", "any", "ascii", "bin", "bool", "breakpoint", "bytearray", "bytes", "callable",
        "chr",
        "classmethod", "compile", "complex", "delattr", "dict", "dir", "divmod", "enumerate", "eval", "exec", "filter",
        "float", "format", "frozenset", "getattr", "globals", "hasattr", "hash", "help", "hex", "id", "input", "int",
        "isinstance", "issubclass", "iter", "len", "list", "locals", "map", "max", "memoryview", "min", "next",
        "object",
        "oct", "open", "ord", "pow", "print", "property", "range", "repr", "reversed", "round", "set", "setattr",
        "slice",
        "sorted", "staticmethod", "str", "sum", "super", "tuple", "type", "vars", "zip", "__import__", "exit", "quit",
        "BaseException", "Exception", "ArithmeticError", "AssertionError", "AttributeError", "EOFError", "ImportError",
        "IndexError", "KeyError", "LookupError", "MemoryError", "ModuleNotFoundError", "NameError",
        "NotImplementedError",
        "OSError", "OverflowError", "RecursionError", "RuntimeError", "StopIteration", "SyntaxError", "TimeoutError",
        "TypeError", "UnicodeError", "ValueError", "ZeroDivisionError",
    ]
}
