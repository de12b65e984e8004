import Foundation

extension JinjaInterpreter {
    /// The value of an expression.
    mutating func evaluate(_ expression: JinjaExpression) throws(JinjaError) -> JinjaValue {
        try step(at: expression.line)
        switch expression.kind {
        case .literal(let literal): return Self.value(of: literal)
        case .list(let elements): return try contained(.list(try evaluate(elements)))
        case .tuple(let elements): return try contained(.tuple(try evaluate(elements)))
        case .dictionary(let members): return try dictionary(members)
        case .variable(let name): return value(of: name)
        case .attribute(let base, let name): return try attribute(name, of: try evaluate(base))
        case .item(let base, let index): return try item(try evaluate(index), of: try evaluate(base))
        case .slice(let base, let from, let to, let step):
            return try slice(try evaluate(base), try bound(from), try bound(to), try bound(step) ?? 1)
        case .call(let callee, let arguments): return try call(callee, arguments)
        case .filter(let base, let name, let arguments):
            let value = try evaluate(base)
            return try filter(name, value, try evaluate(arguments))
        case .test(let base, let name, let arguments, let negated):
            let value = try evaluate(base)
            return .bool(try test(name, value, try evaluate(arguments)) != negated)
        case .not(let base): return .bool(!(try evaluate(base).isTrue))
        case .negative(let base): return try negative(try evaluate(base))
        case .binary(let sign, let left, let right): return try binary(sign, left, right)
        case .conditional(let value, let condition, let otherwise):
            if try evaluate(condition).isTrue { return try evaluate(value) }
            guard let otherwise else { return .undefined("") }
            return try evaluate(otherwise)
        }
    }

    private static func value(of literal: JinjaLiteral) -> JinjaValue {
        switch literal {
        case .none: .none
        case .bool(let bool): .bool(bool)
        case .integer(let value): .integer(value)
        case .float(let value): .float(value)
        case .string(let text): .text(text)
        }
    }

    mutating func evaluate(_ expressions: [JinjaExpression]) throws(JinjaError) -> [JinjaValue] {
        var values: [JinjaValue] = []
        for expression in expressions { values.append(try evaluate(expression)) }
        return values
    }

    private mutating func evaluate(_ arguments: JinjaArguments) throws(JinjaError) -> JinjaFunction.Arguments {
        var named: [(name: String, value: JinjaValue)] = []
        var positional = try evaluate(arguments.positional)
        for (name, value) in arguments.named { named.append((name, try evaluate(value))) }
        if let spread = arguments.spread { positional += try elements(of: try evaluate(spread)) }
        if let spread = arguments.namedSpread {
            let value = try evaluate(spread)
            guard case .dictionary(let members) = value else {
                throw failure("'**' takes a mapping, not \(value.type)")
            }
            named += members.map { (name: $0.key, value: $0.value) }
        }
        return (positional, named)
    }

    private mutating func dictionary(
        _ members: [(key: JinjaExpression, value: JinjaExpression)]
    ) throws(JinjaError) -> JinjaValue {
        var all: [(key: String, value: JinjaValue)] = []
        for member in members {
            let key = try evaluate(member.key).written.string
            let value = try evaluate(member.value)
            if let index = all.firstIndex(where: { $0.key == key }) {
                all[index].value = value
            } else {
                all.append((key, value))
            }
        }
        return try contained(.dictionary(all))
    }

    /// A newly made list or mapping, if its depth and size are within what a chat can need. Values are trees, so a
    /// list that contained itself many times would take endless time to write.
    mutating func contained(_ value: JinjaValue) throws(JinjaError) -> JinjaValue {
        var size = 0
        try measure(value, depth: 0, &size)
        try step(at: line, cost: size / 8)
        return value
    }

    private func measure(_ value: JinjaValue, depth: Int, _ size: inout Int) throws(JinjaError) {
        size += 1
        guard depth < 64, size < 200_000 else { throw .exhausted("a value nested \(depth) deep with \(size) parts") }
        switch value {
        case .list(let elements), .tuple(let elements, _):
            for element in elements { try measure(element, depth: depth + 1, &size) }
        case .dictionary(let members): for member in members { try measure(member.value, depth: depth + 1, &size) }
        case .namespace, .round, .function:
            guard depth == 0 else { throw failure("\(value.type) inside another value") }
        case .text(let text): size += text.count / 64
        default: break
        }
    }

