import Foundation
import RetortAgents
import RetortCore
import RetortLLM

/// The models that play the roles of an agent: one backbone with adapters where the weights allow it.
struct RoleTeam {
    private let models: [AgentRole: RoleModel]

    /// Loads every folder once. Adapters of one base are served side by side over it.
    init(_ players: [AgentRole: TrainedStage], concurrency: Int, weights: WeightPrecision?) throws {
        var models: [AgentRole: RoleModel] = [:]
        let adapted = Dictionary(grouping: players.filter { $0.value.base != nil }) { $0.value.base }
        for (base, roles) in adapted {
            guard let base else { continue }
            let adapters = Dictionary(uniqueKeysWithValues: roles.map { ($0.key.rawValue, $0.value.folder) })
            let model = try LocalModel(
                folder: base, options: .evaluation(samples: concurrency, adapters: adapters, weights: weights))
            for role in roles { models[role.key] = RoleModel(model, adapter: role.key.rawValue) }
        }
        let whole = Dictionary(grouping: players.filter { $0.value.base == nil }) { $0.value.folder }
        for (folder, roles) in whole {
            let model = try LocalModel(folder: folder, options: .evaluation(samples: concurrency, weights: weights))
            for role in roles { models[role.key] = RoleModel(model) }
        }
        self.models = models
    }

    /// The three roles, or the one that does it all.
    func policy(
        name: String, callForm: RoleView.CallForm, observationLimit: Int = RoleView.usualObservationLimit,
        constraint: OutputConstraint, tools: [ToolDocument], guidance: String?, maximumTokens: Int
    ) throws -> any Policy {
        if let backbone = models[.backbone] {
            return ToolAgent(
                name: name, model: backbone, callForm: callForm, observationLimit: observationLimit, tools: tools,
                guidance: guidance, constraint: constraint, maximumTokens: maximumTokens)
        }
        guard let planner = models[.planner], let caller = models[.caller], let summarizer = models[.summarizer] else {
            throw RunError.noAgent(name)
        }
        return RolePolicy(
            name: name, planner: planner, caller: caller, summarizer: summarizer, callForm: callForm,
            observationLimit: observationLimit, tools: tools, guidance: guidance, constraint: constraint,
            maximumTokens: maximumTokens)
    }
}
