/// The arguments of a filter, a function or a method, by the names of its parameters. An argument without a parameter
/// is refused: passed over, it would change the text in silence.
struct JinjaGiven {
    private let values: [String: JinjaValue]

    /// - Parameters:
    ///   - parameters: the names, in the order of the positional arguments.
    ///   - name: the filter, function or method, for the error.
    init(
        _ arguments: JinjaFunction.Arguments, for parameters: [String], of name: String, line: Int
    ) throws(JinjaError) {
        guard arguments.positional.count <= parameters.count else {
            throw .evaluation(
                line: line, "'\(name)' takes \(parameters.count) arguments, not \(arguments.positional.count)")
        }
        var values = Dictionary(zip(parameters, arguments.positional), uniquingKeysWith: { _, last in last })
        for (parameter, value) in arguments.named {
            guard parameters.contains(parameter), values.updateValue(value, forKey: parameter) == nil else {
                throw .evaluation(line: line, "'\(name)' has no argument '\(parameter)', or has it twice")
            }
        }
        self.values = values
    }

    /// An argument; nil when it is missing.
    subscript(name: String) -> JinjaValue? { values[name] }

    /// An argument; nil when it is missing or none.
    func some(_ name: String) -> JinjaValue? {
        if case JinjaValue.none? = values[name] { nil } else { values[name] }
    }

    /// Whether an argument is given and counts as true.
    func isTrue(_ name: String) -> Bool { values[name]?.isTrue ?? false }

    /// A string; nil when the argument is missing, none or something else.
    func text(_ name: String) -> MarkedText? {
        if case .text(let text)? = values[name] { text } else { nil }
    }
}
