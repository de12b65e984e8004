import RetortAgents
import RetortCore

/// An agent's answer to a question: its work as reasoning, its final answer as content.
struct AgentAnswer: Answer {
    /// An event of one of several attempts.
    struct Event: Sendable {
        let attempt: Int
        let event: RolloutEvent
    }

    private let head: AnswerHead
    private let returnsTrajectory: Bool
    private let includesUsage: Bool
    private var opened: Set<Int> = []
    private var trajectories: [Trajectory?]

    init(_ head: AnswerHead, _ request: ChatRequest) {
        self.head = head
        returnsTrajectory = request.agent.returnsTrajectory
        includesUsage = request.settings.includesUsage
        trajectories = Array(repeating: nil, count: request.settings.choices)
    }

    var usage: Usage { trajectories.compactMap(\.self).reduce(Usage()) { $0 + $1.usage } }

    mutating func take(_ event: Event) throws -> [JSONValue] {
        let index = event.attempt
        switch event.event {
        case .stepStarted(let step): return step == 0 ? opening(index) : [work(index, "\n")]
        case .text(let text): return [work(index, text)]
        case .stepFinished(let step):
            // Candidates that vote are not shown while they are written, so the chosen one is shown now.
            let written = step.candidates.isEmpty ? "" : "\(step.thought)\n\(step.action.code ?? "")"
            let seen = step.observation.text.isEmpty ? "" : "\nObservation:\n\(step.observation.text)\n"
            return [work(index, written + seen, returnsTrajectory ? ["step": try Self.json(step)] : nil)]
        case .finished(let trajectory):
            trajectories[index] = trajectory
            let message = try Self.message(trajectory)
            return opening(index) + [
                chunk(index, message.filter { $0.value != .null }, finish: "stop", try extra(trajectory))
            ]
        }
    }

    mutating func keep(_ event: Event) {
        if case .finished(let trajectory) = event.event { trajectories[event.attempt] = trajectory }
    }

    func whole() throws -> JSONValue {
        let choices = try trajectories.enumerated().map { index, trajectory -> JSONValue in
            guard let trajectory else { throw LanguageModelError.sampleMissing(index) }
            var message = try Self.message(trajectory)
            message["role"] = "assistant"
            return [
                "index": .integer(index), "message": .object(message), "finish_reason": "stop", "logprobs": .null,
                "retort": try extra(trajectory),
            ]
        }
        return head.object("chat.completion", ["choices": .array(choices), "usage": usage.json])
    }

    func closing(_ usage: JSONValue) -> JSONValue {
        head.object("chat.completion.chunk", ["choices": [], "usage": usage])
    }

    /// The answer as content; an agent that gives up becomes a refusal with its reason.
    /// - Throws: `APIError` when the run broke.
    private static func message(_ trajectory: Trajectory) throws -> [String: JSONValue] {
        switch trajectory.ending {
        case .answered(let value), .forced(let value): ["content": .string(value.text), "refusal": .null]
        case .gaveUp(let reason): ["content": .null, "refusal": .string(reason)]
        case .failed(let reason): throw APIError.server("the agent's run broke: \(reason)")
        case nil: throw APIError.server("the agent's run has no ending")
        }
    }

    /// The member `retort`: how the run ended, and the whole trajectory when the client asks for it.
    private func extra(_ trajectory: Trajectory) throws -> JSONValue {
        let ending: JSONValue =
            switch trajectory.ending {
            case .answered: "answered"
            case .forced: "forced"
            case .gaveUp: "gave_up"
            case .failed, nil: "failed"
            }
        var members: [String: JSONValue] = [
            "ending": ending, "steps": .integer(trajectory.steps.count),
            "tool_calls": .integer(trajectory.toolCallCount),
        ]
        if returnsTrajectory { members["trajectory"] = try Self.json(trajectory) }
        return .object(members)
    }

    private static func json(_ value: some Encodable) throws -> JSONValue {
        try ExactJSON.value(of: ExactJSON.encode(value))
    }

    private mutating func opening(_ index: Int) -> [JSONValue] {
        guard opened.insert(index).inserted else { return [] }
        return [chunk(index, ["role": "assistant", "content": ""])]
    }

    private func work(_ index: Int, _ text: String, _ extra: JSONValue? = nil) -> JSONValue {
        chunk(index, ["reasoning_content": .string(text)], extra)
    }

    private func chunk(
        _ index: Int, _ delta: [String: JSONValue], finish: JSONValue = .null, _ extra: JSONValue? = nil
    ) -> JSONValue {
        var choice: [String: JSONValue] = [
            "index": .integer(index), "delta": .object(delta), "finish_reason": finish, "logprobs": .null,
        ]
        choice["retort"] = extra
        var members: [String: JSONValue] = ["choices": [.object(choice)]]
        if includesUsage { members["usage"] = .null }
        return head.object("chat.completion.chunk", members)
    }
}