    // MARK: Parts

    func attribute(_ name: String, of value: JinjaValue) throws(JinjaError) -> JinjaValue {
        switch value {
        case .undefined(let base): throw failure("'\(base)' is undefined, so it has no '\(name)'")
        case .namespace(let namespace): return namespace.members[name] ?? .undefined(name)
        case .round(let round): return round[name] ?? .undefined(name)
        case .dictionary:
            // As in Python, a method comes before a member of its name.
            if JinjaLibrary.changing.contains(name) { return .undefined(name) }
            return JinjaLibrary.method(name, of: value) ?? value[name] ?? .undefined(name)
        case .tuple(let elements, let names):
            if let place = names.firstIndex(of: name) { return elements[place] }
            return JinjaLibrary.method(name, of: value) ?? .undefined(name)
        default: return JinjaLibrary.method(name, of: value) ?? .undefined(name)
        }
    }

    func item(_ index: JinjaValue, of value: JinjaValue) throws(JinjaError) -> JinjaValue {
        switch (value, index) {
        case (.undefined(let base), _): throw failure("'\(base)' is undefined, so it has no elements")
        case (.list(let elements), _), (.tuple(let elements, _), _):
            guard let whole = index.whole else { return try attribute(index.written.string, of: value) }
            let position = whole < 0 ? whole + elements.count : whole
            return elements.indices.contains(position) ? elements[position] : .undefined("\(whole)")
        case (.text(let text), _):
            guard let whole = index.whole else { return try attribute(index.written.string, of: value) }
            let position = whole < 0 ? whole + text.count : whole
            return 0..<text.count ~= position ? .text(text[position..<position + 1]) : .undefined("\(whole)")
        case (.dictionary, .text(let key)):
            // As in Python, a member comes before a method of its name.
            if let member = value[key.string] { return member }
            return try attribute(key.string, of: value)
        case (.round, .text(let key)): return try attribute(key.string, of: value)
        case (.namespace(let namespace), .text(let key)):
            return namespace.members[key.string] ?? .undefined(key.string)
        case (.dictionary, _): return value[index.written.string] ?? .undefined(index.written.string)
        default: return .undefined(index.written.string)
        }
    }

    private mutating func bound(_ expression: JinjaExpression?) throws(JinjaError) -> Int? {
        guard let expression else { return nil }
        let value = try evaluate(expression)
        if case .none = value { return nil }
        guard let whole = value.whole else { throw failure("a slice needs whole numbers, not \(value.type)") }
        return whole
    }

    /// Python's slicing, with negative bounds and steps.
    private mutating func slice(
        _ value: JinjaValue, _ from: Int?, _ to: Int?, _ step: Int
    ) throws(JinjaError) -> JinjaValue {
        guard step != 0 else { throw failure("a slice's step cannot be 0") }
        func indices(_ count: Int) -> [Int] {
            func clamped(_ bound: Int?, _ fallback: Int) -> Int {
                guard let bound else { return fallback }
                let index = bound < 0 ? bound + count : bound
                return step > 0 ? min(max(index, 0), count) : min(max(index, -1), count - 1)
            }
            let start = clamped(from, step > 0 ? 0 : count - 1)
            let end = clamped(to, step > 0 ? count : -1)
            return Array(stride(from: start, to: end, by: step))
        }
        switch value {
        case .list(let elements):
            try self.step(at: line, cost: elements.count / 8)
            return .list(indices(elements.count).map { elements[$0] })
        case .tuple(let elements, _):
            try self.step(at: line, cost: elements.count / 8)
            return .tuple(indices(elements.count).map { elements[$0] })
        case .text(let text):
            try self.step(at: line, cost: text.count / 64)
            let chosen = indices(text.count)
            if step == 1 { return .text(text[(chosen.first ?? 0)..<(chosen.last.map { $0 + 1 } ?? chosen.first ?? 0)]) }
            return .text(chosen.reduce(into: MarkedText()) { $0 += text[$1..<$1 + 1] })
        case .undefined(let name): throw failure("'\(name)' is undefined, so it has no elements")
        default: throw failure("\(value.type) cannot be sliced")
        }
    }

