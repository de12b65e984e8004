import RetortCore

/// The tools that a chat offers, and whether one must be called.
struct ToolOffer {
    /// The tools as they were sent, for the chat template; nil when none may be called.
    let text: String?
    let names: Set<String>
    /// The schemas of their parameters as they were sent, by the names.
    let parameters: [String: JSONTree]
    /// The functions of which one must be called, with the schemas of their arguments; nil when no call is required.
    let required: [(name: String, arguments: JSONSchema)]?

    private struct Function {
        let name: String
        let parameters: JSONTree?
        let place: String
    }

    init(_ fields: inout RequestFields) throws(APIError) {
        let tools = try fields.array("tools") ?? []
        var functions: [Function] = []
        for (index, tool) in tools.enumerated() {
            let place = "tools[\(index)]"
            guard tool["type"]?.string == "function", let function = tool["function"],
                let name = function["name"]?.string,
                !name.isEmpty
            else {
                throw .invalid("'\(place)' must be {\"type\": \"function\", \"function\": {\"name\", …}}", param: place)
            }
            try Self.check(name, after: functions, at: "\(place).function.name")
            functions.append(
                Function(name: name, parameters: function["parameters"], place: "\(place).function.parameters"))
        }
        names = Set(functions.map(\.name))
        parameters = Dictionary(
            functions.map { ($0.name, $0.parameters ?? .null) }, uniquingKeysWith: { first, _ in first })
        let wanted: [Function]?
        switch fields.tree("tool_choice") {
        case nil: wanted = nil
        case .string(let word) where word == Array("auto".utf8): wanted = nil
        case .string(let word) where word == Array("none".utf8):
            (text, required) = (nil, nil)
            return
        case .string(let word) where word == Array("required".utf8): wanted = functions
        case .some(let tree):
            wanted = [try Self.named(tree, functions)]
        }
        text = tools.isEmpty ? nil : JSONTree.array(tools).text
        guard let wanted else {
            required = nil
            return
        }
        guard !wanted.isEmpty else {
            throw .invalid("'tool_choice' asks for a call, and there are no 'tools'", param: "tool_choice")
        }
        required = try Self.schemas(wanted)
    }

    /// Calls are told apart by their names, and some forms of calls write a name without quotation marks. OpenAI takes
    /// letters, digits, `_` and `-`, up to 64; MCP's names also have `.` and `/`, and up to 128 characters.
    private static func check(_ name: String, after others: [Function], at place: String) throws(APIError) {
        guard name.wholeMatch(of: /[A-Za-z0-9_.:\/\-]{1,128}/) != nil else {
            throw .invalid(
                "'\(place)' must be 1 to 128 of the letters A to Z and a to z, digits, and '_', '-', '.', ':' and '/'",
                param: place)
        }
        if others.contains(where: { $0.name == name }) {
            throw .invalid("'\(place)' is '\(name)', which another of 'tools' has, too", param: place)
        }
    }

    /// The function of `{"type": "function", "function": {"name"}}`.
    private static func named(_ tree: JSONTree, _ functions: [Function]) throws(APIError) -> Function {
        guard tree["type"]?.string == "function", let name = tree["function"]?["name"]?.string else {
            throw .unsupported(
                "tool_choice",
                "use \"auto\", \"none\", \"required\" or {\"type\": \"function\", \"function\": {\"name\": …}}")
        }
        guard let function = functions.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
            throw .invalid("'tool_choice' names '\(name)', which is none of 'tools'", param: "tool_choice")
        }
        return function
    }

    private static func schemas(
        _ functions: [Function]
    ) throws(APIError) -> [(name: String, arguments: JSONSchema)] {
        var calls: [(name: String, arguments: JSONSchema)] = []
        for function in functions {
            let schema = try schema(function)
            do {
                try OutputGrammar.json(schema).checkForStrangers()
            } catch {
                throw .invalid("'\(function.place)': \(error)", param: function.place, code: "unusable_grammar")
            }
            calls.append((function.name, schema))
        }
        return calls
    }

    /// The schema of the arguments, which is always made an object's.
    private static func schema(_ function: Function) throws(APIError) -> JSONSchema {
        guard let parameters = function.parameters, !parameters.isNull else { return .anyObject }
        let place = function.place
        do {
            var json = try ExactJSON.value(of: parameters.text)
            guard var members = json.object else {
                throw APIError.invalid("'\(place)' must be an object", param: place)
            }
            if members["type"] == nil {
                members["type"] = "object"
                json = .object(members)
            }
            guard json["type"] == "object" else {
                throw APIError.invalid("'\(place).type' must be \"object\"", param: "\(place).type")
            }
            return try JSONSchema(json)
        } catch let error as APIError {
            throw error
        } catch {
            throw .invalid("'\(place)': \(error)", param: place)
        }
    }
}
