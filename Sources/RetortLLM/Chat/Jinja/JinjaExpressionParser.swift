/// Parses the expressions of a tag by precedence, lowest first: conditional, or, and, not, comparisons and tests, `+
/// -`, `~`, `* / // %`, `**`, unary, and finally what follows a value.
struct JinjaExpressionParser {
    private let tokens: [JinjaToken]
    private let firstLine: Int
    private var position = 0
    private var depth = 0
    private static let deepest = 100

    init(_ tokens: [JinjaToken], line: Int) {
        self.tokens = tokens
        firstLine = line
    }

    private var next: JinjaToken.Kind? { position < tokens.count ? tokens[position].kind : nil }

    private var line: Int { position < tokens.count ? tokens[position].line : tokens.last?.line ?? firstLine }

    func isAt(sign: String) -> Bool { next == .sign(sign) }

    mutating func take(sign: String) -> Bool {
        guard isAt(sign: sign) else { return false }
        position += 1
        return true
    }

    mutating func take(name: String) -> Bool {
        guard next == .name(name) else { return false }
        position += 1
        return true
    }

    mutating func name(_ what: String) throws(JinjaError) -> String {
        guard case .name(let name)? = next else { throw .syntax(line: line, "\(what) is missing") }
        position += 1
        return name
    }

    private mutating func expect(_ sign: String) throws(JinjaError) {
        guard take(sign: sign) else { throw .syntax(line: line, "'\(sign)' is missing") }
    }

    func end() throws(JinjaError) {
        if position < tokens.count { throw .syntax(line: line, "the tag should end here") }
    }

    var isAtEnd: Bool { position >= tokens.count }

    /// The only expression of the tag; several separated by commas form a tuple.
    mutating func whole() throws(JinjaError) -> JinjaExpression {
        let start = line
        var expressions = [try expression()]
        var isTuple = false
        while take(sign: ",") {
            isTuple = true
            if isAtEnd { break }
            expressions.append(try expression())
        }
        try end()
        return isTuple ? JinjaExpression(kind: .tuple(expressions), line: start) : expressions[0]
    }

    /// What a loop iterates over: an expression, or a tuple without brackets. A following `if` belongs to the loop.
    mutating func sequence() throws(JinjaError) -> JinjaExpression {
        let start = line
        var expressions = [try withoutCondition()]
        var isTuple = false
        while take(sign: ",") {
            isTuple = true
            if isAtEnd || next == .name("recursive") || next == .name("if") { break }
            expressions.append(try withoutCondition())
        }
        return isTuple ? JinjaExpression(kind: .tuple(expressions), line: start) : expressions[0]
    }

    /// One target, or several that are separated by commas.
    mutating func target() throws(JinjaError) -> JinjaTarget {
        var targets = [try singleTarget()]
        var isTuple = false
        while take(sign: ",") {
            isTuple = true
            if isAtEnd || isAt(sign: "=") || isAt(sign: ")") || next == .name("in") { break }
            targets.append(try singleTarget())
        }
        return isTuple ? .tuple(targets) : targets[0]
    }

    private mutating func singleTarget() throws(JinjaError) -> JinjaTarget {
        if take(sign: "(") {
            depth += 1
            defer { depth -= 1 }
            guard depth < Self.deepest else { throw .unsupported(line: line, "nesting this deep") }
            let inner = try target()
            try expect(")")
            return inner
        }
        let name = try name("a variable")
        return take(sign: ".") ? .attribute(of: name, try self.name("an attribute")) : .variable(name)
    }

    /// The filters that follow, applied to an expression.
    /// - Parameter isInline: whether the first one has no `|` before it.
    mutating func filters(
        of base: JinjaExpression, isInline: Bool = false
    ) throws(JinjaError) -> JinjaExpression {
        var value = base
        if isInline { value = try filter(value) }
        while take(sign: "|") { value = try filter(value) }
        return value
    }

    private mutating func filter(_ value: JinjaExpression) throws(JinjaError) -> JinjaExpression {
        let start = line
        let name = try name("a filter")
        let arguments = take(sign: "(") ? try arguments() : JinjaArguments()
        return JinjaExpression(kind: .filter(value, name, arguments), line: start)
    }

    mutating func expression() throws(JinjaError) -> JinjaExpression {
        let start = line
        depth += 1
        defer { depth -= 1 }
        guard depth < Self.deepest else { throw .unsupported(line: start, "nesting this deep") }
        let value = try withoutCondition()
        guard take(name: "if") else { return value }
        let condition = try withoutCondition()
        let otherwise = take(name: "else") ? try expression() : nil
        return JinjaExpression(kind: .conditional(value, if: condition, else: otherwise), line: start)
    }

