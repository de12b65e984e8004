import RetortCore

/// Reads tool calls from what a model writes: in the form of its chat template if that is known, otherwise in the
/// forms of several families:
///
/// | family | form |
/// | --- | --- |
/// | Hermes, Qwen | `<tool_call>{"name", "arguments"}</tool_call>`, as often as it calls |
/// | Qwen3-Coder | the same marks, or none, around `<function=NAME><parameter=KEY>…</parameter></function>` |
/// | Llama 3 | `{"name", "parameters"}`, several apart by `;`, with or without `<|python_tag|>`; `<function=NAME>{…}</function>` |
/// | Mistral | `[TOOL_CALLS][{"name", "arguments"}, …]`, `[TOOL_CALLS]NAME[ARGS]{…}`; the mark is a special token and may be missing |
/// | Phi-4-mini | `<|tool_call|>[{"name", "arguments"}, …]<|/tool_call|>`, with or without the marks |
/// | others | the same objects or a list of them, as the whole reply or in a code fence |
///
/// Without a mark, only the names of offered tools count as calls. If the model's form is known, the marks of other
/// families are plain text, and a code fence is a call only when it is the whole reply.
struct ToolCallReader: Sendable {
    /// The tools that were offered.
    let names: Set<String>
    /// How the model's chat template writes calls; nil if that is unknown.
    var form: ToolCallForm?
    /// The schemas of the tools' parameters, by the tools' names.
    var parameters: [String: JSONTree] = [:]

    private static let mistral = "[TOOL_CALLS]"
    private static let arguments = "[ARGS]"
    private static let python = "<|python_tag|>"
    private static let function = "<function="
    private static let functionEnd = "</function>"
    private static let piped = "<|tool_call|>"
    private static let pipedEnd = "<|/tool_call|>"
    private static let fence = ToolCallText.fence

    /// Marks that a call may begin with.
    private var marks: [String] {
        switch form {
        case nil: [ToolCallText.opening, Self.mistral, Self.python, Self.function, Self.piped, Self.fence]
        case .tagged: [ToolCallText.opening, Self.fence]
        case .elements: [ToolCallText.opening, Self.function, Self.fence]
        case .parameters: [Self.python, Self.function, Self.fence]
        case .function: [Self.function, Self.fence]
        case .list, .named: [Self.mistral, Self.fence]
        case .piped: [Self.piped, Self.fence]
        case .object, .fenced: [Self.fence]
        }
    }

    /// Reads a reply.
    /// - Returns: the text before the first call, and the calls; the whole text and no calls when they cannot be
    ///   read.
    func read(_ text: String) -> (text: String, calls: [ToolCallText.Call]) {
        for start in starts(in: text) {
            guard let calls = calls(text[start...]), !calls.isEmpty else { continue }
            var before = text[..<start]
            while before.last?.isWhitespace == true { before.removeLast() }
            return (String(before), calls)
        }
        return (text, [])
    }

    /// The places where calls may begin in a reply, in order.
    private func starts(in text: String) -> [String.Index] {
        let first = text.firstIndex { !$0.isWhitespace }
        var found = marks.flatMap { mark in
            text.ranges(of: mark).filter {
                mark != Self.fence || mayHoldCall(text, $0, isFirst: $0.lowerBound == first)
            }
            .map(\.lowerBound)
        }
        if let first, "{[".contains(text[first]),
            !text[first...].hasPrefix(Self.mistral)
        {
            found.append(first)
        }
        return found.sorted()
    }

    /// The place where calls may begin in an unfinished reply, which may end in the middle of a mark; nil if there is
    /// none.
    func start(in text: String) -> String.Index? {
        let cut = marks.compactMap { mark in
            (1..<mark.count).reversed().first { text.hasSuffix(mark.prefix($0)) }
                .map { text.index(text.endIndex, offsetBy: -$0) }
        }
        return (starts(in: text).prefix(1) + cut).min()
    }

    /// Whether the text after a code fence is JSON, or may become JSON, at a place where a fence may be a call.
    private func mayHoldCall(_ text: String, _ fence: Range<String.Index>, isFirst: Bool) -> Bool {
        guard isFirst || form == nil || form == .fenced else { return false }
        let rest = text[fence.upperBound...].drop { $0.isLetter || $0 == "_" }.drop(while: \.isWhitespace)
        return rest.first.map { "{[".contains($0) } ?? true
    }

