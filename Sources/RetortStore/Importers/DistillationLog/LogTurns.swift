import RetortAgents
import RetortCore

/// Turns the messages of an agent's log into steps.
struct LogTurns {
    private(set) var steps: [Step] = []
    private(set) var faults: Set<LogFault> = []

    private struct Message {
        let role: String
        let text: String
    }

    /// - Parameter messages: `{role, content}`, the content a text or a list of `{type: "text", text}`.
    init(_ messages: [JSONValue]) throws(LogRejection) {
        var turn: String?
        // Whether the turn's program was repeated as a call.
        var isCalled = false
        var observations: [String] = []
        // What was only said, and why, until a turn that was run.
        var (plans, causes): ([String], Set<LogFault>) = ([], [])
        let read = try Self.read(messages, &faults)
        func flush(_ steps: inout [Step], _ faults: inout Set<LogFault>, isLast: Bool = false) {
            if let turn, observations.isEmpty, !isCalled, !isLast {
                // smolagents reports on everything that it runs.
                plans.append(turn.trimmingBlanks)
                causes.insert(.unrunJoined)
            } else if let turn {
                var step = Self.step(turn, observations, isLast: isLast, &faults)
                if !plans.isEmpty, step.action.code != nil {
                    step.thought = (plans + [step.thought]).filter { !$0.isEmpty }.joined(separator: "\n\n")
                    faults.formUnion(causes)
                    (plans, causes) = ([], [])
                }
                steps.append(step)
            }
            (turn, isCalled, observations) = (nil, false, [])
        }
        for (index, message) in read.enumerated() {
            switch message.role {
            // Some models have no role for calls; the call repeats the program of the turn before it.
            case "assistant" where turn != nil && message.text.hasPrefix("Calling tools:"): isCalled = true
            case "assistant":
                flush(&steps, &faults)
                if Self.isPlan(message, before: index + 1 < read.count ? read[index + 1] : nil) {
                    plans.append(message.text.trimmingBlanks)
                    causes.insert(.planJoined)
                } else {
                    turn = message.text
                }
            case _ where Dialogue.tellsResults(message.role): observations.append(message.text)
            case "user" where message.text.hasPrefix(Self.afterPlan): break
            // Logs that were rewritten for the training set use `user` for observations.
            case "user" where turn != nil: observations.append(message.text)
            case "user": if message.text.contains("<reference>") { faults.insert(.hintInPrompt) }
            case "tool-call": isCalled = true
            case "system", "developer": break
            default: throw .unknownRole
            }
        }
        flush(&steps, &faults, isLast: true)
        if !plans.isEmpty { steps.append(.unrun(plans, "the log ends after a plan")) }
    }

    /// What smolagents says after a plan.
    private static let afterPlan = "Now proceed and carry out this plan."
    /// How plans begin in the versions of smolagents.
    private static let planBeginnings = [
        "Here are the facts I know and the plan of action",
        "Here are the facts I know and my new/updated plan of action",
        "I still need to solve the task I was given:", "[FACTS LIST]", "[PLAN]", "Here is the plan of action",
        "1. Facts survey", "## 1. Facts survey", "# 1. Facts survey",
    ]

    /// Whether the model only planned and nothing was run: smolagents' planning step.
    private static func isPlan(_ message: Message, before next: Message?) -> Bool {
        if let next, next.role == "user", next.text.hasPrefix(afterPlan) { return true }
        let start = message.text.trimmingBlanks
        guard planBeginnings.contains(where: start.hasPrefix) else { return false }
        // A turn that was run is followed by a call or a result.
        return next.map { $0.role != "tool-call" && !Dialogue.tellsResults($0.role) } ?? true
    }

    private static func read(_ messages: [JSONValue], _ faults: inout Set<LogFault>) throws(LogRejection) -> [Message] {
        var read: [Message] = []
        for message in messages { read.append(try Self.message(message, &faults)) }
        return read
    }

    private static func message(_ value: JSONValue, _ faults: inout Set<LogFault>) throws(LogRejection) -> Message {
        var role = value["role"]?.string ?? ""
        if role.hasPrefix("MessageRole.") {
            faults.insert(.roleSpelling)
            role = String(role.dropFirst("MessageRole.".count))
        }
        role = role.lowercased().replacing("_", with: "-")
        if role == "human" { role = "user" }
        var text = value["content"]?.string ?? ""
        for part in value["content"]?.array ?? [] {
            guard let piece = part["text"]?.string else { throw .notText }
            text += piece
        }
        // As one Swift character, a Windows line break would match none of the breaks searched for below.
        let plain = text.replacing("\r\n", with: "\n")
        if plain.unicodeScalars.count != text.unicodeScalars.count { faults.insert(.windowsLineEnds) }
        return Message(role: role, text: plain)
    }

    private static func step(
        _ turn: String, _ observations: [String], isLast: Bool, _ faults: inout Set<LogFault>
    ) -> Step {
        let (thought, action) = ActionParser.codeTurn(turn)
        if let program = action.code, observations.isEmpty, !isLast || !program.contains("final_answer(") {
            return Step(thought: thought, action: action, observation: .notRecorded)
        }
        let (observation, isGlued) = AgentObservation.read(observations, of: action)
        if isGlued { faults.insert(.gluedTurns) }
        if case .parseError(let reason) = observation.outcome {
            return Step(thought: "", action: .unparsable(text: turn, reason: reason), observation: observation)
        }
        return Step(thought: thought, action: action, observation: observation)
    }
}
