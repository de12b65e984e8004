import RetortCore

/// How much a system prompt says.
public enum Instructions: String, Codable, Sendable, CaseIterable {
    /// A few words: for students, who have learned the rest.
    case brief
    /// Format, rules and examples: for models that have not.
    case full
}

/// The code agent's view: thought and Python program in each of its turns, observations as the user's.
public struct CodeAgentView: View {
    /// How much the system prompt says.
    public let instructions: Instructions
    /// The functions the agent may call, `final_answer` aside.
    public let tools: [ToolSpecification]

    public init(instructions: Instructions, tools: [ToolSpecification]) {
        self.instructions = instructions
        self.tools = tools
    }

    public func messages(for trajectory: Trajectory) -> [Message] {
        var messages = [Message(.system, systemPrompt), Message(.user, trajectory.task.question)]
        for (index, step) in trajectory.steps.enumerated() {
            messages.append(Message(.assistant, Self.turn(step.thought, step.action), trainable: true))
            // Nobody reads what follows the last step of a finished run.
            if index == trajectory.steps.count - 1, trajectory.ending != nil { break }
            messages.append(Message(.user, "Observation:\n\(step.observation.text)"))
        }
        return messages
    }

    /// An agent's turn as text; `ActionParser` reads it back.
    public static func turn(_ thought: String, _ action: Action) -> String {
        switch action {
        case .code(let program): "Thought: \(thought)\nCode:\n```py\n\(program)\n```"
        case .answer(let value): "Thought: \(thought)\nCode:\n```py\nfinal_answer(\(PythonLiteral.of(value)))\n```"
        case .toolCall(let name, let arguments):
            "Thought: \(thought)\nCode:\n```py\nprint(\(name)(\(PythonLiteral.keywords(arguments))))\n```"
        case .giveUp(let reason): "Thought: \(thought)\nCode:\n```py\nfinal_answer(None)  # \(reason)\n```"
        case .unparsable(let text, _): text
        }
    }

    private var systemPrompt: String {
        let signatures = (tools.map(\.pythonSignature) + ["final_answer(answer)"])
        switch instructions {
        case .brief: return "Solve the task with Python. Tools: \(signatures.joined(separator: ", "))"
        case .full: return Self.fullPrompt(tools)
        }
    }

    private static func fullPrompt(_ tools: [ToolSpecification]) -> String {
        let documents = tools.map { tool in
            let parameters = tool.parameters.map { "    \($0.name) (\($0.type)): \($0.summary)" }
            return (["\(tool.pythonSignature) -> \(tool.returns): \(tool.summary)"] + parameters)
                .joined(separator: "\n")
        }
        return """
            You solve tasks by writing Python, one short program at a time. Each of your turns has exactly this form:

            Thought: what you know so far and what you do next
            Code:
            ```py
            a program
            ```

            The program is run and you are shown what it prints. Variables, functions and imports stay for your next \
            programs. Print what you need to see. Import only from the standard library, numpy and sympy. These \
            functions are there already:

            \(documents.joined(separator: "\n"))
            final_answer(answer) -> ends the task with your answer

            Rules: one program a turn; use only variables you have defined; do not guess what a function will return, \
            look at its result before you rely on it; do not repeat a call with the same arguments; always end with \
            final_answer, with nothing but the answer itself in it.

            Example. Task: How many seconds are there in three weeks?
            Thought: A week has 7 days of 24 hours, an hour has 3600 seconds.
            Code:
            ```py
            seconds = 3 * 7 * 24 * 3600
            print(seconds)
            ```
            Observation:
            1814400
            Thought: That is the number of seconds.
            Code:
            ```py
            final_answer(seconds)
            ```
            """
    }
}

extension ToolSpecification {
    /// The tool's head as Python would write it: `web_search(query)`.
    public var pythonSignature: String {
        "\(name)(\(parameters.map { $0.isRequired ? $0.name : "\($0.name)=None" }.joined(separator: ", ")))"
    }
}

/// JSON values as Python source.
enum PythonLiteral {
    static func of(_ value: JSONValue) -> String {
        switch value {
        case .null: return "None"
        case .bool(let value): return value ? "True" : "False"
        case .integer(let value): return String(value)
        case .number(let value): return value.isFinite ? "\(value)" : "float('\(value)')"
        case .string(let text): return quoted(text)
        case .array(let elements): return "[\(elements.map(of).joined(separator: ", "))]"
        case .object(let members):
            if members.count == 1, let digits = members["$int"]?.string { return digits }
            let pairs = members.sorted { $0.key < $1.key }.map { "\(quoted($0.key)): \(of($0.value))" }
            return "{\(pairs.joined(separator: ", "))}"
        }
    }

    static func keywords(_ arguments: JSONValue) -> String {
        (arguments.object ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\(of($0.value))" }
            .joined(separator: ", ")
    }

    private static func quoted(_ text: String) -> String {
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            .replacing("\r", with: "\\r")
        return "\"\(escaped)\""
    }
}
