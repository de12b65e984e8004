import RetortAgents
import RetortCore

/// Turns a dialogue into a trajectory's steps.
///
/// The user's first message is the question; later ones are remarks before the next step. Each call is a step;
/// simultaneous calls become consecutive steps, the first with the thought and the cost. A turn without a call is an
/// answer when the user or nobody speaks next, and part of the next step's thought when the model continues. Where the
/// next message is an observation in words (`Observation:`), the turn is a code agent's, and its program the action; so it
/// is where the user speaks between two turns that are both written as code agents write theirs.
struct DialogueSteps {
    private(set) var question = ""
    /// Instructions and anything else that the model was told before it began.
    private(set) var system: [String] = []
    /// What the model said before the user spoke.
    private(set) var opening: String?
    private(set) var steps: [Step] = []
    /// How it ended, where that is known.
    private(set) var ending: Ending?
    private(set) var notes = RecordNotes()

    private var remarks: [String] = []
    private var thoughts: [String] = []
    private var spent = Usage()
    /// The steps whose calls have no result yet, in order.
    private var pending: [Int] = []
    private var idOfStep: [Int: String] = [:]
    /// A turn without calls, with what preceded it, until the next message is known.
    private var held: (reply: Dialogue.Reply, remarks: [String], thoughts: [String])?

    static let parallel = "calls made at once became steps in a row"
    static let shared = "calls made at once have one result; it stands with the last"
    static let inBetween = "instructions in the middle became remarks"
    static let unanswered = "calls without a result"
    static let moreTurns = "the user spoke again after an answer"
    static let spoilt = "the arguments of a call are no JSON"
    static let opened = "the model spoke first; its words stand in the task's metadata"
    static let planned = "a plan became the beginning of the next thought"
    /// What smolagents says after a plan.
    private static let afterPlan = "Now proceed and carry out this plan."
    static let repeated = "a call has several results; they were joined"
    static let between = "what the user said between two programs is the result of the first"
    static let lastWords = "what the user said after the model's last turn"

    /// - Throws: `RecordRejection` for a dialogue without a question, or with a result that belongs to no call.
    init(_ dialogue: Dialogue) throws(RecordRejection) {
        for (entry, next) in zip(dialogue.entries, dialogue.entries.dropFirst().map(Optional.some) + [nil]) {
            try take(entry, before: next)
        }
        settle()
        if question.isEmpty { throw RecordRejection("the user says nothing") }
        leavePending()
        if !remarks.isEmpty { notes.unread.insert(Self.lastWords) }
        ending = Self.ending(steps.last)
    }

    private mutating func take(_ entry: Dialogue.Entry, before next: Dialogue.Entry?) throws(RecordRejection) {
        switch entry {
        case .system(let text), .context(let text):
            guard hasBegun else { return system.append(text) }
            if case .system = entry { notes.repairs.insert(Self.inBetween) }
            remarks.append(text)
        case .user(let text): try hear(text, before: next)
        case .reply(let reply): speak(reply)
        case .result(let result): try observe(result)
        }
    }

    private var hasBegun: Bool { !steps.isEmpty || held != nil }

    // MARK: The user

    private mutating func hear(_ text: String, before next: Dialogue.Entry?) throws(RecordRejection) {
        if AgentObservation.isOne(text), held != nil || !pending.isEmpty { return report(text) }
        if AgentObservation.isLikeOne(text), !pending.isEmpty || holdsProgram { return report(text) }
        if !pending.isEmpty, let (results, rest) = ReplyText.responses(text) {
            for result in results { try observe(Dialogue.Result(call: nil, text: result)) }
            if !rest.isEmpty { remarks.append(rest) }
            return
        }
        if let held, held.reply.isLearned != false, text.hasPrefix(Self.afterPlan) {
            notes.repairs.insert(Self.planned)
            return goOn()
        }
        if isBetweenPrograms(next) {
            notes.repairs.insert(Self.between)
            return report(text)
        }
        if held != nil, !question.isEmpty { notes.repairs.insert(Self.moreTurns) }
        settle()
        if steps.isEmpty, remarks.isEmpty {
            // smolagents' words before a task.
            let words =
                ["New task:\n", "New task:\r\n"].first(where: text.hasPrefix)
                .map { String(text.dropFirst($0.count)) } ?? text
            question += (question.isEmpty ? "" : "\n\n") + words
        } else {
            remarks.append(text)
        }
    }

    private var holdsProgram: Bool { held.map { ActionParser.codeTurn($0.reply.text).action.code != nil } ?? false }

