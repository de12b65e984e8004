import RetortCore

/// The tools of a trajectory in OpenAI's form: `{"type": "function", "function": {name, description, parameters}}`.
enum ToolSchemas {
    /// The tools that the task describes, then those that were called but are not described: Python, and any other tool
    /// by the arguments of its calls.
    static func openAI(for trajectory: Trajectory) -> [JSONValue] {
        var tools = (trajectory.task.metadata["tools"]?.array ?? []).compactMap(described)
        var names = Set(tools.compactMap { $0["function"]?["name"]?.string })
        if trajectory.steps.contains(where: { $0.action.code != nil }), names.insert(ATIF.program).inserted {
            tools.append(python)
        }
        var calls: [(name: String, arguments: [[String: JSONValue]])] = []
        for step in trajectory.steps {
            guard case .toolCall(let name, let arguments) = step.action, !names.contains(name) else { continue }
            let object = arguments.object ?? ["value": arguments]
            if let index = calls.firstIndex(where: { $0.name == name }) {
                calls[index].arguments.append(object)
            } else {
                calls.append((name, [object]))
            }
        }
        return tools + calls.map { function($0.name, "", parameters(of: $0.arguments)) }
    }

    private static let python = function(
        ATIF.program, "Runs a Python program in a session that keeps its variables, and returns what it printed.",
        [
            "type": "object", "properties": [ATIF.programArgument: ["type": "string", "description": "The program."]],
            "required": [.string(ATIF.programArgument)],
        ])

    private static func function(_ name: String, _ description: String, _ parameters: JSONValue) -> JSONValue {
        [
            "type": "function",
            "function": ["name": .string(name), "description": .string(description), "parameters": parameters],
        ]
    }

    /// A tool of a task: already in this form, or a document in ToolBench's.
    private static func described(_ tool: JSONValue) -> JSONValue? {
        if tool["function"]?["name"]?.string != nil { return tool }
        guard let name = tool["Name"]?.string else { return nil }
        return function(name, tool["function"]?.string ?? "", tool["schema"] ?? parameters(ofInput: tool["input"]))
    }

    /// ToolBench's `{"parameter": "type, description"}` as a schema.
    private static func parameters(ofInput input: JSONValue?) -> JSONValue {
        let types: Set = ["string", "integer", "number", "boolean", "array", "object"]
        let properties = (input?.object ?? [:]).mapValues { value -> JSONValue in
            let parts = value.text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
            let type = parts.first.map { $0.trimmingBlanks.lowercased() } ?? ""
            let description = types.contains(type) && parts.count == 2 ? parts[1].trimmingBlanks : value.text
            return ["type": .string(types.contains(type) ? type : "string"), "description": .string(description)]
        }
        return ["type": "object", "properties": .object(properties)]
    }

    private static func parameters(of calls: [[String: JSONValue]]) -> JSONValue {
        var properties: [String: JSONValue] = [:]
        for (name, value) in calls.flatMap({ $0 }) where properties[name] == nil {
            properties[name] = ["type": .string(type(of: value))]
        }
        let required = properties.keys.filter { name in calls.allSatisfy { $0[name] != nil } }.sorted()
        return [
            "type": "object", "properties": .object(properties), "required": .array(required.map { .string($0) }),
        ]
    }

    private static func type(of value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .integer: "integer"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}