    private mutating func call(
        _ callee: JinjaExpression, _ arguments: JinjaArguments
    ) throws(JinjaError) -> JinjaValue {
        let function = try evaluate(callee)
        let given = try evaluate(arguments)
        if case .round(let round) = function {
            guard let again = round.again else { throw failure("this loop is not recursive, so it cannot be called") }
            return try again.call(given, &self)
        }
        guard case .function(let function) = function else {
            let name =
                switch callee.kind {
                case .variable(let name), .attribute(_, let name): "'\(name)'"
                default: function.type
                }
            throw failure("\(name) is no function")
        }
        return try function.call(given, &self)
    }

    // MARK: Operators

    private func negative(_ value: JinjaValue) throws(JinjaError) -> JinjaValue {
        if let whole = value.whole { return whole == .min ? .large("9223372036854775808") : .integer(-whole) }
        if case .large(let digits) = value {
            let opposite = digits.hasPrefix("-") ? String(digits.dropFirst()) : "-\(digits)"
            return Int(opposite).map { .integer($0) } ?? .large(opposite)
        }
        guard let number = value.number else { throw failure("\(value.type) has no negative") }
        return .float(-number)
    }

    private mutating func binary(
        _ sign: String, _ left: JinjaExpression, _ right: JinjaExpression
    ) throws(JinjaError) -> JinjaValue {
        let a = try evaluate(left)
        // As in Python, `and` and `or` return one of their sides.
        if sign == "and" { return a.isTrue ? try evaluate(right) : a }
        if sign == "or" { return a.isTrue ? a : try evaluate(right) }
        let b = try evaluate(right)
        switch sign {
        case "==": return .bool(a.equals(b))
        case "!=": return .bool(!a.equals(b))
        case "<", ">", "<=", ">=": return .bool(try compares(sign, a, b))
        case "in": return .bool(try contains(b, a))
        case "not in": return .bool(!(try contains(b, a)))
        case "~": return .text(try joined(a.written, b.written))
        case "+": return try sum(a, b)
        case "*": return try product(a, b)
        case "%":
            guard case .text(let text) = a else { return try arithmetic(sign, a, b) }
            return .text(try JinjaFormat(line: line).percent(text, b))
        default: return try arithmetic(sign, a, b)
        }
    }

    private mutating func joined(_ a: MarkedText, _ b: MarkedText) throws(JinjaError) -> MarkedText {
        try step(at: line, cost: (a.count + b.count) / 64)
        return a + b
    }

    private mutating func repeated(_ text: MarkedText, _ times: Int) throws(JinjaError) -> MarkedText {
        let (size, overflows) = text.count.multipliedReportingOverflow(by: max(0, times))
        guard !overflows, size < 1 << 20 else { throw .exhausted("a text repeated \(times) times") }
        try step(at: line, cost: size / 64)
        return text.repeated(max(0, times))
    }

    /// A product of numbers, or a string or list that is repeated.
    private mutating func product(_ a: JinjaValue, _ b: JinjaValue) throws(JinjaError) -> JinjaValue {
        let (repeated, times) = a.whole == nil ? (a, b.whole) : (b, a.whole)
        guard let times else { return try arithmetic("*", a, b) }
        if case .text(let text) = repeated { return .text(try self.repeated(text, times)) }
        guard let elements = repeated.elements else { return try arithmetic("*", a, b) }
        let (size, overflows) = elements.count.multipliedReportingOverflow(by: max(0, times))
        guard !overflows, size < 100_000 else { throw .exhausted("a list repeated \(times) times") }
        let all = Array(repeatElement(elements, count: max(0, times)).joined())
        if case .tuple = repeated { return try contained(.tuple(all)) }
        return try contained(.list(all))
    }

