import RetortCore

/// The steps of another agent's ATIF document: each call is a step, the agent's last message without a call its answer.
struct ATIFSteps {
    private(set) var steps: [Step] = []
    private(set) var notes = RecordNotes()
    private var remarks: [String] = []
    private var thoughts: [String] = []

    private static let stepKeys = RecordKeys(
        "a step",
        read: [
            "source", "message", "reasoning_content", "tool_calls", "observation", "metrics", "is_copied_context",
        ], harmless: ["step_id", "timestamp", "model_name", "reasoning_effort", "llm_call_count", "extra"])
    private static let callKeys = RecordKeys(
        "a call", read: ["tool_call_id", "function_name", "arguments"], harmless: ["extra"])
    private static let observationKeys = RecordKeys("an observation", read: ["results"], harmless: ["extra"])
    private static let resultKeys = RecordKeys(
        "a result", read: ["source_call_id", "content", "subagent_trajectory_ref"], harmless: ["extra"])
    static let silent = "an agent's words without a call stood in the middle; they became thoughts"

    /// - Parameters:
    ///   - steps: the document's steps without those that were copied.
    ///   - question: which of them asks the question.
    /// - Throws: `RecordRejection` for content that a trajectory cannot hold, and for results that belong to no call.
    init(_ steps: [JSONValue], question: Int) throws(RecordRejection) {
        let last = steps.lastIndex { $0["source"] == "agent" }
        for (index, step) in steps.enumerated() {
            Self.stepKeys.check(step, &notes)
            switch step["source"]?.string {
            case "system": continue
            case "user": if index != question { remarks.append(try Self.message(step)) }
            case "agent": try act(step, isLast: index == last)
            case let source:
                throw RecordRejection(
                    "a step has the source '\((source ?? "").shown(upTo: 40))', which ATIF does not have")
            }
        }
        if !remarks.isEmpty { notes.unread.insert(DialogueSteps.lastWords) }
    }

    /// How the run ended, by its last step; nil where that does not tell.
    var ending: Ending? { DialogueSteps.ending(steps.last) }

    private mutating func act(_ step: JSONValue, isLast: Bool) throws(RecordRejection) {
        let message = try Self.message(step)
        let calls = step["tool_calls"]?.array ?? []
        var made = try calls.map { value throws(RecordRejection) in try call(value) }
        let results = try results(of: step)
        if calls.isEmpty {
            guard isLast else {
                if !results.isEmpty { throw RecordRejection("a result belongs to no call") }
                notes.repairs.insert(Self.silent)
                thoughts += [step["reasoning_content"]?.string ?? "", message].filter { !$0.isEmpty }
                return
            }
            made = [Self.closing(message, results.map(\.text).joined(separator: "\n"))]
        } else {
            try give(results, to: calls, &made)
        }
        let said = calls.isEmpty ? [] : [message]
        made[0].thought = (thoughts + [step["reasoning_content"]?.string ?? ""] + said).filter { !$0.isEmpty }
            .joined(separator: "\n")
        made[0].usage = ATIFImporter.usage(step, seconds: 0)
        made[0].transcript = ATIFImporter.tokens(step)
        made[0].remarks = remarks.isEmpty ? nil : remarks
        (remarks, thoughts) = ([], [])
        steps += made
    }

    private mutating func call(_ value: JSONValue) throws(RecordRejection) -> Step {
        Self.callKeys.check(value, &notes)
        guard let name = value["function_name"]?.words else { throw RecordRejection("a call has no name") }
        let call =
            switch value["arguments"] {
            case .string(let text): Dialogue.Call(id: nil, name: name, text: text)
            case let arguments: Dialogue.Call(id: nil, name: name, arguments: arguments ?? [:])
            }
        if call.spoiltArguments != nil { notes.repairs.insert(DialogueSteps.spoilt) }
        return DialogueSteps.step(call)
    }

    // MARK: Results

    private struct Result {
        let call: String?
        let text: String
    }

    private mutating func results(of step: JSONValue) throws(RecordRejection) -> [Result] {
        guard let observation = step["observation"], observation != .null else { return [] }
        Self.observationKeys.check(observation, &notes)
        return try (observation["results"]?.array ?? []).map { result throws(RecordRejection) in
            Self.resultKeys.check(result, &notes)
            if result["subagent_trajectory_ref"]?.isVoid == false {
                throw RecordRejection("a result refers to the trajectory of a subagent")
            }
            let text = try OpenAIMessages.text(result["content"], of: "a result", &notes)
            return Result(call: result["source_call_id"]?.words, text: text)
        }
    }

    /// Stores the results with their calls. One without a call's id belongs to the call in its place, or to the last.
    private mutating func give(
        _ results: [Result], to calls: [JSONValue], _ steps: inout [Step]
    ) throws(RecordRejection) {
        var texts: [Int: [String]] = [:]
        for (position, result) in results.enumerated() {
            if let id = result.call {
                guard let index = calls.firstIndex(where: { $0["tool_call_id"]?.string == id }) else {
                    throw RecordRejection("a result belongs to no call")
                }
                texts[index, default: []].append(result.text)
            } else if results.count == calls.count {
                texts[position, default: []].append(result.text)
            } else {
                notes.repairs.insert(DialogueSteps.shared)
                texts[calls.count - 1, default: []].append(result.text)
            }
        }
        for index in steps.indices {
            if case .answer = steps[index].action { continue }
            if let told = texts[index] {
                steps[index].fill(text: told.joined(separator: "\n"), isError: false)
            } else {
                notes.repairs.insert(DialogueSteps.unanswered)
            }
        }
    }

    // MARK: Messages

    private static func closing(_ message: String, _ observed: String) -> Step {
        guard message.contains(where: { !$0.isWhitespace }) else {
            let reason = "the model said nothing"
            return Step(
                thought: "", action: .unparsable(text: message, reason: reason),
                observation: Observation(text: observed, outcome: .parseError(reason)))
        }
        return Step(
            thought: "", action: .answer(.string(message)),
            observation: Observation(text: observed, outcome: .final(.string(message))))
    }

    /// A step's text.
    static func message(_ step: JSONValue) throws(RecordRejection) -> String {
        guard let message = step["message"], message != .null else { return "" }
        if let text = message.string { return text }
        guard let parts = message.array else {
            throw RecordRejection("a message is neither a text nor a list of parts")
        }
        return try parts.map { part throws(RecordRejection) in
            guard part["type"] == "text", let text = part["text"]?.string else {
                throw RecordRejection("a message has content other than text")
            }
            return text
        }.joined()
    }
}
