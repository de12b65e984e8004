import RetortDomains

/// One round in which a student acts, its work is examined, and it is trained again from its base, on the teacher's
/// trajectories and its own.
public struct RoundPlan: Codable, Sendable, Hashable {
    /// Learns from the student's own right answers; nil for none.
    public var rejection: Rejection?
    /// Learns from wrong answers that a single step of the teacher turned into right ones; nil for none.
    public var repair: Repair?
    /// Prefers better steps to worse ones of all rounds so far; nil for a round that imitates. Such a round continues
    /// from the previous one.
    public var preference: Preference?
    /// Learns everything the student samples by its grade; nil for none. It also continues from the previous round.
    public var policy: Policy?
    /// Learns everything the student samples by its probability under the teacher; nil for none. It also continues from
    /// the previous round.
    public var distance: Distance?

    /// Group-relative policy gradients (GRPO, arXiv 2402.03300) on the samples of one round: updates are clipped once
    /// the student has moved too far from the one that sampled.
    public struct Policy: Codable, Sendable, Hashable {
        /// Where a group's samples begin.
        public enum Start: String, Codable, Sendable, CaseIterable {
            /// With the task.
            case beginning
            /// Behind the steps before a verified repair, in the tasks that have one (SCoRe, arXiv 2509.14257).
            case repair
        }

        /// Where the samples begin.
        public var from = Start.beginning
        /// The number of samples of each task: a group.
        public var samples = 8
        /// The temperature of the samples.
        public var temperature = 1.0
        /// How far the ratio of probabilities may move from 1.
        public var clip = 0.2
        /// How strongly the student is held to the one that sampled.
        public var penalty = 0.0
        /// How often training passes over the samples.
        public var epochs = 1
        /// The learning rate; nil is a twentieth of the kind's own.
        public var learningRate: Double?

        /// Groups of eight, clipped at 0.2.
        public init() {}
    }

    /// On-policy distillation (GKD, arXiv 2306.13649) by the teacher's log-probabilities of the student's samples,
    /// scored once.
    public struct Distance: Codable, Sendable, Hashable {
        /// How the steps of a trajectory are weighted.
        public enum Weights: String, Codable, Sendable, CaseIterable {
            /// All steps alike.
            case even
            /// Less where the student has departed from the teacher's ways (SOD, arXiv 2605.07725).
            case steps
        }

        /// The direction of the divergence between student and teacher (GKD, arXiv 2306.13649, section 2).
        public enum Divergence: String, Codable, Sendable, CaseIterable {
            /// Over the student's samples, by their own tokens.
            case reverse
            /// Over the teacher's distribution at each of their tokens.
            case forward
        }

        /// The number of samples of each task.
        public var samples = 1
        /// The temperature of the samples.
        public var temperature = 1.0
        /// How steps are weighted.
        public var weights = Weights.steps
        /// The divergence that is minimised.
        public var divergence = Divergence.reverse
        /// With the forward divergence: how many of the teacher's likeliest tokens at each position it is computed
        /// over.
        public var best = 8
        /// Whether the teacher's trajectories are also imitated.
        public var imitation = false
        /// How often training passes over the samples.
        public var epochs = 1
        /// The learning rate; nil is a twentieth of the kind's own.
        public var learningRate: Double?

        /// One sample of each task, with weighted steps.
        public init() {}
    }

    /// How steps are preferred to others from the same point.
    public struct Preference: Codable, Sendable, Hashable {
        /// The loss.
        public enum Loss: String, Codable, Sendable, CaseIterable {
            /// From pairs (DPO, arXiv 2305.18290).
            case dpo
            /// From steps that are good or bad by themselves (KTO, arXiv 2402.01306).
            case kto
        }

        /// The loss.
        public var loss = Loss.dpo
        /// How strongly the student is held to its earlier self.
        public var beta = 0.1
        /// How much the better step's cross-entropy, in nats a token, counts beside the comparison (RPO, arXiv 2404.19733, eq. 3); nil is the
        /// comparison alone, which may make both steps less probable.
        public var imitation: Double?
        /// The most pairs of a task.
        public var each = 4
        /// Whether the student also votes on its steps in the training tasks, so that winners are compared with losers.
        public var forks = false
        /// Whether the teacher's steps are preferred to the student's samples (SPIN, arXiv 2401.01335).
        public var teacher = false
        /// How often training passes over the pairs.
        public var epochs = 1
        /// The learning rate; nil is a twentieth of the kind's own.
        public var learningRate: Double?