    mutating func sum(_ a: JinjaValue, _ b: JinjaValue) throws(JinjaError) -> JinjaValue {
        switch (a, b) {
        case (.text(let x), .text(let y)): return .text(try joined(x, y))
        case (.list(let x), .list(let y)):
            try step(at: line, cost: (x.count + y.count) / 8)
            return try contained(.list(x + y))
        case (.tuple(let x, _), .tuple(let y, _)):
            try step(at: line, cost: (x.count + y.count) / 8)
            return try contained(.tuple(x + y))
        default: return try arithmetic("+", a, b)
        }
    }

    func compares(_ sign: String, _ a: JinjaValue, _ b: JinjaValue) throws(JinjaError) -> Bool {
        let isLess: Bool
        let isMore: Bool
        if let order = JinjaValue.order(a, b) {
            (isLess, isMore) = (order < 0, order > 0)
        } else if let x = a.number, let y = b.number {
            (isLess, isMore) = (x < y, x > y)
        } else if case .text(let x) = a, case .text(let y) = b {
            (isLess, isMore) = (x < y, y < x)
        } else if a.type == b.type, let x = a.elements, let y = b.elements {
            // By the first element that differs.
            if let place = zip(x, y).enumerated().first(where: { !$0.element.0.equals($0.element.1) })?.offset {
                return try compares(sign, x[place], y[place])
            }
            (isLess, isMore) = (x.count < y.count, y.count < x.count)
        } else {
            throw failure("\(a.type) and \(b.type) cannot be compared by '\(sign)'")
        }
        switch sign {
        case "<": return isLess
        case ">": return isMore
        case "<=": return !isMore
        default: return !isLess
        }
    }

    func contains(_ container: JinjaValue, _ element: JinjaValue) throws(JinjaError) -> Bool {
        switch container {
        case .text(let text):
            guard case .text(let part) = element else { throw failure("only a string can be in a string") }
            return text.contains(part)
        case .list(let elements), .tuple(let elements, _): return elements.contains { $0.equals(element) }
        case .dictionary: return container[element.written.string] != nil
        case .undefined: return false
        default: throw failure("\(container.type) holds nothing")
        }
    }

    private func arithmetic(_ sign: String, _ a: JinjaValue, _ b: JinjaValue) throws(JinjaError) -> JinjaValue {
        guard let x = a.number, let y = b.number else {
            throw failure("'\(sign)' cannot be used with \(a.type) and \(b.type)")
        }
        if a.isLarge || b.isLarge { throw failure("the number is too large") }
        if ["/", "//", "%"].contains(sign), y == 0 { throw failure("a division by zero") }
        if let i = a.whole, let j = b.whole, sign != "/", sign != "**" || j >= 0 {
            let (result, overflows) = Self.whole(sign, i, j)
            if overflows { throw failure("the number is too large") }
            return .integer(result)
        }
        switch sign {
        case "+": return .float(x + y)
        case "-": return .float(x - y)
        case "*": return .float(x * y)
        case "/": return .float(x / y)
        case "//": return .float((x / y).rounded(.down))
        case "%": return .float(x - (x / y).rounded(.down) * y)
        default: return .float(Foundation.pow(x, y))
        }
    }

    /// Python's arithmetic of whole numbers: division and remainder round down.
    private static func whole(_ sign: String, _ i: Int, _ j: Int) -> (Int, Bool) {
        switch sign {
        case "+": return i.addingReportingOverflow(j)
        case "-": return i.subtractingReportingOverflow(j)
        case "*": return i.multipliedReportingOverflow(by: j)
        case "//", "%":
            let (quotient, overflows) = i.dividedReportingOverflow(by: j)
            if overflows { return (0, true) }
            let remainder = i - quotient * j
            let isOff = remainder != 0 && (remainder < 0) != (j < 0)
            return (sign == "//" ? quotient - (isOff ? 1 : 0) : remainder + (isOff ? j : 0), false)
        default:
            let power = Foundation.pow(Double(i), Double(j))
            return abs(power) < 1e15 ? (Int(power), false) : (0, true)
        }
    }
}
