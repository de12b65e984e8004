import RetortCore

/// The constraints that a request puts on its answers: OpenAI's `response_format`, and the part of vLLM's
/// `structured_outputs` that can be enforced here.
enum RequestGrammar {
    /// - Throws: `APIError` for a constraint that could not be enforced.
    static func read(_ fields: inout RequestFields) throws(APIError) -> OutputGrammar? {
        let format = try responseFormat(&fields)
        let other = try structuredOutputs(&fields)
        guard format == nil || other == nil else {
            throw .invalid(
                "'response_format' and 'structured_outputs' exclude each other", param: "structured_outputs")
        }
        let grammar = format ?? other
        do {
            try grammar?.checkForStrangers()
        } catch {
            let place = format == nil ? "structured_outputs" : "response_format"
            throw .invalid("'\(place)': \(error)", param: place, code: "unusable_grammar")
        }
        return grammar
    }

    /// The longest text of a schema or of a list of choices, in bytes.
    private static let longest = 1 << 16

    /// Refuses a schema or list that is too long.
    private static func bound(_ tree: JSONTree, at place: String) throws(APIError) {
        guard tree.text.utf8.count <= longest else {
            throw .invalid("'\(place)' is longer than \(longest) bytes", param: place)
        }
    }

    private static func responseFormat(_ fields: inout RequestFields) throws(APIError) -> OutputGrammar? {
        guard let tree = fields.tree("response_format") else { return nil }
        var format = try RequestFields(tree, at: "response_format")
        switch try format.requiredString("type") {
        case "text":
            try format.refuseOthers(harmless: [])
            return nil
        case "json_object":
            try format.refuseOthers(harmless: [])
            return .json(.anyObject)
        case "json_schema":
            guard let tree = format.tree("json_schema") else {
                throw .invalid("'response_format.json_schema' is missing", param: "response_format.json_schema")
            }
            try format.refuseOthers(harmless: [])
            var named = try RequestFields(tree, at: "response_format.json_schema")
            guard let schema = named.tree("schema") else {
                throw .invalid("'\(named.place("schema"))' is missing", param: named.place("schema"))
            }
            // Schemas are always enforced strictly here, whatever `strict` says.
            try named.refuseOthers(harmless: ["name", "description", "strict"])
            return .json(try Self.schema(schema, at: "response_format.json_schema.schema"))
        case let type:
            throw .unsupported("response_format.type", "use text, json_object or json_schema, not '\(type)'")
        }
    }

    private static func structuredOutputs(_ fields: inout RequestFields) throws(APIError) -> OutputGrammar? {
        guard let tree = fields.tree("structured_outputs") else { return nil }
        var outputs = try RequestFields(tree, at: "structured_outputs")
        let choices = try outputs.array("choice")
        let schema = outputs.tree("json")
        for name in ["regex", "grammar", "structural_tag"] {
            try outputs.refuse(name, "answers can be held to 'choice' or 'json'")
        }
        try outputs.refuseOthers(harmless: [])
        switch (choices, schema) {
        case (let choices?, nil):
            let texts = try texts(choices)
            return .oneOf(texts.map(OutputGrammar.text))
        case (nil, let schema?): return .json(try Self.schema(schema, at: "structured_outputs.json"))
        default: throw .invalid("'structured_outputs' needs one of 'choice' and 'json'", param: "structured_outputs")
        }
    }

    private static func texts(_ trees: [JSONTree]) throws(APIError) -> [String] {
        try bound(.array(trees), at: "structured_outputs.choice")
        var texts: [String] = []
        for tree in trees { texts.append(try RequestFields.string(tree, at: "structured_outputs.choice")) }
        guard !texts.isEmpty, !texts.contains("") else {
            throw .invalid(
                "'structured_outputs.choice' needs at least one text, and none that is empty",
                param: "structured_outputs.choice")
        }
        return texts
    }

    private static func schema(_ tree: JSONTree, at place: String) throws(APIError) -> JSONSchema {
        try bound(tree, at: place)
        do {
            return try JSONSchema(ExactJSON.value(of: tree.text))
        } catch {
            throw .invalid("'\(place)': \(error)", param: place)
        }
    }
}
