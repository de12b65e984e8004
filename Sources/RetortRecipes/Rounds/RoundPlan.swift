import RetortDomains

/// One round in which a student acts, what it did is looked at, and it is trained again from its base, on the teacher's trajectories
/// and its own.
public struct RoundPlan: Codable, Sendable, Hashable {
    /// The student's own right answers are learned from; nil for none.
    public var rejection: Rejection?
    /// Wrong answers of the student that a teacher's single step turned into right ones are learned from; nil for none.
    public var repair: Repair?
    /// Better steps are preferred to worse ones of all rounds so far; nil for a round that imitates. Such a round goes on from the one
    /// before it.
    public var preference: Preference?
    /// All that the student draws is learned by how it was graded; nil for none. Goes on from the round before, too.
    public var policy: Policy?
    /// All that the student draws is learned by how probable it is to the teacher; nil for none. Goes on from the round before, too.
    public var distance: Distance?

    /// Group-relative policy gradients (GRPO, arXiv 2402.03300), with the draws of one round: a student that has moved too far from the one
    /// that drew is clipped.
    public struct Policy: Codable, Sendable, Hashable {
        /// Draws of each task: a group.
        public var samples = 8
        public var temperature = 1.0
        /// How far the ratio of probabilities may move from 1.
        public var clip = 0.2
        /// How strongly the student is held to the one that drew.
        public var penalty = 0.0
        public var epochs = 1
        /// Nil is a twentieth of the kind's own.
        public var learningRate: Double?

        /// Groups of eight, clipped at a fifth.
        public init() {}
    }

    /// On-policy distillation (GKD, arXiv 2306.13649) by the teacher's log-probabilities of what the student drew, scored once.
    public struct Distance: Codable, Sendable, Hashable {
        /// How much steps count.
        public enum Weights: String, Codable, Sendable, CaseIterable {
            case even
            /// Less where the student has left the teacher's ways (SOD, arXiv 2605.07725).
            case steps
        }

        /// From whose side a student's distance to its teacher is seen (GKD, arXiv 2306.13649, section 2).
        public enum Divergence: String, Codable, Sendable, CaseIterable {
            /// Over what the student writes, by its own tokens.
            case reverse
            /// Over what the teacher would write in their place.
            case forward
        }

        /// Draws of each task.
        public var samples = 1
        public var temperature = 1.0
        public var weights = Weights.steps
        /// What is made small.
        public var divergence = Divergence.reverse
        /// With the forward divergence: how many of the teacher's likeliest tokens at each place it is taken over.
        public var best = 8
        /// Whether the teacher's trajectories are imitated beside.
        public var imitation = false
        public var epochs = 1
        /// Nil is a twentieth of the kind's own.
        public var learningRate: Double?

        /// One draw of each task, steps weighted.
        public init() {}
    }

    /// How steps are preferred to others from the same point.
    public struct Preference: Codable, Sendable, Hashable {
        /// The loss.
        public enum Loss: String, Codable, Sendable, CaseIterable {
            /// Of pairs (arXiv 2305.18290).
            case dpo
            /// Of steps that are good or bad by themselves (arXiv 2402.01306).
            case kto
        }

        public var loss = Loss.dpo
        /// How strongly the student is held to what it was.
        public var beta = 0.1
        /// Pairs of a task, at most.
        public var each = 4
        /// Whether the student also votes on its steps in the training tasks, and what won is held against what lost.
        public var forks = false
        /// Whether the teacher's steps are preferred to what the student drew instead (SPIN, arXiv 2401.01335).
        public var teacher = false
        public var epochs = 1
        /// Nil is a twentieth of the kind's own.
        public var learningRate: Double?

        /// Pairs, by DPO.
        public init() {}
    }

    /// Rejection sampling (STaR, arXiv 2203.14465; RFT, arXiv 2308.01825).
    public struct Rejection: Codable, Sendable, Hashable {
        /// Trajectories that are drawn of each task at first.
        public var samples = 4
        /// The most of a task: those with fewer than `distinct` right ones are drawn from again, `samples` at a time.
        public var most = 8
        /// The most right ones of a task that are learned from, no two of which do the same.
        public var distinct = 2
        public var temperature = 0.8
        public var topP = 1.0

        /// Four to eight draws of each task, two of which are learned.
        public init() {}
    }

    /// Verified repair (after SCoRe, arXiv 2509.14257, with a teacher that sees neither the reference nor the mistake).
    public struct Repair: Codable, Sendable, Hashable {
        /// What is learned of a repaired trajectory.
        public enum Learned: String, Codable, Sendable, CaseIterable {
            /// The teacher's step alone.
            case step
            /// All of it.
            case trajectory
        }

        /// Steps of a wrong trajectory that are replaced in turn, at most.
        public var candidates = 5
        public var learn = Learned.step

        /// Up to five steps, of which the teacher's own is learned.
        public init() {}
    }

    /// A round of imitation, or of preference.
    public init(rejection: Rejection? = nil, repair: Repair? = nil, preference: Preference? = nil) {
        (self.rejection, self.repair, self.preference) = (rejection, repair, preference)
    }
}

extension RoundPlan {
    /// What is drawn to be learned from whole, and what for.
    var draws: [(loop: String, plan: Rejection)] {
        func plan(_ samples: Int, _ temperature: Double) -> Rejection {
            var plan = Rejection()
            (plan.samples, plan.most, plan.temperature) = (samples, samples, temperature)
            return plan
        }
        return (policy.map { [("policy", plan($0.samples, $0.temperature))] } ?? [])
            + (distance.map { [("distance", plan($0.samples, $0.temperature))] } ?? [])
    }

    /// Whether it goes on from the round before, rather than from the base.
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
    /// `learningRate`, where somebody says it.
    fileprivate var optionalRate: Double? {
        has("learningRate") ? number("learningRate", default: 1e-5, in: 1e-9...1) : nil
    }
}
