import RetortAgents
import RetortCore

/// A list of training stages that make one agent, each from the base or from an earlier stage.
///
/// GLPFT (arXiv 2401.07324, section 3.3) is a global stage for the backbone's view and then a local one for each role;
/// α-UMi's baselines are other lists. A role is played by the last stage that trained its view.
public struct Curriculum: Codable, Sendable, Hashable {
    /// What it is called in tables and folders.
    public var name: String
    /// In order.
    public var stages: [Stage]

    /// One training.
    public struct Stage: Codable, Sendable, Hashable {
        /// Unique in its curriculum.
        public var name: String
        /// The stage whose weights it starts from; nil starts from the student's base.
        public var from: String?
        /// Whose turns it trains.
        public var roles: [AgentRole]
        /// The part of the teacher's tasks it sees, in 0…1.
        public var tasks: Share
        /// How.
        public var plan: Recipe.TrainingPlan
    }

    /// A part of a list.
    public struct Share: Codable, Sendable, Hashable {
        public var from: Double
        public var to: Double

        /// All of it.
        public static let all = Share(from: 0, to: 1)

        func of<Element>(_ list: [Element]) -> ArraySlice<Element> {
            let count = Double(list.count)
            return list[Int((from * count).rounded())..<Int((to * count).rounded())]
        }
    }

    /// The stages that play the roles; the backbone alone where there is no planner.
    var players: [AgentRole: Stage] {
        var players: [AgentRole: Stage] = [:]
        for stage in stages {
            for role in stage.roles { players[role] = stage }
        }
        if players[.planner] != nil { players[.backbone] = nil }
        return players
    }

    /// The same with a part of the tasks of each stage.
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
        /// A step at a time (ReAct).
        case greedy
        /// Depth first over decisions (DFSDT).
        case depthFirst
    }

    public var searches: [SearchKind]
    /// Ways from each point of a depth-first search.
    public var width: Int
    /// Proposals of a depth-first search, in all.
    public var queries: Int
    /// With outputs as the model likes, or held to the roles' grammars, or each in turn.
    public var constraints: [OutputConstraint]
    /// Curricula that are also trained on parts of the tasks.
    public var scaled: [String]
    /// Those parts, in 0…1.
    public var shares: [Double]

    /// Every search with every constraint.
    var ways: [(SearchKind, OutputConstraint)] {
        constraints.flatMap { constraint in searches.map { ($0, constraint) } }
    }
}
