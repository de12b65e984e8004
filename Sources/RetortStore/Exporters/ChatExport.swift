import Foundation
import RetortAgents
import RetortCore

/// Writes trajectories as chats for other trainers, one JSON object per line.
public struct ChatExport: Sendable {
    /// The trainer whose form the lines have.
    public enum Dialect: String, Codable, Sendable, CaseIterable {
        /// TRL's conversational form: `messages` with `tool_calls`, and `tools` as JSON schemas.
        case trl
        /// LLaMA-Factory's ShareGPT form: `conversations` of `human`, `gpt`, `function_call`, `observation`, and
        /// `tools` as a text.
        case llamaFactory = "llama-factory"
        /// ms-swift's form: `messages` with the roles `tool_call` and `tool_response`, and `tools` as a text.
        case msSwift = "ms-swift"
    }

    /// What the assistant's turns look like.
    public enum Form: Sendable {
        /// Actions are calls of functions; a program is the argument of `python`.
        case calls
        /// The text that a view shows and trains on; one line for each of its examples.
        case view(any View)
    }

    /// A trajectory that was left out.
    public struct Omission: Codable, Sendable, Hashable {
        /// The trajectory's id.
        public let id: String
        /// Why, in words.
        public let reason: String
    }

    private let dialect: Dialect
    private let form: Form

    /// - Parameter form: what the assistant's turns look like; calls of functions by default.
    public init(_ dialect: Dialect, _ form: Form = .calls) {
        self.dialect = dialect
        self.form = form
    }

    /// The lines of a trajectory, or why it is left out.
    public func lines(_ trajectory: Trajectory) -> Result<[JSONValue], Omitted> {
        switch form {
        case .calls:
            guard trajectory.answer != nil else { return .failure(Omitted(reason: "it ends without an answer")) }
            guard dialect == .msSwift || trajectory.steps.allSatisfy({ $0.isLearned != false }) else {
                return .failure(unmarked)
            }
            let tools = ToolSchemas.openAI(for: trajectory)
            return .success([dialect.line(ChatTurn.turns(of: trajectory), tools: tools)])
        case .view(let view):
            let examples = view.examples(for: trajectory)
            guard !examples.isEmpty else { return .failure(Omitted(reason: "the view learns nothing from it")) }
            let lines = examples.compactMap { dialect.line(example: $0.map(ChatTurn.init)) }
            guard lines.count == examples.count else {
                return .failure(unmarked)
            }
            return .success(lines)
        }
    }

    private var unmarked: Omitted {
        Omitted(reason: "\(dialect.rawValue) cannot leave turns of the assistant untrained")
    }

    /// Why a trajectory gives no line.
    public struct Omitted: Error { let reason: String }

    /// Writes the lines of all trajectories; the file is complete or not written at all.
    /// - Returns: the trajectories that were left out, and why.
    public func write(_ trajectories: some Sequence<Trajectory>, to file: URL) throws -> [Omission] {
        var omissions: [Omission] = []
        try AtomicFile.write(to: file) { handle in
            for trajectory in trajectories {
                switch lines(trajectory) {
                case .success(let lines):
                    for line in lines { try handle.write(contentsOf: Data("\(line.jsonText)\n".utf8)) }
                case .failure(let omitted): omissions.append(Omission(id: trajectory.id, reason: omitted.reason))
                }
            }
        }
        return omissions
    }
}

/// A turn of a chat, before it takes a trainer's form.
struct ChatTurn {
    enum Content {
        case text(String)
        /// A thought, then the call of a function.
        case call(thought: String, name: String, arguments: JSONValue)
        /// What a function returned.
        case result(name: String, text: String)
    }

    let role: Role
    let content: Content
    /// Whether a student learns to write it.
    let isTrainable: Bool

    private init(_ role: Role, _ content: Content, isLearned: Bool = true) {
        self.role = role
        self.content = content
        isTrainable = role == .assistant && isLearned
    }

    init(_ message: Message) {
        role = message.role
        content = .text(message.text)
        isTrainable = message.endsTrainable
    }

    static func turns(of trajectory: Trajectory) -> [ChatTurn] {
        var turns: [ChatTurn] = []
        if let system = trajectory.task.metadata["system"]?.string { turns.append(ChatTurn(.system, .text(system))) }
        turns.append(ChatTurn(.user, .text(trajectory.task.question)))
        for step in trajectory.steps {
            turns += (step.remarks ?? []).map { ChatTurn(.user, .text($0)) }
            turns += self.turns(of: step)
        }
        return turns
    }

    private static func turns(of step: Step) -> [ChatTurn] {
        let isLearned = step.isLearned ?? true
        func called(_ name: String, _ arguments: JSONValue) -> [ChatTurn] {
            [
                ChatTurn(
                    .assistant, .call(thought: step.thought, name: name, arguments: arguments), isLearned: isLearned),
                ChatTurn(.tool, .result(name: name, text: step.observation.text)),
            ]
        }
        func said(_ text: String) -> [ChatTurn] {
            let whole = [step.thought, text].filter { !$0.isEmpty }.joined(separator: "\n\n")
            return [ChatTurn(.assistant, .text(whole), isLearned: isLearned)]
        }
        switch (step.action, step.observation.outcome) {
        case (_, .final(let value)), (.answer(let value), _): return said(value.text)
        case (.code(let program), _): return called(ATIF.program, [ATIF.programArgument: .string(program)])
        case (.toolCall(let name, let arguments), _):
            return called(name, arguments.object == nil ? ["value": arguments] : arguments)
        case (.giveUp(let reason), _): return said(reason)
        case (.unparsable(let text, _), _):
            return [
                ChatTurn(.assistant, .text(text), isLearned: isLearned), ChatTurn(.user, .text(step.observation.text)),
            ]
        }
    }
}
