import RetortCore

extension Trajectory {
    /// The same trajectory as a code agent would have written it: the answer that ends it becomes the program
    /// `final_answer("…")`, so that a student learns to end its run by itself.
    ///
    /// Steps before the last, the outcome and the ending stay as they are, and so does a trajectory without an answer.
    public func asAgentTrajectory() -> Trajectory {
        guard let last = steps.last, case .answer(let value) = last.action else { return self }
        var copy = Trajectory(task: task, provenance: provenance, id: id)
        for step in steps.dropLast() { copy.append(step) }
        var final = last
        final.action = .code("final_answer(\(Self.pythonLiteral(value)))")
        copy.append(final)
        if let ending { copy.end(ending) }
        copy.state = state
        return copy
    }

    private static func pythonLiteral(_ value: JSONValue) -> String {
        switch value {
        case .null, .bool, .integer: value.text
        case .number(let number): number.isFinite ? "\(number)" : "float(\"\(number)\")"
        case .string(let text): quoted(text)
        case .array(let elements): "[\(elements.map(pythonLiteral).joined(separator: ", "))]"
        case .object(let members):
            "{"
                + members.sorted { $0.key < $1.key }
                .map { "\(quoted($0.key)): \(pythonLiteral($0.value))" }.joined(separator: ", ") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        // By scalar: Swift takes "\r\n" for one character.
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\n": "\\n"
            case "\r": "\\r"
            case "\0": "\\x00"
            default: String(scalar)
            }
        }
        return "\"\(escaped.joined())\""
    }
}