    /// Whether the held turn and the next are a code agent's: a chat about code has neither labels nor `final_answer`.
    private func isBetweenPrograms(_ next: Dialogue.Entry?) -> Bool {
        guard let held, case .reply(let reply)? = next, reply.calls.isEmpty else { return false }
        return ActionParser.isAgentTurn(held.reply.text) && ActionParser.isAgentTurn(reply.text)
    }

    /// Reads an observation in words.
    private mutating func report(_ text: String) {
        if let held {
            append(codeStep(held.reply), of: held)
            self.held = nil
            let index = steps.count - 1
            let read = AgentObservation.read([text], of: steps[index].action).observation
            steps[index].observation = read
            if case .parseError(let reason) = read.outcome {
                let words = [held.reply.thought, held.reply.text].filter { !$0.isEmpty }.joined(separator: "\n")
                steps[index].thought = ""
                steps[index].action = .unparsable(text: words, reason: reason)
            }
            return
        }
        guard let last = pending.last else { return }
        if pending.count > 1 { notes.repairs.insert(Self.shared) }
        for index in pending.dropLast() { steps[index].fill(text: "", isError: false) }
        let read = AgentObservation.read([text], of: steps[last].action).observation
        steps[last].fill(text: read.text, isError: read.outcome.isFailure)
        if read.outcome.isFailure { steps[last].observation.outcome = read.outcome }
        pending = []
    }

    // MARK: The model

    private mutating func speak(_ reply: Dialogue.Reply) {
        // What is not to be learned must not become part of a thought that is.
        held?.reply.isLearned == false && reply.isLearned != false ? settle() : goOn()
        if question.isEmpty, reply.calls.isEmpty {
            opening = [opening, reply.text].compactMap { $0 }.joined(separator: "\n\n")
            notes.repairs.insert(Self.opened)
            return
        }
        guard !reply.calls.isEmpty else {
            held = (reply, remarks, thoughts)
            (remarks, thoughts) = ([], [])
            return
        }
        leavePending()
        if reply.calls.count > 1 { notes.repairs.insert(Self.parallel) }
        let words = thoughts + [reply.thought, reply.text].filter { !$0.isEmpty }
        for (position, call) in reply.calls.enumerated() {
            var step = Self.step(call)
            step.isLearned = reply.isLearned
            if call.spoiltArguments != nil { notes.repairs.insert(Self.spoilt) }
            if position == 0 {
                step.thought = words.joined(separator: "\n")
                step.usage = spent + reply.usage
                step.remarks = remarks.isEmpty ? nil : remarks
            }
            if case .answer = step.action {} else { pending.append(steps.count) }
            idOfStep[steps.count] = call.id
            steps.append(step)
        }
        (remarks, thoughts, spent) = ([], [], Usage())
    }

    /// Notes calls whose results will not come any more.
    private mutating func leavePending() {
        if !pending.isEmpty { notes.repairs.insert(Self.unanswered) }
        pending = []
    }

    /// Makes the held turn part of the next step's thought.
    private mutating func goOn() {
        guard let held else { return }
        remarks = held.remarks + remarks
        thoughts = held.thoughts + [held.reply.thought, held.reply.text].filter { !$0.isEmpty }
        spent = spent + held.reply.usage
        self.held = nil
    }

    /// A call as a step whose result is not known yet.
    static func step(_ call: Dialogue.Call) -> Step {
        let unseen = Observation.notRecorded
        if let text = call.spoiltArguments {
            let reason = "the arguments of \(call.name) are no JSON"
            return Step(
                thought: "", action: .unparsable(text: "\(call.name)(\(text))", reason: reason), observation: unseen)
        }
        if call.name == "final_answer" {
            let members = call.arguments.object
            let value = members?["answer"] ?? (members?.count == 1 ? members?.first?.value : nil) ?? call.arguments
            return Step(thought: "", action: .answer(value), observation: Observation(text: "", outcome: .final(value)))
        }
        let arguments = call.arguments.object
        if [ATIF.program, ReplyText.interpreter].contains(call.name),
            let program = call.arguments.string ?? (arguments?.count == 1 ? arguments?["code"]?.string : nil)
        {
            return Step(thought: "", action: .code(program), observation: unseen)
        }
        var observation = unseen
        observation.toolCalls = [ToolCall(name: call.name, arguments: arguments ?? [:])]
        return Step(
            thought: "", action: .toolCall(name: call.name, arguments: call.arguments), observation: observation)
    }

    // MARK: Results

