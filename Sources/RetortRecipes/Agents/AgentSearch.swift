import RetortAgents
import RetortCore
import RetortEvaluation

/// How an agent explores, and what its other ways of exploring are like when they are asked for.
public struct AgentSearch: Codable, Sendable, Hashable {
    /// How branches are explored.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// A step at a time (ReAct).
        case greedy
        /// Several samples of each step vote.
        case vote
        /// Depth first over decisions (DFSDT).
        case depthFirst
    }

    /// A depth-first search.
    public struct DepthFirst: Codable, Sendable, Hashable {
        /// Ways from each point.
        public var width = 2
        /// Proposals in all.
        public var queries = 60

        public init(width: Int = 2, queries: Int = 60) { (self.width, self.queries) = (width, queries) }
    }

    /// What it does unless it is asked otherwise.
    public var kind: Kind
    /// How the tokens of a step are chosen that is taken by itself.
    public var sampling: Sampling
    public var vote: Recipe.VotePlan
    public var depthFirst: DepthFirst

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

/// How an agent explores on one occasion, as far as that is otherwise than it usually does.
public struct AgentWay: Sendable, Hashable {
    public var search: AgentSearch.Kind?
    /// Samples of each step that vote; 1 takes each step by itself.
    public var votes: Int?
    /// How tokens are chosen.
    public var sampling: Sampling?
    /// Whether calls are held to the tools' grammar.
    public var outputs: OutputConstraint?

    /// - Parameter votes: samples of each step that vote; 1 takes each step by itself.
    public init(
        search: AgentSearch.Kind? = nil, votes: Int? = nil, sampling: Sampling? = nil, outputs: OutputConstraint? = nil
    ) {
        self.search = search
        self.votes = votes
        self.sampling = sampling
        self.outputs = outputs
    }

    /// What it comes to for an agent that usually searches so. A number of votes counts where steps are voted on or taken by
    /// themselves.
    func kind(of usual: AgentSearch) -> AgentSearch.Kind {
        let kind = search ?? usual.kind
        guard let votes, kind != .depthFirst else { return kind }
        return votes > 1 ? .vote : .greedy
    }

    // MARK: In words

    /// The ends of a system's name, as tables have them.
    private static let words: [(word: String, change: @Sendable (inout AgentWay) -> Void)] = [
        ("sag", { $0.search = .vote }), ("sc", { $0.search = .vote }), ("greedy", { $0.search = .greedy }),
        ("depthFirst", { $0.search = .depthFirst }), ("grammar", { $0.outputs = .grammar }),
    ]

    /// Those words.
    static var known: [String] { words.map(\.word) }

    /// Reads the end of a system's name, such as `+sag` of `agent+sag`, or `+depthFirst+grammar`, or nothing.
    /// - Returns: nil for a word that is none of them.
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
