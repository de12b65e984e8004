/// Runs a parsed template. Statements are handled here, expressions in `JinjaEvaluation.swift`.
///
/// Templates are programs from other people, so steps, nesting and the size of the output are limited.
struct JinjaInterpreter {
    var line = 0
    var output = MarkedText()
    private var scopes: [[String: JinjaValue]]
    private var steps = 0
    private var depth = 0

    private static let mostSteps = 300_000
    private static let mostText = 16 << 20
    /// The longest text that a single operation may produce, in characters.
    static let longestText = 4 << 20
    private static let deepest = 120

    init(variables: [String: JinjaValue]) { scopes = [variables] }

    /// The output of a template.
    static func render(_ nodes: [JinjaNode], _ variables: [String: JinjaValue]) throws(JinjaError) -> MarkedText {
        var interpreter = JinjaInterpreter(variables: JinjaLibrary.globals.merging(variables) { $1 })
        _ = try interpreter.run(nodes)
        return interpreter.output
    }

    /// Counts a step, and throws when there were too many.
    mutating func step(at line: Int, cost: Int = 1) throws(JinjaError) {
        self.line = line
        steps += cost
        if steps > Self.mostSteps { throw .exhausted("more than \(Self.mostSteps) steps, in line \(line)") }
    }

    func failure(_ reason: String) -> JinjaError { .evaluation(line: line, reason) }

    // MARK: Variables

    func value(of name: String) -> JinjaValue {
        for scope in scopes.reversed() { if let value = scope[name] { return value } }
        return .undefined(name)
    }

    private mutating func set(_ name: String, _ value: JinjaValue) { scopes[scopes.count - 1][name] = value }

    private mutating func write(_ text: MarkedText) throws(JinjaError) {
        output += text
        if output.count > Self.mostText { throw .exhausted("more than \(Self.mostText >> 20) million characters") }
    }

    // MARK: Statements

    private enum Flow { case on, breaks, continues }

    private mutating func run(_ nodes: [JinjaNode]) throws(JinjaError) -> Flow {
        for node in nodes {
            let flow = try run(node)
            if flow != .on { return flow }
        }
        return .on
    }

    private mutating func run(_ node: JinjaNode) throws(JinjaError) -> Flow {
        switch node {
        case .text(let text): try write(MarkedText(text))
        case .output(let expression, let line):
            try step(at: line)
            let text = try evaluate(expression).written
            try step(at: line, cost: text.count / 64)
            try write(text)
        case .branches(let branches, let otherwise):
            for branch in branches where try evaluate(branch.condition).isTrue { return try run(branch.body) }
            return try run(otherwise)
        case .loop(let loop): try run(loop)
        case .set(let target, let expression, let line):
            try step(at: line)
            try assign(try evaluate(expression), to: target)
        case .capture(let target, let body, let line):
            try step(at: line)
            let text = try captured { interpreter throws(JinjaError) in _ = try interpreter.scoped([], body) }
            try assign(.text(text), to: target)
        case .scope(let assignments, let body, let line):
            try step(at: line)
            return try scoped(assignments, body)
        case .macro(let macro): set(macro.name, function(macro))
        case .breakLoop: return .breaks
        case .continueLoop: return .continues
        }
        return .on
    }

    /// Runs a body with variables of its own. Their values are those of the surrounding variables.
    private mutating func scoped(
        _ assignments: [(target: JinjaTarget, value: JinjaExpression)], _ body: [JinjaNode]
    ) throws(JinjaError) -> Flow {
        let values = try evaluate(assignments.map(\.value))
        scopes.append([:])
        defer { scopes.removeLast() }
        for (assignment, value) in zip(assignments, values) { try assign(value, to: assignment.target) }
        return try run(body)
    }

    /// The output of a body, kept apart from the template's.
    private mutating func captured(
        _ body: (inout JinjaInterpreter) throws(JinjaError) -> Void
    ) throws(JinjaError) -> MarkedText {
        let outer = output
        output = MarkedText()
        try body(&self)
        let inner = output
        output = outer
        return inner
    }

    private mutating func assign(_ value: JinjaValue, to target: JinjaTarget) throws(JinjaError) {
        switch target {
        case .variable(let name): set(name, value)
        case .tuple(let targets):
            let values = try elements(of: value)
            guard values.count == targets.count else {
                throw failure("\(targets.count) variables cannot be set from \(values.count) values")
            }
            for (target, value) in zip(targets, values) { try assign(value, to: target) }
        case .attribute(let name, let attribute):
            guard case .namespace(let namespace) = self.value(of: name) else {
                throw failure("'\(name)' is no namespace, so '\(name).\(attribute)' cannot be set")
            }
            _ = try contained(.list([value]))
            namespace.members[attribute] = value
        }
    }

    private mutating func run(_ loop: JinjaLoop) throws(JinjaError) {
        try step(at: loop.line)
        try run(loop, over: try elements(of: try evaluate(loop.sequence)), depth: 0)
    }