    /// An expression in which a following `if` belongs to the surrounding statement.
    mutating func withoutCondition() throws(JinjaError) -> JinjaExpression {
        var left = try conjunction()
        while take(name: "or") { left = binary("or", left, try conjunction()) }
        return left
    }

    private mutating func conjunction() throws(JinjaError) -> JinjaExpression {
        var left = try negation()
        while take(name: "and") { left = binary("and", left, try negation()) }
        return left
    }

    private mutating func negation() throws(JinjaError) -> JinjaExpression {
        let start = line
        var negations = 0
        while take(name: "not") { negations += 1 }
        let value = try comparison()
        return (0..<min(negations, 2 - negations % 2)).reduce(value) { value, _ in
            JinjaExpression(kind: .not(value), line: start)
        }
    }

    private mutating func comparison() throws(JinjaError) -> JinjaExpression {
        var left = try sum()
        var chained: JinjaExpression?
        while let sign = comparisonSign() {
            let right = try sum()
            let compared = binary(sign, left, right)
            chained = chained.map { binary("and", $0, compared) } ?? compared
            left = right
        }
        return chained ?? left
    }

    private mutating func comparisonSign() -> String? {
        for sign in ["==", "!=", "<=", ">=", "<", ">"] where take(sign: sign) { return sign }
        if take(name: "in") { return "in" }
        if next == .name("not"), position + 1 < tokens.count, tokens[position + 1].kind == .name("in") {
            position += 2
            return "not in"
        }
        return nil
    }

    private mutating func sum() throws(JinjaError) -> JinjaExpression {
        var left = try concatenation()
        while let sign = ["+", "-"].first(where: { isAt(sign: $0) }) {
            position += 1
            left = binary(sign, left, try concatenation())
        }
        return left
    }

    private mutating func concatenation() throws(JinjaError) -> JinjaExpression {
        var left = try product()
        while take(sign: "~") { left = binary("~", left, try product()) }
        return left
    }

    private mutating func product() throws(JinjaError) -> JinjaExpression {
        var left = try power()
        while let sign = ["*", "/", "//", "%"].first(where: { isAt(sign: $0) }) {
            position += 1
            left = binary(sign, left, try power())
        }
        return left
    }

    /// Unlike Python's, from left to right, and weaker than a sign.
    private mutating func power() throws(JinjaError) -> JinjaExpression {
        var left = try unary(filtered: true)
        while take(sign: "**") { left = binary("**", left, try unary(filtered: true)) }
        return left
    }

    private mutating func unary(filtered: Bool) throws(JinjaError) -> JinjaExpression {
        let start = line
        var value: JinjaExpression
        if take(sign: "-") {
            depth += 1
            defer { depth -= 1 }
            guard depth < Self.deepest else { throw .unsupported(line: start, "nesting this deep") }
            value = JinjaExpression(kind: .negative(try unary(filtered: false)), line: start)
        } else if take(sign: "+") {
            depth += 1
            defer { depth -= 1 }
            guard depth < Self.deepest else { throw .unsupported(line: start, "nesting this deep") }
            value = try unary(filtered: false)
        } else {
            value = try postfix(try primary())
        }
        return filtered ? try filtersAndTests(value) : value
    }

    private func binary(_ sign: String, _ left: JinjaExpression, _ right: JinjaExpression) -> JinjaExpression {
        JinjaExpression(kind: .binary(sign, left, right), line: left.line)
    }

    // MARK: Values

    private mutating func primary() throws(JinjaError) -> JinjaExpression {
        let start = line
        guard let token = next else { throw .syntax(line: start, "a value is missing") }
        position += 1
        func made(_ kind: JinjaExpression.Kind) -> JinjaExpression { JinjaExpression(kind: kind, line: start) }
        switch token {
        case .string(var text):
            // Adjacent strings are concatenated.
            while case .string(let more)? = next {
                text += more
                position += 1
            }
            return made(.literal(.string(text)))
        case .integer(let value): return made(.literal(.integer(value)))
        case .float(let value): return made(.literal(.float(value)))
        case .name("true"), .name("True"): return made(.literal(.bool(true)))
        case .name("false"), .name("False"): return made(.literal(.bool(false)))
        case .name("none"), .name("None"): return made(.literal(.none))
        case .name(let name): return made(.variable(name))
        case .sign("("): return try parenthesis(start)
        case .sign("["): return made(.list(try elements(until: "]")))
        case .sign("{"): return made(.dictionary(try members()))
        case .sign(let sign): throw .syntax(line: start, "'\(sign)' is not expected")
        }
    }

