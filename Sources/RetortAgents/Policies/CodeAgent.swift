import RetortCore

/// A model that acts by writing Python (arXiv 2505.17612, after smolagents' CodeAgent).
public struct CodeAgent: Policy {
    /// For records and reports.
    public let name: String
    private let model: any LanguageModel
    private let view: any View
    private let maximumTokens: Int

    /// The model has ended its turn when it begins to make up what it will observe.
    private static let stops = ["Observation:", "\nObservation", "<end_code>"]

    /// - Parameter maximumTokens: the most tokens of one turn; a longer one holds no action.
    public init(
        name: String = "agent", model: any LanguageModel, view: any View, maximumTokens: Int = 1024
    ) {
        self.name = name
        self.model = model
        self.view = view
        self.maximumTokens = maximumTokens
    }

    /// The model's.
    public var modelIdentity: String { model.identity }
    /// The view's.
    public var promptIdentity: String? { view.identity }

    /// Turns that are to hold a program each; one that does not is an action of its own, `unparsable`.
    public func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        try await propose(for: trajectory, request, prefill: "", emit: emit)
    }

    /// - Parameter prefill: how the turn begins. It is part of the turn as it is read, recorded and learned from.
    func propose(
        for trajectory: Trajectory, _ request: ProposalRequest, prefill: String,
        emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Proposal] {
        if !prefill.isEmpty, request.count == 1 { emit(.text(prefill)) }
        let completions = try await model.complete(
            GenerationRequest(
                messages: view.messages(for: trajectory) + (request.remark.map { [Message(.user, $0)] } ?? []),
                prefill: prefill, samples: request.count, sampling: request.sampling, stops: Self.stops,
                maximumTokens: maximumTokens), emit: emit)
        return completions.map { completion in
            var turn = completion
            turn.text = prefill + turn.text
            return Proposal(
                turn, limit: maximumTokens, reading: ActionParser.codeTurn, writing: CodeAgentView.turn)
        }
    }

    /// Asks for the answer, in the chat as it stands. The text is read leniently and never run.
    public func conclude(
        _ trajectory: Trajectory, seed: UInt64, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> Proposal? {
        let completions = try await model.complete(
            GenerationRequest(
                messages: view.messages(for: trajectory) + [view.lastCall],
                sampling: Sampling(temperature: 0, seed: seed), stops: Self.stops, maximumTokens: maximumTokens),
            emit: emit)
        return completions.first.map {
            Proposal($0, limit: maximumTokens, reading: ActionParser.concludingTurn, writing: CodeAgentView.turn)
        }
    }
}

extension Proposal {
    /// A model's completion, read by its policy's parser. One that was cut holds no action, however it looks.
    ///
    /// Where the server does not tell the tokens, the view writes the turn again, and a difference is marked.
    init(
        _ completion: Completion, limit: Int, reading parse: (String) -> (thought: String, action: Action),
        writing write: (String, Action) -> String
    ) {
        let tokens = completion.tokens.map(Transcript.tokens)
        guard completion.finish != .length else {
            self.init(
                thought: "", action: .cut(completion.text, limit: limit), usage: completion.usage,
                transcript: tokens ?? .same)
            return
        }
        let (thought, action) = parse(completion.text)
        let isSame = write(thought, action) == completion.text
        self.init(
            thought: thought, action: action, usage: completion.usage,
            transcript: tokens ?? (isSame ? .same : .drifted(text: completion.text)))
    }
}
