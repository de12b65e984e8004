/// What a token's loss is. Each kind is divided by how much of it an update has, so that kinds can be mixed.
public enum LossKind: Int, Codable, Sendable, CaseIterable {
    /// The cross-entropy of the token; counted by targets.
    case imitation
    /// A clipped policy gradient; counted by targets.
    case policy
    /// What a text is preferred to; counted by pairs, and by texts that are judged alone.
    case preference
    /// The distance to a teacher's probabilities; counted by places.
    case distance
}

/// What a sample's weighted tokens are learned by.
///
/// A text that two losses want is two samples: in a row they share every token, which is computed once.
public enum SampleLoss: Codable, Sendable, Hashable {
    /// The cross-entropy of each token, times its weight.
    case imitation
    /// A clipped policy gradient (PPO, arXiv 1707.06347; GRPO, arXiv 2402.03300).
    case policy(PolicyStream)
    /// A preference among texts.
    case preference(Preference)
    /// The forward Kullback-Leibler divergence from a teacher, over the choices of the teacher that are known. One list for
    /// each token of the sample: what the teacher might have written in its place.
    case distance([[TeacherChoice]])

    /// Its kind.
    public var kind: LossKind {
        switch self {
        case .imitation: .imitation
        case .policy: .policy
        case .preference: .preference
        case .distance: .distance
        }
    }
}

/// What drew a sample's tokens, and how good they were. All lists have one element for each token of the sample.
public struct PolicyStream: Codable, Sendable, Hashable {
    /// How much better than expected.
    public var advantages: [Float]
    /// The log-probabilities that the tokens were drawn with; nil where the weights that learn have drawn them.
    public var drawn: [Float]?
    /// Those of a reference that the policy is held to; nil for none.
    public var reference: [Float]?
    /// How far the ratio of probabilities may move below and above 1 before it counts no more; nil for any.
    public var clip: Clip?
    /// How strongly the policy is held to the reference.
    public var penalty: Double

    /// The ratios that are not clipped lie within 1 − low … 1 + high.
    public struct Clip: Codable, Sendable, Hashable {
        public var low, high: Double

        /// The usual range of PPO (arXiv 1707.06347) unless given.
        public init(low: Double = 0.2, high: Double = 0.2) { (self.low, self.high) = (low, high) }
    }

    /// A policy loss with these advantages, one per target.
    public init(
        advantages: [Float], drawn: [Float]? = nil, reference: [Float]? = nil, clip: Clip? = Clip(), penalty: Double = 0
    ) {
        self.advantages = advantages
        self.drawn = drawn
        self.reference = reference
        self.clip = clip
        self.penalty = penalty
    }
}

/// A text's part in a preference. Its log-probability is the weighted sum over its tokens.
public struct Preference: Codable, Sendable, Hashable {
    /// How it was judged.
    public enum Side: Codable, Sendable, Hashable {
        /// The winner of a pair (DPO, arXiv 2305.18290, eq. 7). Its rival is the one `rejected` of the same unit.
        case chosen
        /// The loser.
        case rejected
        /// Good by itself (KTO, arXiv 2402.01306, eq. 8).
        case good
        /// Bad by itself.
        case bad
        /// Of another prompt: shows how far the policy has moved from the reference, and learns nothing.
        case baseline
    }

    /// Whether the text is the preferred one, the other one, or a baseline.
    public var side: Side
    /// The reference's log-probability of the text, in nats.
    public var reference: Double
    /// How strongly the policy is held to the reference.
    public var beta: Double
    /// How much a text that is judged alone counts.
    public var weight: Double

    /// A preference with the usual strength of 0.1 unless given.
    public init(_ side: Side, reference: Double, beta: Double = 0.1, weight: Double = 1) {
        self.side = side
        self.reference = reference
        self.beta = beta
        self.weight = weight
    }
}

/// A token that a teacher might have written.
public struct TeacherChoice: Codable, Sendable, Hashable {
    /// The token's id in the student's vocabulary.
    public var token: Int32
    /// The teacher's, in nats.
    public var logProbability: Float

    /// A token, with the teacher's log-probability in nats.
    public init(_ token: Int32, logProbability: Float) {
        self.token = token
        self.logProbability = logProbability
    }
}

/// Something for each kind of loss.
struct ByLossKind<Value: Sendable & Equatable>: Sendable, Equatable {
    private var values: [Value]

    init(repeating value: Value) { values = Array(repeating: value, count: LossKind.allCases.count) }

    subscript(kind: LossKind) -> Value {
        get { values[kind.rawValue] }
        set { values[kind.rawValue] = newValue }
    }
}

extension ByLossKind<Int> {
    /// What a sum of each kind is multiplied by: one over its count, or nothing where there is none of it.
    var scales: ByLossKind<Double> {
        var scales = ByLossKind<Double>(repeating: 0)
        for kind in LossKind.allCases where self[kind] > 0 { scales[kind] = 1 / Double(self[kind]) }
        return scales
    }
}
