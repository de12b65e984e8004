import RetortAgents
import RetortCore

/// The messages of an agent's log as steps.
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
        var observations: [String] = []
        var plans: [String] = []
        let read = try Self.read(messages, &faults)
        func flush(_ steps: inout [Step], _ faults: inout Set<LogFault>) {
            if let turn {
                var step = Self.step(turn, observations, &faults)
                if !plans.isEmpty, step.action.code != nil {
                    step.thought = (plans + [step.thought]).filter { !$0.isEmpty }.joined(separator: "\n\n")
                    faults.insert(.planJoined)
                    plans = []
                }
                steps.append(step)
            }
            (turn, observations) = (nil, [])
        }
        for (index, message) in read.enumerated() {
            switch message.role {
            // Some models have no role for calls; the call repeats the program of the turn before it.
            case "assistant" where turn != nil && message.text.hasPrefix("Calling tools:"): break
            case "assistant":
                flush(&steps, &faults)
                if Self.isPlan(message, before: index + 1 < read.count ? read[index + 1] : nil) {
                    plans.append(message.text.trimmingBlanks)
                } else {
                    turn = message.text
                }
            case "tool-response", "tool", "function", "observation", "ipython", "environment":
                observations.append(message.text)
            case "user" where message.text.hasPrefix(Self.afterPlan): break
            // Logs that went through the training set's rewriting say `user` for observations.
            case "user" where turn != nil: observations.append(message.text)
            case "user": if message.text.contains("<reference>") { faults.insert(.hintInPrompt) }
            case "system", "developer", "tool-call": break
            default: throw .unknownRole
            }
        }
        flush(&steps, &faults)
        if !plans.isEmpty { steps.append(Self.unrun(plans)) }
    }

    /// What smolagents says behind a plan.
    private static let afterPlan = "Now proceed and carry out this plan."
    /// How its plans begin, in its versions.
    private static let planBeginnings = [
        "Here are the facts I know and the plan of action",
        "Here are the facts I know and my new/updated plan of action",
        "I still need to solve the task I was given:", "[FACTS LIST]", "[PLAN]", "Here is the plan of action",
        "1. Facts survey", "## 1. Facts survey", "# 1. Facts survey",
    ]

    /// Whether the model planned, and nothing was run: smolagents' planning step.
    private static func isPlan(_ message: Message, before next: Message?) -> Bool {
        if let next, next.role == "user", next.text.hasPrefix(afterPlan) { return true }
        let start = message.text.trimmingBlanks
        guard planBeginnings.contains(where: start.hasPrefix) else { return false }
        // A turn that was run has a call or a result behind it.
        return next.map { !["tool-call", "tool-response", "tool", "function"].contains($0.role) } ?? true
    }

    /// Plans that no turn followed.
    private static func unrun(_ plans: [String]) -> Step {
        let reason = "the log ends behind a plan"
        return Step(
            thought: "", action: .unparsable(text: plans.joined(separator: "\n\n"), reason: reason),
            observation: Observation(text: "", outcome: .parseError(reason)))
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
        var text = value["content"]?.string ?? ""
        for part in value["content"]?.array ?? [] {
            guard let piece = part["text"]?.string else { throw .notText }
            text += piece
        }
        // As one character of Swift's a line end of Windows would be none of those looked for below.
        let plain = text.replacing("\r\n", with: "\n")
        if plain.unicodeScalars.count != text.unicodeScalars.count { faults.insert(.windowsLineEnds) }
        return Message(role: role, text: plain)
    }

    private static func step(_ turn: String, _ observations: [String], _ faults: inout Set<LogFault>) -> Step {
        let parts = observations.flatMap { split($0, &faults) }
        let (thought, action) = ActionParser.codeTurn(turn)
        let observation = observation(parts, action)
        if case .parseError(let reason) = observation.outcome {
            return Step(thought: "", action: .unparsable(text: turn, reason: reason), observation: observation)
        }
        return Step(thought: thought, action: action, observation: observation)
    }

    private enum Part {
        case output(String)
        case error(String)
    }

    /// Cuts a text at the calls' ids: the output of what was printed before a failure, then the error.
    private static func split(_ text: String, _ faults: inout Set<LogFault>) -> [Part] {
        let cuts = text.ranges(of: /Call id: [^\n]*\n(?=Error:|Observation:)/).map(\.lowerBound)
        if cuts.contains(where: { $0 != text.startIndex && !text[..<$0].hasSuffix("\n") }) {
            faults.insert(.gluedTurns)
        }
        let starts = [text.startIndex] + cuts.filter { $0 != text.startIndex }
        return zip(starts, starts.dropFirst() + [text.endIndex]).map { part(text[$0..<$1]) }
    }

    private static func part(_ text: Substring) -> Part {
        var rest = text
        if let id = rest.prefixMatch(of: /Call id: [^\n]*\n/) { rest = rest[id.range.upperBound...] }
        if let mark = rest.prefixMatch(of: /Error:\s*/) {
            let message = rest[mark.range.upperBound...]
            // What follows is advice of the agent's own.
            return .error(
                (message.firstRange(of: "\nNow let's retry").map { message[..<$0.lowerBound] } ?? message)
                    .trimmingBlanks)
        }
        if let mark = rest.prefixMatch(of: /Observation:\n?/) { rest = rest[mark.range.upperBound...] }
        return .output(output(rest))
    }

    /// What was printed, and the last value when there is one.
    private static func output(_ text: Substring) -> String {
        var printed = text
        if let mark = printed.prefixMatch(of: /Execution logs:\n?/) { printed = printed[mark.range.upperBound...] }
        guard let mark = printed.ranges(of: "Last output from code snippet:\n").last else {
            return printed.trimmingBlanks
        }
        let value = printed[mark.upperBound...].trimmingBlanks
        let logs = printed[..<mark.lowerBound].trimmingBlanks
        return value == "None" ? logs : logs.isEmpty ? value : "\(logs)\n\(value)"
    }

    private static func observation(_ parts: [Part], _ action: Action) -> Observation {
        var texts: [String] = []
        var outcome = Observation.Outcome.success
        if case .unparsable(_, let reason) = action { outcome = .parseError(reason) }
        for part in parts {
            switch part {
            case .output(let text): texts.append(text)
            case .error(let message):
                texts.append(message)
                outcome = Self.outcome(message)
            }
        }
        return Observation(text: texts.filter { !$0.isEmpty }.joined(separator: "\n"), outcome: outcome)
    }

    private static func outcome(_ message: String) -> Observation.Outcome {
        if message.contains(/[Cc]ode parsing|code snippet is invalid|regex pattern/) { return .parseError(message) }
        if let error = message.firstMatch(of: /([A-Za-z_][\w.]*(?:Error|Exception|Interrupt)):?\s*([\s\S]*)/) {
            let type = error.output.1.split(separator: ".").last.map(String.init) ?? String(error.output.1)
            return .executionError(type: type, message: String(error.output.2))
        }
        return .executionError(type: "ExecutionError", message: message)
    }
}
