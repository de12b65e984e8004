import RetortAgents
import RetortCore
import RetortEvaluation

/// How an agent explores, with the settings of the other ways of exploring for when they are requested.
public struct AgentSearch: Codable, Sendable, Hashable {
    /// How branches are explored.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// One step at a time (ReAct).
        case greedy
        /// Several samples of each step vote.
        case vote
        /// Depth first over decisions (DFSDT).
        case depthFirst
    }

    /// A depth-first search.
    public struct DepthFirst: Codable, Sendable, Hashable {
        /// How many ways are tried from each point.
        public var width = 2
        /// The most proposals in all.
        public var queries = 60

        /// Two ways from each point and sixty proposals, by default.
        public init(width: Int = 2, queries: Int = 60) { (self.width, self.queries) = (width, queries) }
    }

    /// The way it explores unless another one is requested.
    public var kind: Kind
    /// How tokens are sampled when a step is taken without a vote.
    public var sampling: Sampling
    /// How votes are sampled and compared.
    public var vote: Recipe.VotePlan
    /// The limits of a depth-first search.
    public var depthFirst: DepthFirst

    /// A greedy search by default.
    public init(
        _ kind: Kind = .greedy, sampling: Sampling = .greedy, vote: Recipe.VotePlan = .init(),
        depthFirst: DepthFirst = .init()
    ) {
        self.kind = kind
        self.sampling = sampling
        self.vote = vote
        self.depthFirst = depthFirst
    }

    func search(_ way: AgentWay) -> any Search {
        let sampling = way.sampling ?? sampling
        switch way.kind(of: self) {
        case .greedy: return GreedySearch(sampling: sampling)
        case .depthFirst:
            return DepthFirstSearch(
                width: depthFirst.width, maximumQueries: depthFirst.queries, reminder: .kept)
        case .vote:
            var vote = vote
            vote.samples = way.votes ?? vote.samples
            guard let own = way.sampling, own.temperature > 0 else { return vote.search }
            return SelfConsistentSearch(
                samples: vote.samples, sampling: own, rule: vote.rule, spelling: AnswerSpelling.of)
        }
    }
}

/// How an agent explores on one occasion; what is nil is as usual.
public struct AgentWay: Sendable, Hashable {
    /// How branches are explored; nil is the agent's usual way.
    public var search: AgentSearch.Kind?
    /// Samples of each step that vote; 1 takes each step by itself.
    public var votes: Int?
    /// How tokens are sampled; nil is the agent's usual way.
    public var sampling: Sampling?
    /// Whether calls are held to the tools' grammar; nil is the agent's usual way.
    public var outputs: OutputConstraint?

    /// - Parameter votes: how many samples of each step vote; 1 takes each step without a vote.
    public init(
        search: AgentSearch.Kind? = nil, votes: Int? = nil, sampling: Sampling? = nil, outputs: OutputConstraint? = nil
    ) {
        self.search = search
        self.votes = votes
        self.sampling = sampling
        self.outputs = outputs
    }

    /// The resulting kind for an agent with this usual search. A number of votes applies unless the search is
    /// depth-first.
    func kind(of usual: AgentSearch) -> AgentSearch.Kind {
        let kind = search ?? usual.kind
        guard let votes, kind != .depthFirst else { return kind }
        return votes > 1 ? .vote : .greedy
    }

    // MARK: In words

    /// The suffixes of a system's name in tables.
    private static let words: [(word: String, change: @Sendable (inout AgentWay) -> Void)] = [
        ("sag", { $0.search = .vote }), ("sc", { $0.search = .vote }), ("greedy", { $0.search = .greedy }),
        ("depthFirst", { $0.search = .depthFirst }), ("grammar", { $0.outputs = .grammar }),
    ]

    /// The known suffixes.
    static var known: [String] { words.map(\.word) }

    /// Reads the suffixes of a system's name, such as `+sag` in `agent+sag`, or `+depthFirst+grammar`, or nothing.
    /// - Returns: nil for an unknown suffix.
    public init?(ending text: some StringProtocol) {
        self.init()
        let parts = text.split(separator: "+", omittingEmptySubsequences: false)
        guard parts.first?.isEmpty == true else { return nil }
        for part in parts.dropFirst() {
            guard let known = Self.words.first(where: { $0.word == part }) else { return nil }
            known.change(&self)
        }
    }
}
