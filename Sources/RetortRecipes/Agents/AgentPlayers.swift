import Foundation
import RetortAgents
import RetortCore
import RetortLLM

/// Weights to be loaded, with the adapters that are served side by side over them.
///
/// Weights shared by several roles or agents are loaded once.
struct AgentPlayers {
    /// A role's model: whole weights, or an adapter over some.
    struct Source: Hashable {
        /// Identifies the weights; equal ones are loaded once.
        let key: String
        let weights: URL
        /// The name that requests use for it, and its folder.
        let adapter: Adapter?

        struct Adapter: Hashable {
            let name: String
            let folder: URL
        }
    }

    private var models: [String: LocalModel] = [:]
    private var sources: [String: [Source]] = [:]

    /// Adds a model before anything is loaded.
    mutating func add(_ source: Source) { sources[source.key, default: []].append(source) }

    /// Loads everything that was added.
    /// - Parameters:
    ///   - identity: the name of the weights with a key.
    ///   - options: how they compute.
    /// - Throws: `CheckpointError` and the like.
    mutating func load(identity: (String) -> String, options: LocalModel.Options) throws {
        for (key, sources) in sources.sorted(by: { $0.key < $1.key }) where models[key] == nil {
            guard let first = sources.first else { continue }
            var options = options
            options.adapters = Dictionary(
                sources.compactMap { $0.adapter.map { ($0.name, $0.folder) } }, uniquingKeysWith: { first, _ in first })
            models[key] = try LocalModel(folder: first.weights, identity: identity(key), options: options)
        }
    }

    /// The weights with a key.
    func model(_ key: String) -> LocalModel? { models[key] }

    /// The loaded model of a source; nil for one that was not added.
    func player(_ source: Source) -> RoleModel? {
        models[source.key].map { RoleModel($0, adapter: source.adapter?.name) }
    }

    /// The roles of an agent that was just trained.
    /// - Throws: `CheckpointError` and the like.
    static func trained(
        _ players: [AgentRole: TrainedStage], identity: String, options: LocalModel.Options
    ) throws -> [AgentRole: RoleModel] {
        var all = AgentPlayers()
        let sources = players.map { role, stage in
            let weights = stage.base ?? stage.folder
            let adapter = stage.base.map { _ in Source.Adapter(name: role.rawValue, folder: stage.folder) }
            return (role, Source(key: weights.standardizedFileURL.path, weights: weights, adapter: adapter))
        }
        for (_, source) in sources { all.add(source) }
        try all.load(identity: { _ in identity }, options: options)
        return Dictionary(
            uniqueKeysWithValues: sources.compactMap { role, source in
                all.player(source).map { (role, $0) }
            })
    }
}