    private mutating func observe(_ result: Dialogue.Result) throws(RecordRejection) {
        if let held, !held.reply.text.isEmpty, result.call == nil {
            // Code agents of others report a program's output in a role of its own.
            return report(AgentObservation.isOne(result.text) ? result.text : "Observation:\n\(result.text)")
        }
        if pending.count > 1, result.call == nil, result.name == nil, AgentObservation.isOne(result.text) {
            return report(result.text)
        }
        if let index = place(of: result) {
            pending.removeAll { $0 == index }
            steps[index].fill(text: result.text, isError: result.isError)
        } else if let index = steps.indices.last(where: { idOfStep[$0] != nil && idOfStep[$0] == result.call }) {
            if case .answer = steps[index].action { return }
            notes.repairs.insert(Self.repeated)
            steps[index].fill(text: steps[index].observation.text + "\n" + result.text, isError: result.isError)
        } else if result.call == nil, case .answer? = steps.last?.action {
            // The answer is only repeated here.
            return
        } else {
            throw RecordRejection("a result belongs to no call")
        }
    }

    private func place(of result: Dialogue.Result) -> Int? {
        if let id = result.call, pending.contains(where: { idOfStep[$0] != nil }) {
            return pending.first { idOfStep[$0] == id }
        }
        if let name = result.name, let named = pending.first(where: { steps[$0].action.toolName == name }) {
            return named
        }
        return result.call == nil || pending.allSatisfy { idOfStep[$0] == nil } ? pending.first : nil
    }

    // MARK: Turns without calls

    /// Makes a step of the held turn, once it is clear that no observation follows it.
    private mutating func settle() {
        guard let held else { return }
        append(closingStep(held.reply), of: held)
        self.held = nil
    }

    private mutating func append(
        _ step: Step, of held: (reply: Dialogue.Reply, remarks: [String], thoughts: [String])
    ) {
        var step = step
        step.thought = (held.thoughts + [step.thought]).filter { !$0.isEmpty }.joined(separator: "\n")
        step.remarks = held.remarks.isEmpty ? nil : held.remarks
        step.usage = spent + held.reply.usage
        step.isLearned = held.reply.isLearned
        spent = Usage()
        leavePending()
        steps.append(step)
    }

    private func codeStep(_ reply: Dialogue.Reply) -> Step {
        let (thought, action) = ActionParser.codeTurn(reply.text)
        return Step(
            thought: [reply.thought, thought].filter { !$0.isEmpty }.joined(separator: "\n"), action: action,
            observation: Observation(text: "", outcome: .success))
    }

    /// Whether the instructions are those of a code agent, whose programs are not answers: they name the function for
    /// answers.
    private var isCodeAgents: Bool { system.contains { $0.contains("final_answer") } }

    /// A turn that nothing follows: a program that ends the run, or an answer.
    private func closingStep(_ reply: Dialogue.Reply) -> Step {
        if let refusal = reply.refusal {
            return Step(
                thought: [reply.thought, reply.text].filter { !$0.isEmpty }.joined(separator: "\n"),
                action: .giveUp(reason: refusal), observation: Observation(text: "", outcome: .success))
        }
        var step = codeStep(reply)
        if let program = step.action.code, program.contains("final_answer(") {
            if let value = ActionParser.literalAnswer(of: program) { step.observation.outcome = .final(value) }
            return step
        }
        if step.action.code != nil, isCodeAgents || steps.contains(where: { $0.action.code != nil }) {
            step.observation = .notRecorded
            return step
        }
        guard reply.text.contains(where: { !$0.isWhitespace }) else {
            let reason = "the model said nothing"
            return Step(
                thought: reply.thought, action: .unparsable(text: reply.text, reason: reason),
                observation: Observation(text: "", outcome: .parseError(reason)))
        }
        let value = JSONValue.string(reply.text)
        return Step(
            thought: reply.thought, action: .answer(value), observation: Observation(text: "", outcome: .final(value)))
    }

    /// How a run ended, by its last step; nil where that does not tell.
    static func ending(_ last: Step?) -> Ending? {
        switch (last?.action, last?.observation.outcome) {
        case (.answer(let value), _), (.code, .final(let value)): .answered(value)
        case (.giveUp(let reason), _): .gaveUp(reason)
        case (.code(let program), .success) where program.contains("final_answer("):
            .gaveUp("final_answer was called with an expression, whose value was not recorded")
        default: nil
        }
    }
}

extension Step {
    /// Stores a call's result.
    mutating func fill(text: String, isError: Bool) {
        observation.text = text
        if case .unparsable(_, let reason) = action {
            observation.outcome = .parseError(reason)
            return
        }
        observation.outcome = isError ? .executionError(type: "ToolError", message: text) : .success
        guard case .toolCall(let name, let arguments) = action else { return }
        observation.toolCalls = [
            ToolCall(
                name: name, arguments: arguments.object ?? [:], result: isError ? nil : .string(text),
                error: isError ? text : nil)
        ]
    }
}
