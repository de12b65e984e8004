import Foundation
import RetortCore

/// A checkpoint's own chat template: the Jinja program in its `tokenizer_config.json` or `chat_template.jinja`.
///
/// It is rendered with marked text, so every character of the result is known to come from the template or from a
/// span of a message. This has three consequences. Special tokens are recognised only in the template's own
/// characters, so a message cannot forge one. A model's turn begins where the prompt for it ends (found by rendering
/// that prompt) and ends with the end-of-turn token, so nothing has to be searched for. And a template that changes
/// or drops text that is to be learned is refused.
public struct JinjaTemplate: ChatTemplate {
    /// The token that ends an assistant's turn.
    public let endOfTurn: Int32
    private let nodes: [JinjaNode]
    /// `bos_token` and other named tokens.
    private let variables: [String: String]
    private let date: Date
    /// Whether the template accepts system messages and tool messages.
    private let takesSystem: Bool
    private let takesTool: Bool
    /// Whether the template writes function calls itself.
    private let writesCalls: Bool
    /// How the template writes function calls; nil when it writes none, or in an unknown form.
    public let callForm: ToolCallForm?
    /// The names that the template mentions.
    private let names: Set<String>
    private var tools: JSONTree?
    private var arguments: [String: JSONTree] = [:]
    /// The separate template that is used when functions are offered; empty or one element.
    private let forTools: [JinjaTemplate]

    /// - Parameters:
    ///   - source: the template's text.
    ///   - variables: texts that the template may use, such as `bos_token`.
    ///   - date: the date that the template takes for today.
    /// - Throws: `JinjaError` or `ChatTemplateError` when the template cannot be used.
    public init(
        _ source: String, variables: [String: String] = [:], tokenizer: Tokenizer, date: Date = Date()
    ) throws {
        try self.init(source, forTools: nil, variables: variables, tokenizer: tokenizer, date: date)
    }

    init(
        _ source: String, forTools: String?, variables: [String: String], tokenizer: Tokenizer, date: Date
    ) throws {
        self.forTools =
            try forTools.map {
                [try JinjaTemplate($0, forTools: nil, variables: variables, tokenizer: tokenizer, date: date)]
            } ?? []
        nodes = try JinjaParser.parse(source)
        self.variables = variables
        self.date = date
        let program = nodes
        let render = { (messages: [Message]) throws -> MarkedText in
            try Self.text(program, variables, date, messages, isPrompt: false)
        }
        let (question, answer) = (Message(.user, "a1"), Message(.assistant, "b2"))
        takesSystem = (try? render([Message(.system, "s3"), question]))?.string.contains("s3") ?? false
        takesTool =
            (try? render([question, answer, Message(.tool, "t4"), answer]))?.string.contains("t4") ?? false
        names = Set(source.matches(of: /[A-Za-z_]\w*/).map { String($0.output) })
        let calls = ToolCallProbe { messages, isPrompt, tools in
            try Self.text(program, variables, date, messages, isPrompt: isPrompt, tools: tools).string
        }
        // When functions are offered, the other template is used.
        (writesCalls, callForm) = (calls.writesCalls, self.forTools.first?.callForm ?? calls.form)
        let probe = try render([question, answer])
        guard let content = probe.ranges(of: MarkedText("b2")).last else {
            throw ChatTemplateError.altered(message: 1, "b2")
        }
        let tail = probe[content.upperBound..<probe.count].string
        guard let end = tokenizer.encode(tail, specials: .recognised).first(where: tokenizer.isSpecial) else {
            throw ChatTemplateError.noEndOfTurn(tail)
        }
        endOfTurn = end
    }