    private mutating func run(_ loop: JinjaLoop, over all: [JinjaValue], depth: Int) throws(JinjaError) {
        let again = loop.isRecursive ? repetition(of: loop, depth: depth + 1) : nil
        scopes.append([:])
        defer { scopes.removeLast() }
        var chosen: [JinjaValue] = []
        for element in all {
            guard let condition = loop.condition else {
                chosen = all
                break
            }
            try assign(element, to: loop.target)
            if try evaluate(condition).isTrue { chosen.append(element) }
        }
        guard !chosen.isEmpty else {
            _ = try run(loop.otherwise)
            return
        }
        let memory = JinjaRound.Memory()
        for index in chosen.indices {
            try step(at: loop.line)
            // Variables set in one round are gone in the next.
            let round = JinjaRound(chosen, at: index, depth: depth, again: again, memory: memory)
            scopes[scopes.count - 1] = ["loop": .round(round)]
            try assign(chosen[index], to: loop.target)
            if try run(loop.body) == .breaks { break }
        }
    }

    /// `loop(elements)` in a recursive loop: its output for other elements.
    private func repetition(of loop: JinjaLoop, depth: Int) -> JinjaFunction {
        let outer = scopes.dropFirst()
        return JinjaFunction { arguments, interpreter throws(JinjaError) in
            let given = try interpreter.positional(arguments, of: "loop")
            guard given.count == 1 else { throw interpreter.failure("loop() takes one list") }
            let elements = try interpreter.elements(of: given[0])
            let text = try interpreter.nested { interpreter throws(JinjaError) in
                let inner = interpreter.scopes
                interpreter.scopes = [inner[0]] + outer
                defer { interpreter.scopes = inner }
                return try interpreter.captured { interpreter throws(JinjaError) in
                    try interpreter.run(loop, over: elements, depth: depth)
                }
            }
            return .text(text)
        }
    }

    /// The elements that a loop iterates over.
    func elements(of value: JinjaValue) throws(JinjaError) -> [JinjaValue] {
        switch value {
        case .list(let elements), .tuple(let elements, _): return elements
        case .dictionary(let members): return members.map { .text($0.key) }
        case .text(let text):
            guard text.count <= 1 << 16 else { throw .exhausted("a loop over \(text.count) characters") }
            return (0..<text.count).map { .text(text[$0..<$0 + 1]) }
        case .undefined: return []
        default: throw failure("\(value.type) has no elements")
        }
    }

    /// Arguments that have no names.
    func positional(_ arguments: JinjaFunction.Arguments, of name: String) throws(JinjaError) -> [JinjaValue] {
        if let (stranger, _) = arguments.named.first { throw failure("\(name)() has no argument '\(stranger)'") }
        return arguments.positional
    }

    /// A macro as a function. It sees the variables around its definition.
    private func function(_ macro: JinjaMacro) -> JinjaValue {
        let outer = Array(scopes.dropFirst())
        return .function(
            JinjaFunction { arguments, interpreter throws(JinjaError) in
                try interpreter.nested { interpreter throws(JinjaError) in
                    try interpreter.call(macro, arguments, outer)
                }
            })
    }

    private mutating func call(
        _ macro: JinjaMacro, _ arguments: JinjaFunction.Arguments, _ surroundings: [[String: JinjaValue]]
    ) throws(JinjaError) -> JinjaValue {
        try step(at: macro.line)
        // A macro does not see its caller's variables.
        let outer = scopes
        scopes = [outer[0]] + surroundings
        if !surroundings.isEmpty { scopes[scopes.count - 1][macro.name] = function(macro) }
        scopes.append([:])
        defer { scopes = outer }
        try bind(arguments, to: macro)
        return .text(try captured { interpreter throws(JinjaError) in _ = try interpreter.run(macro.body) })
    }

    /// Sets a macro's parameters. A default may name earlier parameters; what has no parameter is refused, unless the
    /// macro reads `varargs`, `kwargs` or `caller`.
    private mutating func bind(_ arguments: JinjaFunction.Arguments, to macro: JinjaMacro) throws(JinjaError) {
        var named = arguments.named
        for (position, parameter) in macro.parameters.enumerated() {
            let place = named.firstIndex { $0.name == parameter.name }
            if position < arguments.positional.count {
                guard place == nil else { throw failure("\(macro.name)() has '\(parameter.name)' twice") }
                set(parameter.name, arguments.positional[position])
            } else if let place {
                set(parameter.name, named.remove(at: place).value)
            } else if let value = parameter.value {
                set(parameter.name, try evaluate(value))
            } else {
                set(parameter.name, .undefined(parameter.name))
            }
        }
        if macro.extras.contains("caller"), !macro.parameters.contains(where: { $0.name == "caller" }) {
            let place = named.firstIndex { $0.name == "caller" }
            set("caller", place.map { named.remove(at: $0).value } ?? .undefined("caller"))
        }
        let rest = Array(arguments.positional.dropFirst(macro.parameters.count))
        if macro.extras.contains("varargs") {
            set("varargs", .tuple(rest))
        } else if !rest.isEmpty {
            throw failure("\(macro.name)() takes \(macro.parameters.count) arguments, not more")
        }
        if macro.extras.contains("kwargs") {
            set("kwargs", .dictionary(named.map { (key: $0.name, value: $0.value) }))
        } else if let (stranger, _) = named.first {
            throw failure("\(macro.name)() has no parameter '\(stranger)'")
        }
    }

    /// Runs work one nesting level deeper, if that is allowed.
    mutating func nested<Value>(
        _ body: (inout JinjaInterpreter) throws(JinjaError) -> Value
    ) throws(JinjaError) -> Value {
        depth += 1
        defer { depth -= 1 }
        guard depth < Self.deepest else { throw .exhausted("calls nested deeper than \(Self.deepest)") }
        return try body(&self)
    }
}