    private func calls(_ text: Substring) -> [ToolCallText.Call]? {
        let mayBeElements = form == nil || form == .elements
        if mayBeElements, let calls = ToolCallElements(parameters: parameters).calls(in: text), !calls.isEmpty {
            return calls
        }
        if text.hasPrefix(ToolCallText.opening) { return hermes(text) }
        if text.hasPrefix(Self.mistral) { return mistral(text) }
        if text.hasPrefix(Self.function) { return functions(text) }
        if text.hasPrefix(Self.python) { return objects(text.dropFirst(Self.python.count)) }
        if text.hasPrefix(Self.piped) {
            let inner = text.dropFirst(Self.piped.count)
            return objects(inner.firstMark(Self.pipedEnd).map { inner[..<$0.lowerBound] } ?? inner)
        }
        if text.hasPrefix(Self.fence) { return fenced(text) }
        return objects(text)?.offered(names)
    }

    private func hermes(_ text: Substring) -> [ToolCallText.Call]? {
        var calls: [ToolCallText.Call] = []
        for block in text.blocks(ToolCallText.opening, closed: ToolCallText.closing)
        where !block.allSatisfy(\.isWhitespace) {
            let inner = block.firstMark(ToolCallText.closing).map { block[..<$0.lowerBound] } ?? block
            guard let tree = try? JSONTree.parse(Array(inner.utf8)), let call = ToolCallText.Call(tree) else {
                return nil
            }
            calls.append(call)
        }
        return calls
    }

    private func mistral(_ text: Substring) -> [ToolCallText.Call]? {
        var calls: [ToolCallText.Call] = []
        for block in text.blocks(Self.mistral) where !block.allSatisfy(\.isWhitespace) {
            if let list = objects(block) {
                calls += list
                continue
            }
            // A name followed by its arguments.
            guard let brace = block.firstIndex(of: "{") else { return nil }
            var name = block[..<brace]
            if name.hasSuffix(Self.arguments) { name = name.dropLast(Self.arguments.count) }
            guard let call = ToolCallText.Call(name: name, arguments: block[brace...]) else { return nil }
            calls.append(call)
        }
        return calls
    }

    private func functions(_ text: Substring) -> [ToolCallText.Call]? {
        var calls: [ToolCallText.Call] = []
        for block in text.blocks(Self.function, closed: Self.functionEnd) {
            guard let end = block.firstIndex(of: ">") else { return nil }
            let rest = block[block.index(after: end)...]
            let inner = rest.firstMark(Self.functionEnd).map { rest[..<$0.lowerBound] } ?? rest
            guard let call = ToolCallText.Call(name: block[..<end], arguments: inner) else { return nil }
            calls.append(call)
        }
        return calls
    }

    private func fenced(_ text: Substring) -> [ToolCallText.Call]? {
        let inner = text.dropFirst(Self.fence.count).drop { $0.isLetter || $0 == "_" }
        guard let end = inner.firstMark(Self.fence) else { return objects(inner)?.offered(names) }
        let rest = inner[end.upperBound...]
        // Text after the call would be lost.
        guard rest.allSatisfy(\.isWhitespace) else { return nil }
        return objects(inner[..<end.lowerBound])?.offered(names)
    }

    /// Objects or lists of objects, separated by blanks, commas or semicolons; nil when there is anything else.
    private func objects(_ text: Substring) -> [ToolCallText.Call]? {
        var calls: [ToolCallText.Call] = []
        var rest = text.drop { $0.isWhitespace || $0 == ";" || $0 == "," }
        while !rest.isEmpty {
            guard let end = Self.end(of: rest), let tree = try? JSONTree.parse(Array(rest[..<end].utf8)) else {
                return nil
            }
            for element in tree.array ?? [tree] {
                guard let call = ToolCallText.Call(element) else { return nil }
                calls.append(call)
            }
            rest = rest[end...].drop { $0.isWhitespace || $0 == ";" || $0 == "," }
        }
        return calls
    }

    /// Where the object or list at the beginning of the text ends.
    private static func end(of text: Substring) -> String.Index? {
        var place = JSONPlace()
        for index in text.unicodeScalars.indices {
            place.pass(text.unicodeScalars[index])
            if place.depth == 0 { return place.isClosed ? text.unicodeScalars.index(after: index) : nil }
        }
        return nil
    }
}

