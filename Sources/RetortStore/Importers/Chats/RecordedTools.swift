import RetortCore

/// Reads the tools that a record describes, in any form: OpenAI's `{"type": "function", "function": {…}}`, the bare
/// `{name, description, parameters}`, Anthropic's with `input_schema`, and any of them as JSON text.
enum RecordedTools {
    private static let wrapper = RecordKeys("a tool", read: ["type", "function"])
    private static let function = RecordKeys(
        "a tool", read: ["type", "name", "description", "parameters", "input_schema", "inputSchema"],
        harmless: ["strict", "cache_control", "title"])

    /// The tools of a record or a request: its `tools`, or its `functions` where it has no tools.
    static func documents(of record: JSONValue, _ notes: inout RecordNotes) -> [ToolDocument] {
        let given = ["tools", "functions"].filter { record[$0]?.isVoid == false }
        if given.count > 1 { notes.unread.insert("'functions' beside 'tools'") }
        return documents(given.first.flatMap { record[$0] }, &notes)
    }

    static func documents(_ value: JSONValue?, _ notes: inout RecordNotes) -> [ToolDocument] {
        switch value {
        case nil, .null: return []
        case .string(let text):
            if let inner = try? ExactJSON.value(of: text), inner.string == nil { return documents(inner, &notes) }
            if !text.isEmpty { notes.unread.insert("'tools' that are a text other than JSON") }
            return []
        case .array(let elements): return elements.flatMap { documents($0, &notes) }
        case .object(let members):
            if let inner = members["function"], inner.object != nil {
                wrapper.check(.object(members), &notes)
                return document(inner, &notes)
            }
            return document(.object(members), &notes)
        case .bool, .integer, .number:
            notes.unread.insert("'tools' that are no list")
            return []
        }
    }

    private static func document(_ tool: JSONValue, _ notes: inout RecordNotes) -> [ToolDocument] {
        guard let name = tool["name"]?.words else {
            notes.unread.insert("a tool without a name")
            return []
        }
        function.check(tool, &notes)
        let schema = tool["parameters"] ?? tool["input_schema"] ?? tool["inputSchema"]
        return [
            ToolDocument(
                name: name, function: tool["description"]?.string ?? "", input: input(schema), schema: schema)
        ]
    }

    /// Each parameter as `type, description`.
    private static func input(_ schema: JSONValue?) -> JSONValue {
        .object(
            (schema?["properties"]?.object ?? [:]).mapValues { property in
                let type = property["type"]?.string ?? property["type"]?.array?.compactMap(\.string).first ?? "any"
                return .string(property["description"]?.words.map { "\(type), \($0)" } ?? type)
            })
    }
}