    /// The text of a chat, as transformers' `apply_chat_template` writes it.
    /// - Parameter json: an object with `messages` and the template's other variables (`tools`,
    ///   `add_generation_prompt`, …).
    public func text(json: Data) throws -> String {
        let tree = try JSONTree.parse(Array(json))
        guard case .object(let members) = tree, let messages = tree["messages"] else {
            throw JinjaError.raised("the chat needs 'messages'")
        }
        if let template = forTools.first, let tools = tree["tools"], !tools.isNull {
            return try template.text(json: json)
        }
        let more = members.filter { $0.name != Array("messages".utf8) }.map {
            (String(decoding: $0.name, as: UTF8.self), JinjaValue($0.value))
        }
        let isPrompt = tree["add_generation_prompt"]?.bool ?? false
        return try Self.text(
            nodes, variables, date, JinjaValue(messages).asMessages, isPrompt: isPrompt,
            Dictionary(more, uniquingKeysWith: { _, last in last })
        ).string
    }

    private static func text(
        _ nodes: [JinjaNode], _ variables: [String: String], _ date: Date, _ messages: JinjaValue, isPrompt: Bool,
        _ more: [String: JinjaValue] = [:]
    ) throws(JinjaError) -> MarkedText {
        var all = variables.mapValues { JinjaValue.text($0) }
        all["messages"] = messages
        all["add_generation_prompt"] = .bool(isPrompt)
        all["strftime_now"] = JinjaLibrary.clock(date)
        all["tools"] = JinjaValue.none
        all["documents"] = JinjaValue.none
        return try JinjaInterpreter.render(nodes, all.merging(more) { $1 })
    }

    /// The rendered messages, in which each span's characters are marked with the span's number, counted from 1.
    private static func text(
        _ nodes: [JinjaNode], _ variables: [String: String], _ date: Date, _ messages: [Message], isPrompt: Bool,
        tools: JSONTree? = nil, arguments: [String: JSONTree] = [:]
    ) throws(JinjaError) -> MarkedText {
        var number: Int32 = 0
        let values = messages.map { message in
            var content = MarkedText()
            for span in message.spans {
                number += 1
                content += MarkedText(span.text, source: number)
            }
            let text: [(key: String, value: JinjaValue)] = [
                (key: "role", value: .text(message.role.rawValue)), (key: "content", value: .text(content)),
            ]
            return JinjaValue.dictionary(text + (message.details.map(Self.members) ?? []))
        }
        return try text(
            nodes, variables, date, .list(values), isPrompt: isPrompt,
            arguments.merging(tools.map { ["tools": $0] } ?? [:]) { $1 }.mapValues { JinjaValue($0) })
    }

    /// The members of a message besides its text, by the names that templates use.
    private static func members(_ details: Message.Details) -> [(key: String, value: JinjaValue)] {
        let texts = [
            ("tool_call_id", details.callID), ("name", details.name), ("reasoning_content", details.reasoning),
            ("thinking", details.reasoning),
        ]
        let calls = details.calls.flatMap { try? JSONTree.parse(Array($0.utf8)) }
        return (calls.map { [(key: "tool_calls", value: JinjaValue($0))] } ?? [])
            + texts.compactMap { name, text in text.map { (key: name, value: .text($0)) } }
    }

    private func text(_ messages: [Message], isPrompt: Bool) throws(JinjaError) -> MarkedText {
        try Self.text(nodes, variables, date, messages, isPrompt: isPrompt, tools: tools, arguments: arguments)
    }

    /// The same template, with functions that it describes to the model exactly as they are written in `tools`.
    /// - Parameter tools: a JSON array of functions in OpenAI's form.
    /// - Throws: `ChatTemplateError.tools` when that is not such an array, or when the template ignores it.
    public func offering(_ tools: String) throws -> any ChatTemplate {
        if var template = forTools.first {
            template.arguments = arguments
            return try template.offering(tools)
        }
        var template = self
        do {
            template.tools = try JSONTree.parse(Array(tools.utf8))
        } catch {
            throw ChatTemplateError.tools("they are not JSON: \(error)")
        }
        guard let list = template.tools?.array else { throw ChatTemplateError.tools("they are no JSON array") }
        let probe = [Message(.user, "a1")]
        guard try list.isEmpty || template.text(probe, isPrompt: true).string != text(probe, isPrompt: true).string
        else { throw ChatTemplateError.tools("the model's chat template has no place for them") }
        return template
    }

