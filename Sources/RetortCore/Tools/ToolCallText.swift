/// Calls of functions as text, in the forms of several families of models.
package enum ToolCallText {
    package static let opening = "<tool_call>"
    package static let closing = "</tool_call>"
    package static let fence = "```"

    /// A call that a model made.
    package struct Call: Equatable, Sendable {
        package let name: String
        /// A JSON object.
        package let arguments: String

        package init(name: String, arguments: String) {
            self.name = name
            self.arguments = arguments
        }
    }

    /// What stands around a call's name, as a JSON text or bare, and its arguments.
    private static func frame(_ form: ToolCallForm) -> (head: String, middle: String, tail: String, isQuoted: Bool) {
        switch form {
        // A call that must be made is written as JSON also by models that write elements: only there a schema's bounds of
        // texts can be kept.
        case .tagged, .elements: ("\(opening)\n{\"name\": ", ", \"arguments\": ", "}\n\(closing)", true)
        case .parameters: ("{\"name\": ", ", \"parameters\": ", "}", true)
        case .object: ("{\"name\": ", ", \"arguments\": ", "}", true)
        case .function: ("<function=", ">", "</function>", false)
        case .fenced: ("\(fence)json\n{\"name\": ", ", \"arguments\": ", "}\n\(fence)", true)
        // The marks are special tokens, which text cannot write; the list is read without them.
        case .list, .named, .piped: ("[{\"name\": ", ", \"arguments\": ", "}]", true)
        }
    }

    /// One call of one of some functions, in a form.
    package static func grammar(
        _ functions: [(name: String, arguments: JSONSchema)], as form: ToolCallForm
    ) -> OutputGrammar {
        let frame = frame(form)
        let calls = functions.map { function in
            let name = frame.isQuoted ? ExactJSON.text(.string(function.name)) : function.name
            return OutputGrammar.sequence([.text(name + frame.middle), .json(function.arguments)])
        }
        return .sequence([.text(frame.head), .oneOf(calls), .text(frame.tail)])
    }

    /// One call, as Hermes and Qwen write it.
    fileprivate static func tagged(name: String, arguments: JSONTree) -> String {
        let frame = frame(.tagged)
        return frame.head + ExactJSON.text(.string(name)) + frame.middle + arguments.text + frame.tail
    }
}

extension Message {
    /// The same message with its calls as text in the form of Hermes and Qwen, for chat formats without a place for them.
    package var withCallsAsText: Message {
        guard let details else { return self }
        var message = self
        message.details = nil
        let calls = (details.calls.flatMap { try? JSONTree.parse(Array($0.utf8)) })?.array ?? []
        let blocks = calls.compactMap { call -> String? in
            guard let function = call["function"], let name = function["name"]?.string,
                let arguments = function["arguments"]
            else { return nil }
            return ToolCallText.tagged(name: name, arguments: arguments)
        }
        guard !blocks.isEmpty else { return message }
        let written = blocks.joined(separator: "\n")
        message.spans.append(Span(text.isEmpty ? written : "\n" + written, trainable: endsTrainable))
        return message
    }
}
