import Foundation
import RetortAgents
import RetortCore

/// Reads ToolBench's trajectories (arXiv 2307.16789): its answer files, and α-UMi's first and second stage made from
/// them (arXiv 2401.07324), as trajectories of the policy `umi`.
///
/// A planner's turn with the call or conclusion it asks for is a step; the user's messages in between are the next
/// step's remarks; the API documents become the task's tools. `RoleView` makes α-UMi's samples from them, letter for
/// letter.
public struct ToolBenchImporter: Sendable {
    private let split: String
    private let model: String

    /// - Parameters:
    ///   - split: the name of the tasks' split.
    ///   - model: the model that made the trajectories, for the record.
    public init(split: String = "train", model: String = "gpt-3.5-turbo") {
        self.split = split
        self.model = model
    }

    private static let joined = "a rationale without a decision was joined to the next"
    private static let reworded = "a decision stood in other words or in another place"

    /// The trajectories of a file or of a folder's `.json` files, in order of name, and what happened to each record.
    /// - Throws: `JSONFileError` for a file that cannot be read at all.
    public func read(_ source: URL) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        var trajectories: [Trajectory] = []
        var account = ImportAccount()
        var attempts: [String: Int] = [:]
        for file in try files(source) {
            let value = try JSONFile.value(file)
            for record in value.array ?? [value] {
                account.records += 1
                do {
                    let (trajectory, repairs) = try trajectory(record, &attempts)
                    trajectories.append(trajectory)
                    account.imported += 1
                    for repair in repairs { account.repair(account.records, repair) }
                } catch {
                    account.reject(account.records, error.rawValue)
                }
            }
        }
        return (trajectories, account)
    }

    private func files(_ source: URL) throws -> [URL] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: source.path, isDirectory: &isFolder), isFolder.boolValue else {
            return [source]
        }
        return try FileManager.default.contentsOfDirectory(at: source, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "json" }.sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    private func trajectory(
        _ record: JSONValue, _ attempts: inout [String: Int]
    ) throws(ToolBenchRejection) -> (Trajectory, repairs: Set<String>) {
        let dialogue = try ToolBenchDialogue(record)
        // The same instruction is the same task, in any file.
        var task = AgentTask(
            id: "toolbench-\(String(StableHash.of(dialogue.instruction), radix: 16))", question: dialogue.instruction,
            answers: [], family: .factual, split: split)
        task.tools = dialogue.tools
        let attempt = attempts[task.id, default: 0]
        attempts[task.id] = attempt + 1
        var trajectory = Trajectory(
            task: task, provenance: Provenance(policy: "umi", model: model, attempt: attempt))
        let repairs = try fill(&trajectory, dialogue)
        return (trajectory, repairs.union(dialogue.repairs))
    }

    private func fill(
        _ trajectory: inout Trajectory, _ dialogue: ToolBenchDialogue
    ) throws(ToolBenchRejection) -> Set<String> {
        var repairs: Set<String> = []
        var remarks: [String] = []
        var thoughts: [String] = []
        var step: Step?
        func close() { if let done = step.take() { trajectory.append(done) } }
        for (index, utterance) in dialogue.utterances.enumerated() {
            switch utterance.speaker {
            case .user:
                close()
                if index > 0 || utterance.text != dialogue.instruction { remarks.append(utterance.text) }
            case .assistant:
                close()
                guard let (thought, decision) = Self.plan(utterance.text) else {
                    thoughts.append(utterance.text)
                    repairs.insert(Self.joined)
                    continue
                }
                let whole = (thoughts + [thought]).joined(separator: "\n")
                if thoughts.isEmpty, RoleWords.planner(whole, decision) != utterance.text {
                    repairs.insert(Self.reworded)
                }
                step = Step(
                    speaker: AgentRole.planner.rawValue, thought: whole, action: .giveUp(reason: ""),
                    observation: Observation(text: "", outcome: .success), remarks: remarks.isEmpty ? nil : remarks)
                (remarks, thoughts) = ([], [])
            case .caller:
                let (action, wording) = RoleParser.call(utterance.text)
                guard step != nil else { throw .outOfTurn }
                step?.action = action
                step?.wording = wording
                if case .unparsable(_, let reason) = action { step?.observation.outcome = .parseError(reason) }
            case .observation:
                guard step != nil else { throw .outOfTurn }
                step?.observe(utterance)
            case .conclusion:
                guard step != nil else { throw .outOfTurn }
                step?.action = .answer(.string(utterance.text))
                step?.observation = Observation(text: "", outcome: .final(.string(utterance.text)))
            }
        }
        close()
        guard let last = trajectory.steps.last else { throw .noTurns }
        trajectory.end(last.ending ?? .failed("the record stops before an answer"))
        return repairs
    }

    /// A rationale and the decision that ends it; nil when there is none.
    private static func plan(_ text: String) -> (thought: String, decision: RoleDecision)? {
        for decision in RoleDecision.allCases {
            for end in ["\r\n", "\n", ""].map({ "\($0) \(decision.text)" }) where text.hasSuffix(end) {
                return (String(text.dropLast(end.count)), decision)
            }
        }
        guard RoleDecision.allCases.contains(where: { text.contains($0.text) }) else { return nil }
        return RoleParser.plan(text)
    }
}

extension Step {
    /// Records the API's reply to the step's call.
    fileprivate mutating func observe(_ utterance: ToolBenchDialogue.Utterance) {
        observation.text = utterance.text
        if case .parseError = observation.outcome { return }
        if let error = utterance.error { observation.outcome = .executionError(type: "APIError", message: error) }
        guard case .toolCall(let name, let arguments) = action else { return }
        observation.toolCalls = [
            ToolCall(
                name: name, arguments: arguments.object ?? [:],
                result: utterance.error == nil ? .string(utterance.text) : nil,
                error: utterance.error)
        ]
    }
}
