import RetortCore

/// Finds a model's thoughts and calls in its text: `<think>`, Hermes' `<tool_call>`, Mistral's `[TOOL_CALLS]`, Llama's
/// `<|python_tag|>`, and the calls that smolagents repeats as `Calling tools:`.
enum ReplyText {
    /// The reply in a text.
    /// - Throws: `RecordRejection` for marks of calls without a call in them.
    static func reply(_ text: String) throws(RecordRejection) -> Dialogue.Reply {
        var reply = Dialogue.Reply()
        let (thought, rest) = thinking(text)
        reply.thought = thought
        let (said, retold) = withoutRetelling(rest)
        let (words, marked) = try withoutSpecials(withoutMarks(said))
        reply.text = words
        reply.calls = marked + retold
        return reply
    }

    /// The text in `<think>` at the beginning, and the rest. Where the prompt contained the opening mark, only the
    /// closing one is in the text.
    static func thinking(_ text: String) -> (thought: String, rest: String) {
        let start = text.drop { $0.isWhitespace }
        let isOpened = start.hasPrefix("<think>")
        guard let end = start.firstRange(of: "</think>"), isOpened || !start[..<end.lowerBound].contains("<think>")
        else { return ("", text) }
        let thought = start[..<end.lowerBound].dropFirst(isOpened ? "<think>".count : 0).trimmingBlanks
        return (thought, String(start[end.upperBound...].drop { $0.isWhitespace }))
    }

    // MARK: smolagents

    /// The name of a program's call in smolagents' texts.
    static let interpreter = "python_interpreter"

    /// A text without the calls that smolagents appends to it. A program that is repeated as a call stays in the text.
    private static func withoutRetelling(_ text: String) -> (text: String, calls: [Dialogue.Call]) {
        let text = text.contains("Calling tools:\r\n") ? text.replacing("\r\n", with: "\n") : text
        guard let mark = text.ranges(of: "Calling tools:\n[").last,
            mark.lowerBound == text.startIndex || text[..<mark.lowerBound].hasSuffix("\n"),
            let calls = calls(retold: String(text[mark.lowerBound...].dropFirst("Calling tools:\n".count)))
        else { return (text, []) }
        let words = text[..<mark.lowerBound].trimmingBlanks
        guard let program = program(of: calls) else { return (words, calls) }
        return words.isEmpty ? ("<code>\n\(program)\n</code>", []) : (words, [])
    }

    /// The program of a text that consists only of its call; nil for other texts.
    static func program(retold text: String) -> String? {
        let start = "Calling tools:\n"
        let plain = text.replacing("\r\n", with: "\n").drop { $0.isWhitespace }
        guard plain.hasPrefix(start), let calls = calls(retold: String(plain.dropFirst(start.count))) else {
            return nil
        }
        return program(of: calls)
    }

    private static func program(of calls: [Dialogue.Call]) -> String? {
        guard !calls.isEmpty, calls.allSatisfy({ $0.name == interpreter }) else { return nil }
        return calls.compactMap { $0.arguments.string ?? $0.arguments["code"]?.string }.joined(separator: "\n\n")
    }

    private static func calls(retold text: String) -> [Dialogue.Call]? {
        guard let list = PythonText.value(of: text.trimmingBlanks)?.array else { return nil }
        let calls = list.compactMap { entry -> Dialogue.Call? in
            guard let name = entry["function"]?["name"]?.string else { return nil }
            return Dialogue.Call(
                id: entry["id"]?.string, name: name, arguments: entry["function"]?["arguments"] ?? [:])
        }
        return calls.count == list.count ? calls : nil
    }

    // MARK: Hermes

    private static func withoutMarks(_ text: String) throws(RecordRejection) -> (String, [Dialogue.Call]) {
        guard text.contains("<tool_call>") else { return (text, []) }
        var calls: [Dialogue.Call] = []
        var words = ""
        var rest = text[...]
        while let open = rest.firstRange(of: "<tool_call>") {
            words += rest[..<open.lowerBound]
            let body = rest[open.upperBound...]
            let close = body.firstRange(of: "</tool_call>")
            let inner = body[..<(close?.lowerBound ?? body.endIndex)].trimmingBlanks
            guard let call = call(inner) else {
                throw RecordRejection("the content of <tool_call> is not an object with a name and arguments")
            }
            calls.append(call)
            rest = close.map { body[$0.upperBound...] } ?? ""
        }
        return ((words + rest).trimmingBlanks, calls)
    }

    // MARK: Mistral and Llama

    /// Tokens before calls as they are in texts that were not split by the server.
    private static let specials = ["[TOOL_CALLS]", "<|python_tag|>"]

    private static func withoutSpecials(
        _ marked: (text: String, calls: [Dialogue.Call])
    ) throws(RecordRejection) -> (String, [Dialogue.Call]) {
        guard let mark = specials.first(where: marked.text.contains), let place = marked.text.firstRange(of: mark)
        else { return marked }
        var body = marked.text[place.upperBound...].trimmingBlanks
        for end in ["</s>", "<|eom_id|>", "<|eot_id|>"] where body.hasSuffix(end) {
            body = body.dropLast(end.count).trimmingBlanks
        }
        let value = try? ExactJSON.value(of: body)
        let calls = (value?.array ?? [value ?? .null]).map(call)
        guard !calls.isEmpty, calls.allSatisfy({ $0 != nil }) else {
            throw RecordRejection(
                "the content of \(mark) is not an object with a name and arguments, or a list of them")
        }
        return (marked.text[..<place.lowerBound].trimmingBlanks, marked.calls + calls.compactMap(\.self))
    }

    /// Reads a call written as JSON or in Python's notation: `{"name", "arguments"}`.
    static func call(_ text: String) -> Dialogue.Call? {
        guard let value = (try? ExactJSON.value(of: text)) ?? PythonText.value(of: text) else { return nil }
        return call(value)
    }

    static func call(_ value: JSONValue) -> Dialogue.Call? {
        guard let name = value["name"]?.words else { return nil }
        switch value["arguments"] ?? value["parameters"] {
        case .string(let text): return Dialogue.Call(id: value["id"]?.string, name: name, text: text)
        case let arguments: return Dialogue.Call(id: value["id"]?.string, name: name, arguments: arguments ?? [:])
        }
    }

    /// The results in a text in the user's place that begins with `<tool_response>`, as Qwen's chat template writes
    /// them, and the user's words after them; nil for any other text.
    static func responses(_ text: String) -> (results: [String], rest: String)? {
        let closing = "</tool_response>"
        guard text.drop(while: \.isWhitespace).hasPrefix("<tool_response>"), let end = text.ranges(of: closing).last
        else { return nil }
        return (results(String(text[..<end.upperBound])), text[end.upperBound...].trimmingBlanks)
    }

    /// The results in a text: each `<tool_response>` of Hermes, or the whole text.
    static func results(_ text: String) -> [String] {
        let pieces = text.components(between: "<tool_response>", and: "</tool_response>")
        return pieces.isEmpty ? [text] : pieces.map(\.trimmingBlanks)
    }
}

extension String {
    /// The texts between two marks, in order.
    fileprivate func components(between opening: String, and closing: String) -> [Substring] {
        var found: [Substring] = []
        var rest = self[...]
        while let open = rest.firstRange(of: opening),
            let close = rest[open.upperBound...].firstRange(of: closing)
        {
            found.append(rest[open.upperBound..<close.lowerBound])
            rest = rest[close.upperBound...]
        }
        return found
    }
}
