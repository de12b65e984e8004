import RetortCore

/// Reads calls whose arguments stand in elements, as Qwen3-Coder writes them:
///
/// ```
/// <tool_call>
/// <function=NAME>
/// <parameter=KEY>
/// VALUE
/// </parameter>
/// </function>
/// </tool_call>
/// ```
///
/// Texts are written as they are, and everything else as JSON or as Python prints it; which of the two a value is, the
/// schema of the tool's parameters says. A value that its schema does not allow stays a text.
struct ToolCallElements {
    /// The schemas of the tools' parameters, by the tools' names.
    let parameters: [String: JSONTree]

    /// The calls in a text that begins with one, up to text of another kind; nil when one is not whole.
    func calls(in text: Substring) -> [ToolCallText.Call]? {
        var calls: [ToolCallText.Call] = []
        var rest = text
        while true {
            rest.skip(ToolCallText.opening)
            guard rest.skip("<function=") else { return calls.isEmpty ? nil : calls }
            guard let end = rest.firstIndex(of: ">") else { return nil }
            let name = rest[..<end].filter { !$0.isWhitespace }
            rest = rest[rest.index(after: end)...]
            guard !name.isEmpty, let arguments = arguments(of: name, &rest) else { return nil }
            calls.append(ToolCallText.Call(name: name, arguments: arguments.text))
            // What was cut off is no call.
            let isEnded = rest.skip("</function>")
            guard rest.skip(ToolCallText.closing) || isEnded else { return nil }
        }
    }

    /// The arguments at the beginning of a text, in order; nil when an element is not closed or stands twice.
    private func arguments(of name: String, _ rest: inout Substring) -> JSONTree? {
        var members: [(name: [UInt8], value: JSONTree)] = []
        let schema = parameters[name]
        while rest.skip("<parameter=") {
            guard let end = rest.firstIndex(of: ">") else { return nil }
            let key = String(rest[..<end])
            rest = rest[rest.index(after: end)...]
            guard let closing = Self.closing(in: rest), !members.contains(where: { $0.name == Array(key.utf8) }) else {
                return nil
            }
            let value = Self.withoutBreaks(rest[..<closing.lowerBound])
            members.append((Array(key.utf8), Self.value(value, schema?["properties"]?[key], in: schema)))
            rest = rest[closing.upperBound...]
        }
        return .object(members)
    }

    /// The mark that ends a value: the first behind which the call goes on or ends, since a text may hold marks.
    private static func closing(in text: Substring) -> Range<Substring.Index>? {
        text.ranges(of: "</parameter>").first { mark in
            let next = text[mark.upperBound...].drop(while: \.isWhitespace)
            return next.isEmpty || ["<parameter=", "</function>", ToolCallText.closing].contains(where: next.hasPrefix)
        }
    }

    /// The template puts a line break before and behind each value.
    private static func withoutBreaks(_ text: Substring) -> Substring {
        var text = text
        if text.first?.isNewline == true { text.removeFirst() }
        if text.last?.isNewline == true { text.removeLast() }
        return text
    }

    // MARK: Values

    private static func value(_ text: Substring, _ schema: JSONTree?, in root: JSONTree?) -> JSONTree {
        let kinds = kinds(schema, in: root, depth: 0)
        let written = JSONTree.string(Array(text.utf8))
        let words = ["True": "true", "False": "false", "None": "null"]
        let bare = String(text.filter { !$0.isWhitespace })
        let value = try? JSONTree.parse(Array((words[bare] ?? String(text)).utf8))
        guard let value, let kind = value.kind else { return written }
        // Where nothing is said of a value, only what cannot be prose is JSON.
        if kinds.isEmpty { return ["object", "array"].contains(kind) ? value : written }
        if kinds.contains("string") {
            return ["object", "array", "null"].contains(kind) && kinds.contains(kind) ? value : written
        }
        return kind == "string" || kinds.contains(kind) || (kind == "number" && kinds.contains("integer"))
            ? value : written
    }

    /// The types that a schema allows; none when it does not say.
    private static func kinds(_ schema: JSONTree?, in root: JSONTree?, depth: Int) -> Set<String> {
        guard let schema, depth < 8 else { return [] }
        var kinds: Set<String> = []
        if let type = schema["type"] { kinds.formUnion((type.array ?? [type]).compactMap(\.string)) }
        if kinds.isEmpty {
            let constants = (schema["enum"]?.array ?? []) + [schema["const"]].compactMap { $0 }
            kinds.formUnion(constants.compactMap(\.kind))
        }
        for choice in (schema["anyOf"]?.array ?? []) + (schema["oneOf"]?.array ?? []) + (schema["allOf"]?.array ?? []) {
            kinds.formUnion(Self.kinds(choice, in: root, depth: depth + 1))
        }
        if let path = schema["$ref"]?.string, path.hasPrefix("#/") {
            let target = path.dropFirst(2).split(separator: "/").reduce(root) { $0?[String($1)] }
            kinds.formUnion(Self.kinds(target, in: root, depth: depth + 1))
        }
        if schema["nullable"]?.bool == true { kinds.insert("null") }
        return kinds
    }
}

extension JSONTree {
    /// The name of a value's type in schemas.
    fileprivate var kind: String? {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}

extension Substring {
    /// Passes over blanks and a mark behind them, if it is there.
    @discardableResult
    fileprivate mutating func skip(_ mark: String) -> Bool {
        let rest = drop(while: \.isWhitespace)
        guard rest.hasPrefix(mark) else { return false }
        self = rest.dropFirst(mark.count)
        return true
    }
}
