import RetortAgents
import RetortCore
import RetortDomains
import RetortTraining

extension Curriculum {
    /// The hyperparameters of the paper (arXiv 2401.07324, appendix; batch 48 there), for what a recipe leaves out of a
    /// training of all weights.
    static func paperPlan(_ roles: [AgentRole], seed: UInt64) -> TrainingConfiguration {
        if roles.contains(.backbone) {
            return TrainingConfiguration(
                epochs: 2, accumulation: 6, learningRate: 5e-5, schedule: .cosine, warmup: 0.4, seed: seed)
        }
        let isSummarizer = roles == [.summarizer]
        return TrainingConfiguration(
            epochs: isSummarizer ? 2 : 1, accumulation: 6, learningRate: 1e-5, schedule: .cosine,
            warmup: isSummarizer ? 0.4 : 0.2, weightDecay: 0.01, seed: seed)
    }

    init(_ reader: YAMLReader, seed: UInt64, validation: ValidationChoice?) {
        name = reader.folderName("name", without: "@+")
        stages = reader.list("stages") { Stage($0, seed: seed, validation: validation) }
        if stages.isEmpty { reader.refuse("stages", "'stages' needs at least one stage") }
        var earlier: Set<String> = []
        for stage in stages {
            if let from = stage.from, !earlier.contains(from) {
                reader.refuse("stages", "stage '\(stage.name)' starts from '\(from)', which is no earlier stage")
            }
            if !earlier.insert(stage.name).inserted {
                reader.refuse("stages", "two stages are named '\(stage.name)'")
            }
        }
        let roles = Set(stages.flatMap(\.roles))
        let agent: Set<AgentRole> = [.planner, .caller, .summarizer]
        if !roles.isDisjoint(with: agent), !roles.isSuperset(of: agent) {
            let missing = agent.subtracting(roles).map(\.rawValue).sorted().joined(separator: " and ")
            reader.refuse("stages", "no stage of '\(name)' trains the \(missing)")
        }
    }
}

extension Curriculum.Stage {
    fileprivate init(_ reader: YAMLReader, seed: UInt64, validation: ValidationChoice?) {
        name = reader.string("name")
        from = reader.optionalString("from")
        let words = reader.strings("roles") ?? []
        roles = words.compactMap(AgentRole.init(rawValue:))
        if roles.isEmpty || roles.count < words.count {
            let known = AgentRole.allCases.map(\.rawValue).joined(separator: ", ")
            reader.refuse("roles", "'roles' must list at least one of \(known)")
        }
        tasks =
            reader.mapping("tasks") { share in
                Curriculum.Share(
                    from: share.number("from", default: 0, in: 0...1), to: share.number("to", default: 1, in: 0...1))
            } ?? .all
        if tasks.from >= tasks.to { reader.refuse("tasks", "'tasks' must end behind where it begins") }
        let usual = Curriculum.paperPlan(roles, seed: seed)
        let goesOn = from != nil
        plan =
            reader.mapping("training") {
                Recipe.TrainingPlan(
                    $0, usual: usual, published: true, goesOn: goesOn,
                    validation: ValidationChoice.read($0, inherited: validation, sharesTasks: true))
            } ?? Recipe.TrainingPlan(usual: usual, validation: validation)
    }
}

extension RoleEvaluation {
    /// Reads the keys of `evaluation` that are about agents of roles.
    init(_ reader: YAMLReader) {
        let words = reader.strings("searches") ?? SearchKind.allCases.map(\.rawValue)
        searches = words.compactMap(SearchKind.init(rawValue:))
        if searches.count < words.count {
            let known = SearchKind.allCases.map(\.rawValue).joined(separator: ", ")
            reader.refuse("searches", "'searches' must list some of \(known)")
        }
        let tree = reader.mapping("depthFirst") { tree in
            (tree.integer("width", default: 2, in: 1...16), tree.integer("queries", default: 60, in: 1...10_000))
        }
        (width, queries) = tree ?? (2, 60)
        let outputs = reader.strings("outputs") ?? [OutputConstraint.free.rawValue]
        constraints = outputs.compactMap(OutputConstraint.init(rawValue:))
        if constraints.count < outputs.count || constraints.isEmpty {
            let known = OutputConstraint.allCases.map(\.rawValue).joined(separator: ", ")
            reader.refuse("outputs", "'outputs' must list some of \(known)")
        }
        let scaling = reader.mapping("scaling") { scaling -> ([String], [Double]) in
            let shares = scaling.strings("shares") ?? []
            let numbers = shares.compactMap(Double.init).filter { $0 > 0 && $0 < 1 }
            if numbers.count < shares.count || numbers.isEmpty {
                scaling.refuse("shares", "'shares' must list numbers between 0 and 1")
            }
            return (scaling.strings("curricula") ?? [], numbers)
        }
        (scaled, shares) = scaling ?? ([], [])
    }
}
