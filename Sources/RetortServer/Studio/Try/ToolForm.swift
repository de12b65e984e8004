import RetortCore

/// A tool as a form: a field for each parameter, made from its schema.
struct ToolForm: Sendable {
    struct Choice: Sendable { let value: String }

    struct Field: Sendable {
        let name: String
        let type: String
        let summary: String
        let isRequired: Bool
        /// The kind of field; exactly one of these is true.
        let isChoice: Bool
        let isNumber: Bool
        let isLong: Bool
        let isLine: Bool
        let step: String
        let choices: [Choice]
        let hint: String
    }

    let name: String
    let summary: String
    let changes: Bool
    let returns: String
    let fields: [Field]

    init(_ tool: ToolSpecification) {
        name = tool.name
        summary = VisibleText.line(tool.summary, upTo: 1000)
        changes = tool.effect == .external
        returns = tool.returns
        fields = tool.parameters.map(Self.field)
    }

    private static func field(_ parameter: ToolSpecification.Parameter) -> Field {
        var choices = parameter.schema?["enum"]?.array?.map(\.text) ?? []
        if parameter.type == "boolean" { choices = ["true", "false"] }
        let isNumber = ["integer", "number"].contains(parameter.type) && choices.isEmpty
        let isJSON = ["array", "object"].contains(parameter.type)
        return Field(
            name: parameter.name, type: parameter.type, summary: VisibleText.line(parameter.summary, upTo: 600),
            isRequired: parameter.isRequired, isChoice: !choices.isEmpty, isNumber: isNumber,
            isLong: isJSON && choices.isEmpty,
            isLine: !isNumber && !isJSON && choices.isEmpty, step: parameter.type == "integer" ? "1" : "any",
            choices: choices.prefix(200).map { Choice(value: $0) },
            hint: parameter.type == "array" ? "[…]" : parameter.type == "object" ? "{…}" : "")
    }

    /// The values of a form as arguments. Empty fields that are not required are left out.
    /// - Throws: `APIError` for a value that does not fit the parameter's type.
    static func arguments(_ tool: ToolSpecification, _ form: StudioForm) throws(APIError) -> [String: JSONValue] {
        var arguments: [String: JSONValue] = [:]
        for parameter in tool.parameters {
            guard let text = form.raw("arg-\(parameter.name)"),
                !text.isEmpty || (parameter.isRequired && parameter.type == "string")
            else { continue }
            arguments[parameter.name] = try value(text, parameter)
        }
        return arguments
    }

    private static func value(_ text: String, _ parameter: ToolSpecification.Parameter) throws(APIError) -> JSONValue {
        func refused(_ wanted: String) -> APIError {
            .invalid("'\(parameter.name)' must be \(wanted)", param: parameter.name)
        }
        if let chosen = parameter.schema?["enum"]?.array?.first(where: { $0.text == text }) { return chosen }
        switch parameter.type {
        case "string": return .string(text)
        case "boolean":
            guard let flag = Bool(text) else { throw refused("true or false") }
            return .bool(flag)
        case "integer":
            guard let number = Int(text) else { throw refused("a whole number") }
            return .integer(number)
        case "number":
            guard let number = Double(text), number.isFinite else { throw refused("a number") }
            return Int(text).map(JSONValue.integer) ?? .number(number)
        case "array", "object":
            guard let value = try? ExactJSON.value(of: text) else { throw refused("JSON of type \(parameter.type)") }
            return value
        // Of any type: JSON if the text parses as JSON, else the text itself.
        default: return (try? ExactJSON.value(of: text)) ?? .string(text)
        }
    }
}