    /// One value in parentheses, or a tuple.
    private mutating func parenthesis(_ start: Int) throws(JinjaError) -> JinjaExpression {
        if take(sign: ")") { return JinjaExpression(kind: .tuple([]), line: start) }
        let first = try expression()
        guard take(sign: ",") else {
            try expect(")")
            return first
        }
        return JinjaExpression(kind: .tuple([first] + (try elements(until: ")"))), line: start)
    }

    private mutating func elements(until end: String) throws(JinjaError) -> [JinjaExpression] {
        var elements: [JinjaExpression] = []
        while !take(sign: end) {
            elements.append(try expression())
            if !take(sign: ","), !isAt(sign: end) { throw .syntax(line: line, "'\(end)' is missing") }
        }
        return elements
    }

    private mutating func members() throws(JinjaError) -> [(key: JinjaExpression, value: JinjaExpression)] {
        var members: [(key: JinjaExpression, value: JinjaExpression)] = []
        while !take(sign: "}") {
            let key = try expression()
            try expect(":")
            members.append((key, try expression()))
            if !take(sign: ","), !isAt(sign: "}") { throw .syntax(line: line, "'}' is missing") }
        }
        return members
    }

    private mutating func postfix(_ base: JinjaExpression) throws(JinjaError) -> JinjaExpression {
        var value = base
        while true {
            let start = line
            if take(sign: ".") {
                if case .integer(let place)? = next {
                    position += 1
                    let index = JinjaExpression(kind: .literal(.integer(place)), line: start)
                    value = JinjaExpression(kind: .item(value, index), line: start)
                    continue
                }
                value = JinjaExpression(kind: .attribute(value, try name("an attribute")), line: start)
            } else if take(sign: "[") {
                value = try subscripted(value, start)
            } else if take(sign: "(") {
                value = JinjaExpression(kind: .call(value, try arguments()), line: start)
            } else {
                return value
            }
        }
    }

    private mutating func subscripted(_ value: JinjaExpression, _ start: Int) throws(JinjaError) -> JinjaExpression {
        var bounds: [JinjaExpression?] = [isAt(sign: ":") ? nil : try expression()]
        while take(sign: ":") { bounds.append(isAt(sign: ":") || isAt(sign: "]") ? nil : try expression()) }
        try expect("]")
        if bounds.count == 1, let index = bounds[0] { return JinjaExpression(kind: .item(value, index), line: start) }
        guard bounds.count <= 3 else { throw .syntax(line: start, "a slice has at most three parts") }
        return JinjaExpression(
            kind: .slice(value, from: bounds[0], to: bounds[1], step: bounds.count == 3 ? bounds[2] : nil), line: start)
    }

    /// The arguments after `(`.
    private mutating func arguments() throws(JinjaError) -> JinjaArguments {
        var arguments = JinjaArguments()
        while !take(sign: ")") {
            if take(sign: "**") {
                guard arguments.namedSpread == nil else { throw .syntax(line: line, "a second '**'") }
                arguments.namedSpread = try expression()
            } else if take(sign: "*") {
                guard arguments.spread == nil else { throw .syntax(line: line, "a second '*'") }
                arguments.spread = try expression()
            } else if case .name(let name)? = next, position + 1 < tokens.count,
                tokens[position + 1].kind == .sign("=")
            {
                position += 2
                arguments.named.append((name, try expression()))
            } else {
                arguments.positional.append(try expression())
            }
            if !take(sign: ","), !isAt(sign: ")") { throw .syntax(line: line, "')' is missing") }
        }
        return arguments
    }

    private mutating func filtersAndTests(_ base: JinjaExpression) throws(JinjaError) -> JinjaExpression {
        var value = base
        while true {
            let start = line
            if take(sign: "|") {
                value = try postfix(try filter(value))
            } else if take(name: "is") {
                value = try test(value, start)
            } else {
                return value
            }
        }
    }

    private mutating func test(_ value: JinjaExpression, _ start: Int) throws(JinjaError) -> JinjaExpression {
        let negated = take(name: "not")
        let test = try name("a test")
        var arguments: [JinjaExpression] = []
        if take(sign: "(") {
            arguments = try elements(until: ")")
        } else if startsValue {
            arguments = [try postfix(try primary())]
        }
        return JinjaExpression(kind: .test(value, test, arguments, negated: negated), line: start)
    }

    /// Whether a test's argument follows without parentheses.
    private var startsValue: Bool {
        switch next {
        case .string, .integer, .float, .sign("["), .sign("{"): true
        case .name(let name): !["and", "or", "not", "if", "else", "is", "in", "recursive"].contains(name)
        default: false
        }
    }
}
