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
    private let split: String

    /// - Parameters:
    ///   - family: how answers are graded, for trajectories of others.
    ///   - split: the name of the tasks' split, for trajectories of others.
    public init(family: AgentTask.Family = .factual, split: String = "") {
        self.family = family
        self.split = split
    }

    private static let spoilt = RecordRejection("the facts in extra.retort do not fit the steps")
    private static let copied = "steps copied from another trajectory were left out"
    private static let agentKeys = RecordKeys(
        "the agent", read: ["name", "model_name", "tool_definitions"], harmless: ["version", "extra"])

    /// The trajectories in file order, and what happened to each document.
    /// - Throws: `JSONLinesError`, `JSONFileError` for a file that cannot be read at all.
    public func read(_ file: URL) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        var trajectories: [Trajectory] = []
        var account = ImportAccount()
        let source = file.deletingPathExtension().lastPathComponent
        func take(_ value: Result<JSONValue, some Error>, _ number: Int) {
            account.records += 1
            do {
                let (trajectory, notes) = try trajectory(value.get(), named: "\(source)-\(number)")
                trajectories.append(trajectory)
                account.imported += 1
                account.add(number, notes)
            } catch let error as JSONLinesError {
                account.reject(number, error.reason)
            } catch let error as RecordRejection {
                account.reject(number, error.reason)
            } catch {
                account.reject(number, Self.spoilt.reason)
            }
        }
        if file.pathExtension == "jsonl" {
            try JSONLinesFile(file).forEachValue { take($0, $1) }
        } else {
            try RecordFile(file).forEach { take($0, $1) }
        }
        return (trajectories, account)
    }

    private func trajectory(_ document: JSONValue, named name: String) throws -> (Trajectory, RecordNotes) {
        guard let version = document["schema_version"]?.string else {
            throw RecordRejection("the document has no ATIF schema_version")
        }
        guard version.hasPrefix("ATIF-v1.") else {
            throw RecordRejection("the document's schema_version is '\(version.shown(upTo: 40))'; ATIF-v1 is read")
        }
        guard let steps = document["steps"]?.array, !steps.isEmpty else {
            throw RecordRejection("the document has no steps")
        }
        if let facts = document["extra"]?[ATIF.ours] {
            return (try own(document, steps, ExactJSON.decode(ATIF.Facts.self, from: facts)), RecordNotes())
        }
        return try foreign(document, steps, name)
    }

    // MARK: Retort's own

    private func own(_ document: JSONValue, _ steps: [JSONValue], _ facts: ATIF.Facts) throws -> Trajectory {
        var trajectory = Trajectory(
            task: facts.task, provenance: facts.provenance, id: document["trajectory_id"]?.string)
        for step in steps where step["source"] == "agent" {
            guard let extra = step["extra"]?[ATIF.ours] else { throw Self.spoilt }
            trajectory.append(try own(step, ExactJSON.decode(ATIF.StepFacts.self, from: extra)))
        }
        if let ending = facts.ending { trajectory.end(ending) }
        trajectory.state = facts.state
        return trajectory
    }

    private func own(_ step: JSONValue, _ facts: ATIF.StepFacts) throws -> Step {
        let call = step["tool_calls"]?.array?.first
        guard let action = facts.action ?? call.map(Self.action) else { throw Self.spoilt }
        var observation = facts.observation
        observation.text = Self.observed(step)
        let thought = call == nil ? step["reasoning_content"]?.string ?? "" : step["message"]?.string ?? ""
        var own = Step(
            speaker: facts.speaker, thought: thought, action: action, observation: observation,
            usage: Self.usage(step, seconds: facts.seconds), candidates: facts.candidates,
            transcript: facts.transcript ?? Self.tokens(step), remarks: facts.remarks, wording: facts.wording)
        own.isLearned = facts.isLearned
        return own
    }

    // MARK: Others'

    private func foreign(
        _ document: JSONValue, _ steps: [JSONValue], _ name: String
    ) throws(RecordRejection) -> (Trajectory, RecordNotes) {
        if document["subagent_trajectories"]?.isVoid == false {
            throw RecordRejection("the trajectory has subagents of its own")
        }
        let own = steps.filter { $0["is_copied_context"] != true }
        guard let question = own.firstIndex(where: { $0["source"] == "user" }) else {
            throw RecordRejection("no step is the user's")
        }
        let told = try ATIFSteps(own, question: question)
        var notes = told.notes
        if own.count < steps.count { notes.repairs.insert(Self.copied) }
        Self.agentKeys.check(document["agent"] ?? .null, &notes)
        let task = try task(document, own, question: question, name)
        guard !told.steps.isEmpty else { throw RecordRejection("the model takes no turn") }
        var trajectory = Trajectory(task: task, provenance: provenance(document))
        for step in told.steps { trajectory.append(step) }
        trajectory.end(told.ending ?? .gaveUp("the document ends without an answer"))
        return (trajectory, notes)
    }

    private func task(
        _ document: JSONValue, _ steps: [JSONValue], question: Int, _ name: String
    ) throws(RecordRejection) -> AgentTask {
        let asked = try ATIFSteps.message(steps[question])
        guard !asked.isEmpty else { throw RecordRejection("the user says nothing") }
        var task = AgentTask(
            id: document["trajectory_id"]?.words ?? document["session_id"]?.words ?? name, question: asked,
            answers: [], family: family, split: split)
        let system = try steps.filter { $0["source"] == "system" }
            .map { step throws(RecordRejection) in try ATIFSteps.message(step) }
        if !system.isEmpty { task.metadata["system"] = .string(system.joined(separator: "\n\n")) }
        task.metadata["tools"] = document["agent"]?["tool_definitions"]
        return task
    }

    private func provenance(_ document: JSONValue) -> Provenance {
        let agent = document["agent"]
        return Provenance(
            policy: agent?["name"]?.string ?? "agent", model: agent?["model_name"]?.string ?? "unknown")
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

    /// The results of a step's call.
    private static func observed(_ step: JSONValue) -> String {
        (step["observation"]?["results"]?.array ?? [])
            .compactMap { $0["content"]?.string ?? $0["content"]?.array?.compactMap { $0["text"]?.string }.joined() }
            .joined(separator: "\n")
    }

    static func usage(_ step: JSONValue, seconds: Double) -> Usage {
        func count(_ name: String) -> Int { step["metrics"]?[name]?.count ?? 0 }
        return Usage(
            promptTokens: count("prompt_tokens"), completionTokens: count("completion_tokens"), seconds: seconds)
    }

    static func tokens(_ step: JSONValue) -> Transcript? {
        func ids(_ name: String) -> [Int32]? {
            step["metrics"]?[name].flatMap { try? ExactJSON.decode([Int32].self, from: $0) }
        }
        guard let prompt = ids("prompt_token_ids"), let completion = ids("completion_token_ids") else { return nil }
        return .tokens(TokenIDs(prompt: prompt, completion: completion))
    }
}
