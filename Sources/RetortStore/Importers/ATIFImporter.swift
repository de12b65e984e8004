import Foundation
import RetortCore

/// Reads trajectories in the Agent Trajectory Interchange Format, versions 1.0 to 1.8: a document, a list of them, or
/// one per line.
///
/// The user's first message is the question; later ones are remarks before the next step. Each tool call becomes a
/// step; a call named `python` with the single argument `code` is a program. The agent's last message without a call is
/// its answer. Steps copied from another trajectory for context are left out, as the format demands.
public struct ATIFImporter: Sendable {
    private let family: AgentTask.Family

    /// - Parameter family: how answers are graded, for trajectories of others.
    public init(family: AgentTask.Family = .factual) { self.family = family }

    /// A document that cannot be read.
    private enum Rejection: String, Error {
        case notADocument = "the document has no ATIF schema_version"
        case noSteps = "the document has no steps"
        case noQuestion = "no step is the user's"
        case multimodal = "a message has content other than text"
        case subagents = "the trajectory has subagents of its own"
        case spoilt = "the facts in extra.retort do not fit the steps"
    }

    private static let copied = "steps copied from another trajectory were left out"
    private static let silent = "an agent's words without a call stood in the middle; they became thoughts"

    /// The trajectories in file order, and what happened to each document.
    /// - Throws: `JSONLinesError` for a file that cannot be read at all.
    public func read(_ file: URL) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        var trajectories: [Trajectory] = []
        var account = ImportAccount()
        func take(_ value: Result<JSONValue, JSONLinesError>, _ number: Int) {
            account.records += 1
            do {
                let (trajectory, repairs) = try trajectory(value.get())
                trajectories.append(trajectory)
                account.imported += 1
                for repair in repairs { account.repair(number, repair) }
            } catch let error as JSONLinesError {
                account.reject(number, error.reason)
            } catch let error as Rejection {
                account.reject(number, error.rawValue)
            } catch {
                account.reject(number, Rejection.spoilt.rawValue)
            }
        }
        if file.pathExtension == "jsonl" {
            try JSONLinesFile(file).forEachValue(take)
        } else {
            let value = try JSONFile.value(file)
            for (index, document) in (value.array ?? [value]).enumerated() { take(.success(document), index + 1) }
        }
        return (trajectories, account)
    }

    private func trajectory(_ document: JSONValue) throws -> (Trajectory, repairs: Set<String>) {
        guard document["schema_version"]?.string?.hasPrefix("ATIF-v1.") == true else { throw Rejection.notADocument }
        guard let steps = document["steps"]?.array, !steps.isEmpty else { throw Rejection.noSteps }
        if let facts = document["extra"]?[ATIF.ours] {
            return (try own(document, steps, ExactJSON.decode(ATIF.Facts.self, from: facts)), [])
        }
        return try foreign(document, steps)
    }

    // MARK: Retort's own

    private func own(_ document: JSONValue, _ steps: [JSONValue], _ facts: ATIF.Facts) throws -> Trajectory {
        var trajectory = Trajectory(
            task: facts.task, provenance: facts.provenance, id: document["trajectory_id"]?.string)
        for step in steps where step["source"] == "agent" {
            guard let extra = step["extra"]?[ATIF.ours] else { throw Rejection.spoilt }
            trajectory.append(try own(step, ExactJSON.decode(ATIF.StepFacts.self, from: extra)))
        }
        if let ending = facts.ending { trajectory.end(ending) }
        trajectory.state = facts.state
        return trajectory
    }

    private func own(_ step: JSONValue, _ facts: ATIF.StepFacts) throws -> Step {
        let call = step["tool_calls"]?.array?.first
        guard let action = facts.action ?? call.map(Self.action) else { throw Rejection.spoilt }
        var observation = facts.observation
        observation.text = Self.observed(step, call: nil)
        let thought = call == nil ? step["reasoning_content"]?.string ?? "" : step["message"]?.string ?? ""
        var own = Step(
            speaker: facts.speaker, thought: thought, action: action, observation: observation,
            usage: Self.usage(step, seconds: facts.seconds), candidates: facts.candidates,
            transcript: facts.transcript ?? Self.tokens(step), remarks: facts.remarks, wording: facts.wording)
        own.isLearned = facts.isLearned
        return own
    }

    // MARK: Others'

    private func foreign(_ document: JSONValue, _ steps: [JSONValue]) throws -> (Trajectory, repairs: Set<String>) {
        if document["subagent_trajectories"]?.array?.isEmpty == false { throw Rejection.subagents }
        var repairs: Set<String> = []
        let own = steps.filter { $0["is_copied_context"] != true }
        if own.count < steps.count { repairs.insert(Self.copied) }
        guard let start = own.firstIndex(where: { $0["source"] == "user" }) else { throw Rejection.noQuestion }
        var trajectory = Trajectory(task: try task(document, own, question: start), provenance: provenance(document))
        var remarks: [String] = []
        var thoughts: [String] = []
        for (index, step) in own.enumerated() where index != start {
            let message = try Self.message(step)
            switch step["source"] {
            case "user": remarks.append(message)
            case "agent":
                thoughts += [step["reasoning_content"]?.string ?? "", message].filter { !$0.isEmpty }
                let calls = step["tool_calls"]?.array ?? []
                let isLast = !own[(index + 1)...].contains { $0["source"] == "agent" }
                if calls.isEmpty, !isLast {
                    repairs.insert(Self.silent)
                    continue
                }
                if calls.isEmpty { thoughts = Array(thoughts.dropLast(message.isEmpty ? 0 : 1)) }
                let made = calls.isEmpty ? [Self.answer(step, message)] : calls.map { Self.step(step, $0) }
                for (position, var next) in made.enumerated() {
                    if position == 0 {
                        next.thought = thoughts.joined(separator: "\n")
                        next.usage = Self.usage(step, seconds: 0)
                        next.transcript = Self.tokens(step)
                        next.remarks = remarks.isEmpty ? nil : remarks
                    }
                    trajectory.append(next)
                    if case .answer(let value) = next.action { trajectory.end(.answered(value)) }
                }
                (remarks, thoughts) = ([], [])
            default: break
            }
        }
        trajectory.end(.gaveUp("the document ends without an answer"))
        return (trajectory, repairs)
    }

    private func task(_ document: JSONValue, _ steps: [JSONValue], question: Int) throws -> AgentTask {
        var task = AgentTask(
            id: document["trajectory_id"]?.string ?? document["session_id"]?.string ?? "atif",
            question: try Self.message(steps[question]), answers: [], family: family)
        let system = try steps.filter { $0["source"] == "system" }.map(Self.message)
        if !system.isEmpty { task.metadata["system"] = .string(system.joined(separator: "\n\n")) }
        task.metadata["tools"] = document["agent"]?["tool_definitions"]
        return task
    }

    private func provenance(_ document: JSONValue) -> Provenance {
        let agent = document["agent"]
        return Provenance(
            policy: agent?["name"]?.string ?? "agent", model: agent?["model_name"]?.string ?? "unknown")
    }

    private static func answer(_ step: JSONValue, _ message: String) -> Step {
        Step(
            thought: "", action: .answer(.string(message)),
            observation: Observation(text: observed(step, call: nil), outcome: .final(.string(message))))
    }

    private static func step(_ step: JSONValue, _ call: JSONValue) -> Step {
        let action = action(call)
        let text = observed(step, call: call["tool_call_id"]?.string)
        var observation = Observation(text: text, outcome: .success)
        if case .toolCall(let name, let arguments) = action {
            observation.toolCalls = [ToolCall(name: name, arguments: arguments.object ?? [:], result: .string(text))]
        }
        return Step(thought: "", action: action, observation: observation)
    }

    // MARK: Fields

    private static func action(_ call: JSONValue) -> Action {
        let name = call["function_name"]?.string ?? ""
        let arguments = call["arguments"] ?? [:]
        if name == ATIF.program, arguments.object?.count == 1, let code = arguments[ATIF.programArgument]?.string {
            return .code(code)
        }
        return .toolCall(name: name, arguments: arguments)
    }

    private static func message(_ step: JSONValue) throws -> String {
        guard let message = step["message"] else { return "" }
        if let text = message.string { return text }
        return try (message.array ?? []).map { part in
            guard part["type"] == "text", let text = part["text"]?.string else { throw Rejection.multimodal }
            return text
        }.joined()
    }

    /// The result of a call; all results when no call is named.
    private static func observed(_ step: JSONValue, call: String?) -> String {
        (step["observation"]?["results"]?.array ?? [])
            .filter { call == nil || $0["source_call_id"]?.string == nil || $0["source_call_id"]?.string == call }
            .compactMap { $0["content"]?.string ?? $0["content"]?.array?.compactMap { $0["text"]?.string }.joined() }
            .joined(separator: "\n")
    }

    private static func usage(_ step: JSONValue, seconds: Double) -> Usage {
        func count(_ name: String) -> Int {
            if case .integer(let count) = step["metrics"]?[name] { count } else { 0 }
        }
        return Usage(
            promptTokens: count("prompt_tokens"), completionTokens: count("completion_tokens"), seconds: seconds)
    }

    private static func tokens(_ step: JSONValue) -> Transcript? {
        func ids(_ name: String) -> [Int32]? {
            step["metrics"]?[name].flatMap { try? ExactJSON.decode([Int32].self, from: $0) }
        }
        guard let prompt = ids("prompt_token_ids"), let completion = ids("completion_token_ids") else { return nil }
        return .tokens(TokenIDs(prompt: prompt, completion: completion))
    }
}