        /// Pairs, with DPO.
        public init() {}
    }

    /// Rejection sampling (STaR, arXiv 2203.14465; RFT, arXiv 2308.01825).
    public struct Rejection: Codable, Sendable, Hashable {
        /// How many trajectories of each task are sampled at first.
        public var samples = 4
        /// The most samples of a task: tasks with fewer than `distinct` right ones are sampled again, `samples` at a
        /// time.
        public var most = 8
        /// The most right trajectories of a task that are learned from; no two of them do the same.
        public var distinct = 2
        /// The temperature of the samples.
        public var temperature = 0.8
        /// The share of probability that tokens are drawn from.
        public var topP = 1.0

        /// Four to eight samples of each task, of which up to two are learned.
        public init() {}
    }

    /// Verified repair (after SCoRe, arXiv 2509.14257, with a teacher that sees neither the reference nor the mistake).
    public struct Repair: Codable, Sendable, Hashable {
        /// What is learned from a repaired trajectory.
        public enum Learned: String, Codable, Sendable, CaseIterable {
            /// Only the teacher's step.
            case step
            /// The whole trajectory.
            case trajectory
        }

        /// The most steps of a wrong trajectory that are replaced in turn.
        public var candidates = 5
        /// What is learned from a repaired trajectory.
        public var learn = Learned.step

        /// Up to five steps; only the teacher's own is learned.
        public init() {}
    }

    /// A round of imitation, or of preference.
    public init(rejection: Rejection? = nil, repair: Repair? = nil, preference: Preference? = nil) {
        (self.rejection, self.repair, self.preference) = (rejection, repair, preference)
    }
}

extension RoundPlan {
    /// The samples that are learned from as a whole, with their purpose.
    var draws: [(loop: String, plan: Rejection)] {
        func plan(_ samples: Int, _ temperature: Double) -> Rejection {
            var plan = Rejection()
            (plan.samples, plan.most, plan.temperature) = (samples, samples, temperature)
            return plan
        }
        let whole = continuation == nil ? policy : nil
        return (whole.map { [("policy", plan($0.samples, $0.temperature))] } ?? [])
            + (distance.map { [("distance", plan($0.samples, $0.temperature))] } ?? [])
    }

    /// The policy whose samples go on from verified repairs; nil where they begin with the task.
    var continuation: Policy? { policy.flatMap { $0.from == .repair ? $0 : nil } }

    /// Whether it continues from the previous round instead of the base.
    var goesOn: Bool { preference != nil || policy != nil || distance != nil }
}

extension RoundPlan {
    /// Reads `rounds`: a mapping of one round, or a list of them.
    static func list(_ reader: YAMLReader, for style: Recipe.Style) -> [RoundPlan]? {
        guard reader.has("rounds") else { return nil }
        let rounds = reader.oneOrMore("rounds") { text -> [RoundPlan] in
            reader.refuse("rounds", "a round is a mapping such as {rejection: {samples: 4}}, not '\(text)'")
            return []
        } mapping: {
            read($0, for: style)
        }
        let list = rounds.flatMap(\.self)
        for (index, round) in list.enumerated() {
            if round.policy?.from == .repair, !list[..<index].contains(where: { $0.repair != nil }) {
                reader.refuse(
                    "rounds", "'from: repair' goes on from what was repaired; a round with 'repair' must be before it")
            }
            guard let preference = round.preference else { continue }
            if preference.teacher, !list[..<index].contains(where: { $0.rejection != nil }) {
                reader.refuse(
                    "rounds",
                    "'teacher: true' prefers the teacher to what was drawn; a round with 'rejection' must be before it")
            }
            guard !preference.forks else { continue }
            if !list[..<index].contains(where: { $0.rejection != nil || $0.repair != nil }) {
                reader.refuse(
                    "rounds", "a 'preference' needs a round with 'rejection' or 'repair' before it, or 'forks: true'")
            }
        }
        return list
    }

