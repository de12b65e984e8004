import RetortCore

/// A model that acts by writing Python (arXiv 2505.17612, after smolagents' CodeAgent).
public struct CodeAgent: Policy {
    public let name: String
    private let model: any LanguageModel
    private let view: any View
    private let maximumTokens: Int
    private static let stops = ["Observation:", "<end_code>"]

    public init(
        name: String = "agent", model: any LanguageModel, view: any View, maximumTokens: Int = 1024
    ) {
        self.name = name
        self.model = model
        self.view = view
        self.maximumTokens = maximumTokens
    }

    public var modelIdentity: String { model.identity }

    public func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        let completions = try await model.complete(
            GenerationRequest(
                messages: view.messages(for: trajectory), samples: request.count, sampling: request.sampling,
                stops: Self.stops, maximumTokens: maximumTokens), emit: emit)
        return completions.map { completion in
            guard completion.finish != .length else {
                return Proposal(
                    thought: "",
                    action: .unparsable(text: completion.text, reason: "cut off at \(maximumTokens) tokens"),
                    usage: completion.usage)
            }
            let (thought, action) = ActionParser.codeTurn(completion.text)
            return Proposal(thought: thought, action: action, usage: completion.usage)
        }
    }

    public func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal? {
        let now = Message(.user, "No steps are left. Give your best answer now, on one line: Answer: …")
        let completions = try await model.complete(
            GenerationRequest(
                messages: view.messages(for: trajectory) + [now],
                sampling: Sampling(temperature: 0, seed: seed), maximumTokens: maximumTokens), emit: emit)
        return completions.first.flatMap { completion in
            ActionParser.forcedAnswer(completion.text).map {
                Proposal(thought: "", action: .answer(.string($0)), usage: completion.usage)
            }
        }
    }
}

extension LanguageModel {
    /// Waits for all samples; a single one is passed on as it is written.
    func complete(
        _ request: GenerationRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Completion] {
        guard request.samples == 1 else { return try await complete(request) }
        for try await event in stream(request) {
            switch event {
            case .text(_, let text): emit(.text(text))
            case .finished(_, let completion): return [completion]
            }
        }
        throw LanguageModelError.sampleMissing(0)
    }
}
