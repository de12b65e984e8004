import RetortAgents
import RetortCore

/// A list of training stages that make one agent, each from the base or from an earlier stage.
///
/// GLPFT (arXiv 2401.07324, section 3.3) has a global stage for the backbone's view and then a local one for each role;
/// α-UMi's baselines are other lists. A role is played by the last stage that trained its view.
public struct Curriculum: Codable, Sendable, Hashable {
    /// Its name in tables and folders.
    public var name: String
    /// The stages in order.
    public var stages: [Stage]

    /// One training.
    public struct Stage: Codable, Sendable, Hashable {
        /// The stage's name, unique in its curriculum.
        public var name: String
        /// The stage whose weights it starts from; nil starts from the student's base.
        public var from: String?
        /// The roles whose turns it trains.
        public var roles: [AgentRole]
        /// The part of the teacher's tasks that it sees.
        public var tasks: Share
        /// The training itself.
        public var plan: Recipe.TrainingPlan
    }

    /// A part of a list, by the positions of its ends.
    public struct Share: Codable, Sendable, Hashable {
        /// The start, in 0…1.
        public var from: Double
        /// The end, in 0…1.
        public var to: Double

        /// The whole list.
        public static let all = Share(from: 0, to: 1)

        func of<Element>(_ list: [Element]) -> ArraySlice<Element> {
            let count = Double(list.count)
            return list[Int((from * count).rounded())..<Int((to * count).rounded())]
        }
    }

    /// The stages that play the roles; the backbone plays only where there is no planner.
    var players: [AgentRole: Stage] {
        var players: [AgentRole: Stage] = [:]
        for stage in stages {
            for role in stage.roles { players[role] = stage }
        }
        if players[.planner] != nil { players[.backbone] = nil }
        return players
    }

    /// The same curriculum with a part of each stage's tasks.
    func scaled(to share: Double) -> Curriculum {
        var scaled = self
        scaled.name = "\(name)@\(Int((share * 100).rounded()))"
        for index in stages.indices {
            scaled.stages[index].tasks.from *= share
            scaled.stages[index].tasks.to *= share
        }
        return scaled
    }
}

/// How agents of roles are measured.
public struct RoleEvaluation: Codable, Sendable, Hashable {
    /// How branches are explored.
    public enum SearchKind: String, Codable, Sendable, CaseIterable {
        /// One step at a time (ReAct).
        case greedy
        /// Depth first over decisions (DFSDT).
        case depthFirst
    }

    /// The searches that each agent is measured with.
    public var searches: [SearchKind]
    /// How many ways a depth-first search tries from each point.
    public var width: Int
    /// The most proposals of a depth-first search.
    public var queries: Int
    /// Free outputs, outputs held to the roles' grammars, or each in turn.
    public var constraints: [OutputConstraint]
    /// The names of curricula that are also trained on parts of the tasks.
    public var scaled: [String]
    /// These parts, in 0…1.
    public var shares: [Double]

    /// Every search with every constraint.
    var ways: [(SearchKind, OutputConstraint)] {
        constraints.flatMap { constraint in searches.map { ($0, constraint) } }
    }
}
