import RetortCore

/// A record of ToolBench as the dialogue that α-UMi makes of it: who said what, with decisions and calls in their
/// words.
struct ToolBenchDialogue {
    enum Speaker: String {
        case user, assistant, caller, observation, conclusion
    }

    struct Utterance {
        let speaker: Speaker
        let text: String
        /// The error that an API reported in its `error` field.
        var error: String?
    }

    let instruction: String
    let tools: [ToolDocument]
    private(set) var utterances: [Utterance] = []
    private(set) var repairs: Set<String> = []

    private static let silent = "an assistant's words without a call were left out, as in α-UMi's data"

    /// - Throws: for a record of no known form, or a damaged one.
    init(_ record: JSONValue) throws(ToolBenchRejection) {
        if let dialogue = try Self(stage2: record) {
            self = dialogue
        } else if let dialogue = try Self(stage1: record) {
            self = dialogue
        } else if let dialogue = try Self(answer: record) {
            self = dialogue
        } else {
            throw .unknownForm
        }
    }

    /// α-UMi's second stage, which its test files have too: `{tools, instruction, conversations: [{from, value}]}`.
    private init?(stage2 record: JSONValue) throws(ToolBenchRejection) {
        guard let turns = record["conversations"]?.array else { return nil }
        (instruction, tools) = try Self.head(record)
        for turn in turns {
            guard let name = turn["from"]?.string, let speaker = Speaker(rawValue: name),
                let text = turn["value"]?.string
            else { throw .unknownSpeaker }
            utterances.append(Utterance(speaker: speaker, text: text))
        }
    }

    /// α-UMi's first stage: `{tools, instruction, chains: [chat messages with function_call]}`.
    private init?(stage1 record: JSONValue) throws(ToolBenchRejection) {
        guard let messages = record["chains"]?.array else { return nil }
        (instruction, tools) = try Self.head(record)
        try read(messages)
    }

    /// An answer file of ToolBench: `{answer_generation: {query, function, train_messages}}`; of the chains the last
    /// one, which is complete.
    private init?(answer record: JSONValue) throws(ToolBenchRejection) {
        guard let answer = record["answer_generation"] else { return nil }
        guard let query = answer["query"]?.string else { throw .noInstruction }
        guard let messages = answer["train_messages"]?.array?.last?.array else { throw .noMessages }
        instruction = query
        tools = (answer["function"]?.array ?? []).compactMap(Self.document)
        try read(messages)
    }

    private static func head(_ record: JSONValue) throws(ToolBenchRejection) -> (String, [ToolDocument]) {
        guard let instruction = record["instruction"]?.string else { throw .noInstruction }
        let tools = (record["tools"]?.array ?? []).compactMap { tool -> ToolDocument? in
            guard let name = tool["Name"]?.string else { return nil }
            return ToolDocument(name: name, function: tool["function"]?.string ?? "", input: tool["input"] ?? [:])
        }
        return (instruction, tools)
    }

    /// A function in OpenAI's form as α-UMi documents it: the last 64 characters of the name, 256 of each description.
    private static func document(_ function: JSONValue) -> ToolDocument? {
        guard let name = function["name"]?.string, name != "Finish" else { return nil }
        let properties = function["parameters"]?["properties"]?.object ?? [:]
        let input = properties.mapValues { property -> JSONValue in
            let type = property["type"]?.string ?? "string"
            return .string(property["description"]?.string.map { "\(type), \($0.suffix(256))" } ?? type)
        }
        return ToolDocument(
            name: String(name.suffix(64)), function: String((function["description"]?.string ?? "").prefix(256)),
            input: .object(input), schema: function["parameters"])
    }

    /// Reads a chat. Everything up to the user's first message, which is included, is ToolBench's own prompt.
    private mutating func read(_ messages: [JSONValue]) throws(ToolBenchRejection) {
        guard let start = messages.firstIndex(where: { $0["role"] == "user" }) else { throw .noMessages }
        utterances.append(Utterance(speaker: .user, text: instruction))
        for message in messages[(start + 1)...] {
            let content = message["content"]?.string
            switch message["role"] {
            case "user": utterances.append(Utterance(speaker: .user, text: content ?? ""))
            case "assistant": try act(message["function_call"], content)
            case "function", "tool": utterances.append(Self.observation(content ?? ""))
            default: throw .unknownSpeaker
            }
        }
    }

    private mutating func act(_ call: JSONValue?, _ content: String?) throws(ToolBenchRejection) {
        guard let call, let name = call["name"]?.string else {
            repairs.insert(Self.silent)
            return
        }
        let rationale = content.map { "\($0)\n" } ?? ""
        let arguments = call["arguments"]?.string ?? call["arguments"]?.jsonText ?? "{}"
        func decide(_ decision: String) {
            utterances.append(Utterance(speaker: .assistant, text: "\(rationale) Next: \(decision)."))
        }
        guard name == "Finish" else {
            decide("caller")
            let text = "Action: \(name)\nAction Input: \(arguments)"
            return utterances.append(Utterance(speaker: .caller, text: text))
        }
        guard let answer = Self.finalAnswer(arguments, content) else { return decide("give up") }
        decide("conclusion")
        utterances.append(Utterance(speaker: .conclusion, text: answer))
    }

    /// The answer in the arguments of `Finish`; nil for giving up. From arguments that are not valid JSON, whatever can
    /// be found.
    private static func finalAnswer(_ arguments: String, _ content: String?) -> String? {
        if let value = try? ExactJSON.value(of: arguments), value["return_type"] != nil {
            if value["return_type"] == "give_up_and_restart" { return nil }
            return value["final_answer"].map(\.text) ?? "none"
        }
        if arguments.contains("give_up_and_restart") { return nil }
        guard let mark = arguments.firstRange(of: "\"final_answer\": ") else { return content ?? "none" }
        return arguments[mark.upperBound...].trimmingBlanks.trimming("}").trimming("\"")
    }

    private static func observation(_ content: String) -> Utterance {
        guard let value = try? ExactJSON.value(of: content), let response = value["response"] else {
            // Text that is no JSON is what the API said.
            let rest = content.firstRange(of: "\"response\":").map { content[$0.upperBound...] } ?? content[...]
            return Utterance(speaker: .observation, text: String(rest))
        }
        let error = value["error"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        return Utterance(speaker: .observation, text: response.string ?? response.jsonText, error: error)
    }
}

/// A record of ToolBench that cannot be read.
enum ToolBenchRejection: String, Error {
    case unknownForm = "the record has neither conversations, chains nor answer_generation"
    case noInstruction = "the record has no instruction"
    case noMessages = "the record has no messages"
    case unknownSpeaker = "an utterance is of an unknown speaker or has no text"
    case outOfTurn = "a call, an observation or a conclusion stands without the decision before it"
    case noTurns = "nobody but the user says anything"
}

extension StringProtocol {
    /// Without a character at either end.
    fileprivate func trimming(_ character: Character) -> String {
        let start = firstIndex { $0 != character } ?? endIndex
        let end = lastIndex { $0 != character }.map { index(after: $0) } ?? start
        return String(self[start..<end])
    }
}