    /// The same template with further variables.
    /// - Throws: `ChatTemplateError.arguments` for a variable that the template does not mention, unless its value is
    ///   false or empty.
    public func told(_ arguments: String) throws -> any ChatTemplate {
        let told = try TemplateArguments(arguments)
        let known = forTools.first.map { names.union($0.names) } ?? names
        if let stranger = told.names.first(where: { !known.contains($0) }) {
            throw ChatTemplateError.arguments(stranger)
        }
        var template = self
        template.arguments.merge(told.all) { $1 }
        return template
    }

    /// Whether a prompt ends with `<think>`, found by rendering one.
    public var opensThought: Bool {
        guard names.contains("think") else { return false }
        let prompt = try? text([Message(.user, "a1")], isPrompt: true).string
        return prompt?.reversed().drop(while: \.isWhitespace).starts(with: "<think>".reversed()) ?? false
    }

    // MARK: Tokens

    /// The tokens of a chat, each with its role and whether it is learned.
    ///
    /// The text is cut at the beginning of an assistant's turn and between its spans, and each piece is encoded
    /// separately. A prompt's tokens are therefore the same whether an answer follows or not.
    /// - Throws: `JinjaError` when the template refuses the chat; `ChatTemplateError` when it changes text that is to
    ///   be learned, or does not begin a turn the way its own prompt does.
    public func render(
        _ messages: [Message], then ending: ChatEnding, with tokenizer: Tokenizer
    ) throws -> RenderedChat {
        let messages = turns(of: messages)
        let isPrompt = if case .generation = ending { true } else { false }
        let text = try text(messages, isPrompt: isPrompt)
        let spans = Self.spans(of: messages)
        try check(text, spans)
        var chat = RenderedChat()
        var start = Tokenizer.Start.text
        for piece in try pieces(of: text, messages, spans) {
            append(piece, of: text, spans, to: &chat, after: &start, tokenizer)
        }
        if case .generation(let prefill) = ending {
            let tokens = tokenizer.encode(prefill, specials: .asText, after: start == .text ? .middle : start)
            chat.append(tokens, .assistant, trainable: false)
        }
        return chat
    }

    /// A span together with its message.
    private struct Source {
        let message: Int
        let role: Role
        let text: String
        let trainable: Bool
    }

    private static func spans(of messages: [Message]) -> [Source] {
        messages.enumerated().flatMap { index, message in
            message.spans.map {
                Source(message: index, role: message.role, text: $0.text, trainable: $0.trainable)
            }
        }
    }

    /// A piece of the text that is encoded separately.
    private struct Piece {
        let range: Range<Int>
        /// In an assistant's turn, whether its tokens, including the one that ends the turn, are learned. Nil before
        /// the first turn.
        let learns: Bool?
    }

    private func pieces(of text: MarkedText, _ messages: [Message], _ spans: [Source]) throws -> [Piece] {
        var cuts: [(start: Int, learns: Bool?)] = [(0, nil)]
        for (index, message) in messages.enumerated() where message.role == .assistant {
            let prompt = try self.text(Array(messages[..<index]), isPrompt: true)
            guard text.hasPrefix(prompt) else { throw ChatTemplateError.unstable(message: index) }
            cuts.append((prompt.count, message.spans.first?.trainable ?? false))
            let own = spans.indices.filter { spans[$0].message == index }.dropFirst()
            for span in own {
                guard let start = text.sources.firstIndex(of: Int32(span) + 1) else { continue }
                cuts.append((start, spans[span].trainable))
            }
        }
        // A template that reorders turns or spans cannot be cut where they begin.
        guard zip(cuts, cuts.dropFirst()).allSatisfy({ $0.start <= $1.start }) else {
            throw ChatTemplateError.reordered
        }
        return cuts.indices.map { index in
            let end = index + 1 < cuts.count ? cuts[index + 1].start : text.count
            return Piece(range: cuts[index].start..<end, learns: cuts[index].learns)
        }
    }