    private static func read(_ reader: YAMLReader, for style: Recipe.Style) -> [RoundPlan] {
        let times = reader.integer("times", default: 1, in: 1...20)
        var round = RoundPlan(
            rejection: reader.mapping("rejection", Rejection.init), repair: reader.mapping("repair", Repair.init),
            preference: reader.mapping("preference", Preference.init))
        round.policy = reader.mapping("policy", Policy.init)
        round.distance = reader.mapping("distance", Distance.init)
        if round == RoundPlan() {
            reader.refuse(
                "rounds",
                "a round names what is done in it: rejection, repair, or both; or preference, policy or distance")
        }
        let alone = [round.preference != nil, round.policy != nil, round.distance != nil].count(where: \.self)
        if alone > 1 || (alone == 1 && (round.rejection != nil || round.repair != nil)) {
            let name = round.preference != nil ? "preference" : round.policy != nil ? "policy" : "distance"
            reader.refuse(
                name, "'\(name)' is a round of its own, which goes on from the one before it; list it as another round")
        }
        if round.preference != nil, !style.isAgent {
            reader.refuse("preference", "'preference' compares steps, and '\(style.rawValue)' answers in one")
        }
        if round.repair != nil, !style.isAgent {
            reader.refuse("repair", "'repair' replaces steps, and '\(style.rawValue)' answers in one")
        }
        return Array(repeating: round, count: times)
    }
}

extension RoundPlan.Rejection {
    fileprivate init(_ reader: YAMLReader) {
        samples = reader.integer("samples", default: samples, in: 1...1000)
        most = reader.integer("most", default: max(most, samples), in: 1...10_000)
        if most < samples { reader.refuse("most", "'most' must be at least 'samples', \(samples)") }
        distinct = reader.integer("distinct", default: distinct, in: 1...1000)
        temperature = reader.number("temperature", default: temperature, in: 0.01...5)
        topP = reader.number("topP", default: topP, in: 0.01...1)
    }
}

extension RoundPlan.Policy {
    fileprivate init(_ reader: YAMLReader) {
        from = reader.choice("from", default: from)
        samples = reader.integer("samples", default: samples, in: 2...1000)
        temperature = reader.number("temperature", default: temperature, in: 0.01...5)
        clip = reader.number("clip", default: clip, in: 0.001...1)
        penalty = reader.number("penalty", default: penalty, in: 0...100)
        epochs = reader.integer("epochs", default: epochs, in: 1...1000)
        learningRate = reader.optionalRate
    }
}

extension RoundPlan.Distance {
    fileprivate init(_ reader: YAMLReader) {
        samples = reader.integer("samples", default: samples, in: 1...1000)
        temperature = reader.number("temperature", default: temperature, in: 0.01...5)
        weights = reader.choice("weights", default: weights)
        divergence = reader.choice("divergence", default: divergence)
        best = reader.integer("best", default: best, in: 1...64)
        if reader.has("best"), divergence == .reverse {
            reader.refuse(
                "best", "'best' is for 'divergence: forward'; the reverse one is taken over the student's own tokens")
        }
        imitation = reader.flag("imitation", default: imitation)
        epochs = reader.integer("epochs", default: epochs, in: 1...1000)
        learningRate = reader.optionalRate
    }
}

extension RoundPlan.Preference {
    fileprivate init(_ reader: YAMLReader) {
        loss = reader.choice("loss", default: loss)
        beta = reader.number("beta", default: beta, in: 1e-4...100)
        let share = reader.number("imitation", default: 0, in: 0...100)
        imitation = share > 0 ? share : nil
        each = reader.integer("each", default: each, in: 1...1000)
        forks = reader.flag("forks", default: forks)
        teacher = reader.flag("teacher", default: teacher)
        epochs = reader.integer("epochs", default: epochs, in: 1...1000)
        learningRate = reader.optionalRate
    }
}

extension RoundPlan.Repair {
    fileprivate init(_ reader: YAMLReader) {
        candidates = reader.integer("candidates", default: candidates, in: 1...100)
        learn = reader.choice("learn", default: learn)
    }
}

extension YAMLReader {
    /// The key `learningRate`; nil when it is missing.
    fileprivate var optionalRate: Double? {
        has("learningRate") ? number("learningRate", default: 1e-5, in: 1e-9...1) : nil
    }
}