/// Where in JSON a reader stands: marks inside of its texts are none. Told by scalars, since an accent behind a quotation mark
/// makes one character with it.
private struct JSONPlace {
    private(set) var depth = 0
    private(set) var isText = false
    /// Whether the last scalar closed an object or list.
    private(set) var isClosed = false
    private var isEscaped = false

    mutating func pass(_ scalar: Unicode.Scalar) {
        isClosed = false
        guard !isText else {
            (isText, isEscaped) = (isEscaped || scalar != "\"", !isEscaped && scalar == "\\")
            return
        }
        switch scalar {
        case "{", "[": depth += 1
        case "}", "]":
            isClosed = depth > 0
            depth = max(depth - 1, 0)
        // Outside of objects and lists a quotation mark is one of prose.
        case "\"": isText = depth > 0
        default: break
        }
    }
}

extension Substring {
    /// The first place of a mark that is not inside a text of JSON: arguments may hold any mark.
    fileprivate func firstMark(_ mark: String) -> Range<Index>? {
        let (scalars, wanted) = (unicodeScalars, mark.unicodeScalars)
        var place = JSONPlace()
        for index in scalars.indices {
            if !place.isText, scalars[index...].starts(with: wanted) {
                return index..<scalars.index(index, offsetBy: wanted.count)
            }
            place.pass(scalars[index])
        }
        return nil
    }

    /// What stands between marks; empty blocks are left out.
    /// - Parameter closing: the mark behind a block's JSON, from which on JSON may begin anew.
    fileprivate func blocks(_ mark: String, closed closing: String? = nil) -> [Substring] {
        var blocks: [Substring] = []
        var rest = self
        while true {
            let end = closing.flatMap { rest.firstMark($0)?.upperBound }
            let before = end.flatMap { rest[..<$0].firstMark(mark) }
            guard let place = before ?? rest[(end ?? rest.startIndex)...].firstMark(mark) else { break }
            blocks.append(rest[..<place.lowerBound])
            rest = rest[place.upperBound...]
        }
        return (blocks + [rest]).filter { !$0.isEmpty }
    }
}

extension ToolCallText.Call {
    /// An object with a name, and with arguments as an object or as the text of one.
    fileprivate init?(_ tree: JSONTree) {
        guard let name = tree["name"]?.string, !name.isEmpty, let value = tree["arguments"] ?? tree["parameters"] else {
            return nil
        }
        var arguments = value
        if let text = value.bytes, let parsed = try? JSONTree.parse(text) { arguments = parsed }
        guard case .object = arguments else { return nil }
        self.init(name: name, arguments: arguments.text)
    }

    fileprivate init?(name: Substring, arguments: Substring) {
        let name = name.drop(while: \.isWhitespace).prefix { !$0.isWhitespace }
        guard !name.isEmpty, let tree = try? JSONTree.parse(Array(arguments.utf8)), case .object = tree else {
            return nil
        }
        self.init(name: String(name), arguments: tree.text)
    }
}

extension [ToolCallText.Call] {
    /// All calls, if each names a tool that was offered; otherwise nil.
    fileprivate func offered(_ names: Set<String>) -> [ToolCallText.Call]? {
        allSatisfy { names.contains($0.name) } ? self : nil
    }
}

/// Holds back from a stream the text that is, or may become, a tool call.
struct ToolCallHold: Sendable {
    private let reader: ToolCallReader
    private var held = ""
    /// Whether any text was shown: an object after it is not the whole reply.
    private var hasShown = false

    init(_ reader: ToolCallReader) { self.reader = reader }

    /// Takes new text; returns the part that cannot be a call.
    mutating func push(_ text: String) -> String {
        held += text
        let safe = start
        let shown = String(held[..<safe])
        held.removeSubrange(..<safe)
        hasShown = hasShown || shown.contains { !$0.isWhitespace }
        return shown
    }

    /// Where in the held text a call may begin.
    private var start: String.Index {
        guard hasShown else { return reader.start(in: held) ?? held.endIndex }
        // After other text, a brace does not begin a call.
        let text = "." + held
        guard let found = reader.start(in: text) else { return held.endIndex }
        return held.index(held.startIndex, offsetBy: text.distance(from: text.startIndex, to: found) - 1)
    }

    /// The rest, once the reply has ended: text, or calls.
    mutating func finish() -> (text: String, calls: [ToolCallText.Call]) {
        defer { held = "" }
        guard hasShown else { return reader.read(held) }
        let (text, calls) = reader.read("." + held)
        return calls.isEmpty ? (held, []) : (String(text.dropFirst()), calls)
    }
}
