import RetortCore

/// A tool's parameters, read from its JSON schema.
struct MCPParameters {
    /// The schema with the parameters' Python names.
    private(set) var schema: JSONValue
    /// The server's names of renamed parameters, by their Python names.
    private(set) var originals: [String: String] = [:]
    /// Required parameters first, as Python demands, and by name within each group.
    private(set) var parameters: [ToolSpecification.Parameter] = []

    /// - Parameter unusable: turns a reason into an error.
    init(_ input: JSONValue, _ unusable: (String) -> MCPError) throws {
        guard input["type"] == nil || input["type"] == "object" else {
            throw unusable("its arguments are no object but \(input["type"]?.jsonText ?? "")")
        }
        // A choice between sets of parameters cannot be written as a function's signature.
        for key in ["anyOf", "oneOf", "allOf", "$ref"] where input[key] != nil {
            throw unusable(
                "the JSON schema at #: '\(key)' stands beside the parameters; a function has one list of them")
        }
        let properties = input["properties"]?.object ?? [:]
        let required = Set((input["required"]?.array ?? []).compactMap(\.string))
        let names = properties.keys.sorted { (required.contains($0) ? 0 : 1, $0) < (required.contains($1) ? 0 : 1, $1) }
        let renamed = Dictionary(zip(names, PythonNames.names(for: names)), uniquingKeysWith: { first, _ in first })
        for (name, python) in renamed where name != python { originals[python] = name }
        var members = input.object ?? [:]
        members["type"] = "object"
        members["properties"] = .object(
            Dictionary(properties.map { (renamed[$0.key] ?? $0.key, $0.value) }, uniquingKeysWith: { $1 }))
        if !required.isEmpty {
            members["required"] = .array(required.sorted().map { .string(renamed[$0] ?? $0) })
        }
        // A function cannot have parameters without names.
        if members["additionalProperties"] == nil || members["additionalProperties"] == true {
            members["additionalProperties"] = false
        }
        schema = .object(members)
        parameters = names.map { name in
            let property = properties[name] ?? [:]
            return ToolSpecification.Parameter(
                renamed[name] ?? name, type: Self.type(of: property, in: input), summary: Self.summary(property),
                isRequired: required.contains(name), schema: Self.resolved(property, in: input))
        }
    }

    /// A parameter's schema with its references resolved; nil if it refers to itself or to nothing.
    private static func resolved(_ schema: JSONValue, in root: JSONValue, depth: Int = 0) -> JSONValue? {
        guard depth < 16 else { return nil }
        switch schema {
        case .object(let members):
            if let reference = members["$ref"]?.string {
                guard let target = target(of: reference, in: root) else { return nil }
                guard let found = resolved(target, in: root, depth: depth + 1)?.object else { return nil }
                // Members beside a reference apply in addition.
                return .object(found.merging(members.filter { $0.key != "$ref" }) { $1 })
            }
            var whole: [String: JSONValue] = [:]
            for (key, value) in members {
                guard let part = resolved(value, in: root, depth: depth + 1) else { return nil }
                whole[key] = part
            }
            return .object(whole)
        case .array(let values):
            let parts = values.compactMap { resolved($0, in: root, depth: depth + 1) }
            return parts.count == values.count ? .array(parts) : nil
        default: return schema
        }
    }

    private static func target(of reference: String, in root: JSONValue) -> JSONValue? {
        guard reference.hasPrefix("#/") else { return nil }
        return reference.dropFirst(2).split(separator: "/").reduce(root as JSONValue?) { $0?[String($1)] }
    }

    /// The one type that a value may have besides null; `any` if there are several.
    static func type(of schema: JSONValue, in root: JSONValue, depth: Int = 0) -> String {
        let types = types(of: schema, in: root, depth: depth).subtracting(["null"])
        if types == ["integer", "number"] { return "number" }
        return types.count == 1 ? types.first ?? "any" : "any"
    }

    private static func types(of schema: JSONValue, in root: JSONValue, depth: Int) -> Set<String> {
        guard depth < 16 else { return [] }
        if let type = schema["type"]?.string { return [type] }
        if let types = schema["type"]?.array { return Set(types.compactMap(\.string)) }
        if let values = schema["enum"]?.array ?? schema["const"].map({ [$0] }) { return Set(values.map(\.typeName)) }
        if let choices = schema["anyOf"]?.array ?? schema["oneOf"]?.array {
            let sets = choices.map { types(of: $0, in: root, depth: depth + 1) }
            return sets.contains([]) ? [] : sets.reduce([]) { $0.union($1) }
        }
        if let all = schema["allOf"]?.array, let first = all.first {
            return types(of: first, in: root, depth: depth + 1)
        }
        if let reference = schema["$ref"]?.string, let target = target(of: reference, in: root) {
            return types(of: target, in: root, depth: depth + 1)
        }
        return []
    }

    /// The description and the default; the values of an enumeration are part of the type.
    private static func summary(_ schema: JSONValue) -> String {
        var parts = [schema["description"]?.string ?? schema["title"]?.string ?? ""]
        if let value = schema["default"], value != .null { parts.append("default \(value.jsonText)") }
        return parts.filter { !$0.isEmpty }.joined(separator: "; ")
    }

    /// The type of the result: that of the output schema for structured results, otherwise a text.
    static func returns(_ output: JSONValue?) -> String {
        guard let output else { return "string" }
        guard isWrapped(output), let inner = output["properties"]?["result"] else { return "object" }
        return type(of: inner, in: output)
    }

    /// Whether a result has the form `{"result": x}`, in which servers wrap values that are not objects.
    static func isWrapped(_ output: JSONValue?) -> Bool {
        output?["properties"]?.object.map { Array($0.keys) } == ["result"] && output?["required"] == ["result"]
    }
}

extension JSONValue {
    fileprivate var typeName: String {
        switch self {
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
