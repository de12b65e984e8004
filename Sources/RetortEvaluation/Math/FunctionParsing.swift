/// Names: symbols with subscripts, and functions with their arguments.
extension MathParser {
    /// A name with its subscript, a function with its arguments, or a Python or SymPy constructor.
    mutating func named(_ name: String) throws -> MathNode {
        if ["np", "sympy"].contains(name), take("."), case .name(let member)? = current?.kind {
            index += 1
            return try named(member)
        }
        if MathNames.builders.contains(name) { return try built(name) }
        if let function = MathNames.functions[name] { return try applied(function) }
        if name == "Reals" { return .interval(.negated(.infinity), .infinity, leftOpen: true, rightOpen: true) }
        if name == "EmptySet" { return emptySet() }
        return try subscripted(Self.symbol(name))
    }

    mutating func emptySet() -> MathNode {
        if isMark("("), peek(1)?.isMark(")") == true { index += 2 }
        return .list([], .braces)
    }

    mutating func subscripted(_ value: MathNode) throws -> MathNode {
        guard case .symbol(let name) = value, take("_") else { return value }
        var text = ""
        if take("{") {
            while let token = current, !token.isMark("}") {
                text += token.display
                index += 1
            }
            try expect("}")
        } else if let token = current {
            text = token.display
            index += 1
        }
        return .symbol("\(name)_\(text)")
    }

    /// A function and what it is applied to: `\sin^2 x`, `\log_2 8`, `\cos 2x`, `acos(1/8)`.
    mutating func applied(_ function: String) throws -> MathNode {
        var base: MathNode?
        var exponent: MathNode?
        if function == "log", take("_") { base = try group() }
        if take("^") { exponent = try isMark("-") ? signed() : group() }
        let arguments = try arguments()
        var value: MathNode
        switch (function, base, arguments.count) {
        case ("log", let base?, _): value = Self.logarithm(arguments[0], base)
        case ("log", nil, 2): value = Self.logarithm(arguments[0], arguments[1])
        case ("log2", _, _): value = Self.logarithm(arguments[0], .integer(2))
        case ("log10", _, _): value = Self.logarithm(arguments[0], .integer(10))
        default: value = .function(function, arguments)
        }
        if let exponent {
            if exponent == .integer(-1), ["sin", "cos", "tan", "cot", "sec", "csc"].contains(function) {
                value = .function("arc\(function)", arguments)
            } else {
                value = .power(value, exponent)
            }
        }
        return value
    }

    static func logarithm(_ value: MathNode, _ base: MathNode) -> MathNode {
        .quotient(.function("log", [value]), .function("log", [base]))
    }

    /// Arguments in brackets, or the factors that follow.
    mutating func arguments() throws -> [MathNode] {
        if isMark("(") {
            index += 1
            return try elements(until: [")"]).parts
        }
        var value = try signed()
        while let token = current, startsFactor(token), !isFunction(token), !isUnit() {
            value = Self.times(value, try power())
        }
        return [value]
    }

    func isFunction(_ token: MathToken) -> Bool {
        switch token.kind {
        case .name(let name), .command(let name): MathNames.functions[name] != nil
        default: false
        }
    }
}
