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
        case .set(let targets, let expression, let line):
            try step(at: line)
            try assign(try evaluate(expression), to: targets)
        case .capture(let target, let body, let line):
            try step(at: line)
            try assign(.text(try captured(body)), to: [target])
        case .macro(let macro): set(macro.name, function(macro))
        case .breakLoop: return .breaks
        case .continueLoop: return .continues
        }
        return .on
    }

    /// The output of a body, kept apart from the template's.
    private mutating func captured(_ body: [JinjaNode]) throws(JinjaError) -> MarkedText {
        let outer = output
        output = MarkedText()
        _ = try run(body)
        let inner = output
        output = outer
        return inner
    }

    private mutating func assign(_ value: JinjaValue, to targets: [JinjaTarget]) throws(JinjaError) {
        guard targets.count > 1 else { return try assign(value, to: targets[0]) }
        guard case .list(let values) = value, values.count == targets.count else {
            throw failure("\(targets.count) variables cannot be set from \(value.type)")
        }
        for (target, value) in zip(targets, values) { try assign(value, to: target) }
    }

    private mutating func assign(_ value: JinjaValue, to target: JinjaTarget) throws(JinjaError) {
        guard let attribute = target.attribute else { return set(target.name, value) }
        guard case .namespace(let namespace) = self.value(of: target.name) else {
            throw failure("'\(target.name)' is no namespace, so '\(target.name).\(attribute)' cannot be set")
        }
        _ = try contained(.list([value]))
        namespace.members[attribute] = value
    }

    private mutating func run(_ loop: JinjaLoop) throws(JinjaError) {
        try step(at: loop.line)
        let all = try elements(of: try evaluate(loop.sequence))
        scopes.append([:])
        defer { scopes.removeLast() }
        var chosen: [JinjaValue] = []
        for element in all {
            guard let condition = loop.condition else {
                chosen = all
                break
            }
            try bind(element, to: loop.targets)
            if try evaluate(condition).isTrue { chosen.append(element) }
        }
        guard !chosen.isEmpty else {
            _ = try run(loop.otherwise)
            return
        }
        for index in chosen.indices {
            try step(at: loop.line)
            // Variables set in one round are gone in the next.
            scopes[scopes.count - 1] = ["loop": JinjaLibrary.loop(chosen, at: index)]
            try bind(chosen[index], to: loop.targets)
            if try run(loop.body) == .breaks { break }
        }
    }

    private mutating func bind(_ element: JinjaValue, to targets: [String]) throws(JinjaError) {
        guard targets.count > 1 else { return set(targets[0], element) }
        guard case .list(let values) = element, values.count == targets.count else {
            throw failure("a loop over \(targets.count) variables needs lists of that length, not \(element.type)")
        }
        for (target, value) in zip(targets, values) { set(target, value) }
    }

    /// The elements that a loop iterates over.
    func elements(of value: JinjaValue) throws(JinjaError) -> [JinjaValue] {
        switch value {
        case .list(let elements): return elements
        case .dictionary(let members): return members.map { .text($0.key) }
        case .text(let text):
            guard text.count <= 1 << 16 else { throw .exhausted("a loop over \(text.count) characters") }
            return (0..<text.count).map { .text(text[$0..<$0 + 1]) }
        case .undefined: return []
        default: throw failure("\(value.type) has no elements")
        }
    }

    private func function(_ macro: JinjaMacro) -> JinjaValue {
        .function(
            JinjaFunction { arguments, interpreter throws(JinjaError) in
                try interpreter.nested { interpreter throws(JinjaError) in
                    try interpreter.call(macro, arguments)
                }
            })
    }

    private mutating func call(
        _ macro: JinjaMacro, _ arguments: JinjaFunction.Arguments
    ) throws(JinjaError) -> JinjaValue {
        try step(at: macro.line)
        var scope: [String: JinjaValue] = [:]
        for (position, parameter) in macro.parameters.enumerated() {
            if position < arguments.positional.count {
                scope[parameter.name] = arguments.positional[position]
            } else if let given = arguments.named.first(where: { $0.name == parameter.name }) {
                scope[parameter.name] = given.value
            } else if let value = parameter.value {
                scope[parameter.name] = try evaluate(value)
            } else {
                scope[parameter.name] = .undefined(parameter.name)
            }
        }
        // A macro sees its parameters and the template's top-level variables, but not its caller's variables.
        let outer = scopes
        scopes = [outer[0], scope]
        defer { scopes = outer }
        return .text(try captured(macro.body))
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