    /// Checks that text that is to be learned is rendered unchanged, except for blanks at its ends.
    private func check(_ text: MarkedText, _ spans: [Source]) throws {
        var written = [String.UnicodeScalarView](repeating: .init(), count: spans.count)
        for (scalar, source) in zip(text.scalars, text.sources) where source > 0 {
            written[Int(source) - 1].append(scalar)
        }
        for (span, written) in zip(spans, written) where span.trainable {
            let (expected, found) = (MarkedText(span.text), MarkedText(String(written)))
            guard expected.stripped() == found.stripped(), expected.contains(found) else {
                throw ChatTemplateError.altered(message: span.message, span.text)
            }
        }
    }

    private func append(
        _ piece: Piece, of text: MarkedText, _ spans: [Source], to chat: inout RenderedChat,
        after start: inout Tokenizer.Start, _ tokenizer: Tokenizer
    ) {
        var isInTurn = piece.learns != nil
        let runs = tokenizer.runs(of: text[piece.range], after: start)
        start = runs.last?.end ?? start
        for run in runs {
            if isInTurn {
                chat.append(run.tokens, .assistant, trainable: piece.learns ?? false)
                if run.tokens == [endOfTurn] { isInTurn = false }
                continue
            }
            // The template's own text belongs to the message that follows.
            let next = text.sources[(piece.range.lowerBound + run.range.lowerBound)...].first { $0 > 0 }
            let speaker = next.map { spans[Int($0) - 1] }
            let isSpoken = text.sources[piece.range].dropFirst(run.range.lowerBound).prefix(run.range.count)
                .contains { $0 > 0 }
            chat.append(run.tokens, speaker?.role ?? .assistant, trainable: isSpoken && speaker?.trainable ?? false)
        }
    }

    /// The messages with only those roles that the template accepts: an unsupported system message is put at the
    /// beginning of the first user message, and tool messages become user messages.
    private func turns(of messages: [Message]) -> [Message] {
        var turns = writesCalls ? messages : messages.map(\.withCallsAsText)
        if !takesTool { for index in turns.indices where turns[index].role == .tool { turns[index].role = .user } }
        guard !takesSystem, let system = turns.firstIndex(where: { $0.role == .system }) else { return turns }
        let preface = turns.remove(at: system).spans + [Message.Span("\n\n")]
        guard let user = turns.firstIndex(where: { $0.role == .user }) else { return turns }
        turns[user].spans = preface + turns[user].spans
        return turns
    }
}

/// A chat template that does not fit its use.
public enum ChatTemplateError: Error, Equatable, CustomStringConvertible {
    /// An assistant's turn ends without a special token, in this text.
    case noEndOfTurn(String)
    /// The text before this message depends on whether the message is there.
    case unstable(message: Int)
    /// Text of this message that is to be learned is changed or dropped.
    case altered(message: Int, String)
    /// Messages are not rendered in their order.
    case reordered
    /// Functions cannot be offered, with the reason.
    case tools(String)
    /// A variable that the template does not use.
    case arguments(String)

    /// The fault and its remedy, for people.
    public var description: String {
        switch self {
        case .noEndOfTurn(let tail):
            "the chat template closes an assistant's turn with no special token (it writes '\(tail)'), so a model could "
                + "not say that it is done; give the folder a template with an end-of-turn token"
        case .unstable(let message):
            "the chat template writes what comes before message \(message + 1) otherwise when that message is there, so "
                + "training and acting would see different prompts"
        case .arguments(let name): "the model's chat template does not know '\(name)'"
        case .tools(let reason): "tools cannot be offered: \(reason)"
        case .reordered: "the chat template writes messages in another order than they were said"
        case .altered(let message, let text):
            "the chat template changes or drops text of message \(message + 1) that is to be learned: "
                + "'\(text.prefix(60))'"
        }
    }
}
