import Foundation
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortPython
import RetortWorld

/// The domain that a recipe names: a built-in one, or a user's.
public enum DomainChoice: Codable, Sendable, Hashable {
    /// The built-in world with its encyclopedia.
    case world(WorldPlan)
    /// The built-in world's JSON APIs.
    case apis(APIWorldPlan)
    /// A user's domain.
    case folder(DomainPlan)

    /// Reads a recipe's `domain`: a folder, or a mapping of `world`, `apis`, or a domain's own keys.
    /// - Parameter folder: the recipe's folder, which a domain's paths are relative to.
    /// - Returns: nil for one that cannot be read; the reader then has the faults.
    init?(_ reader: YAMLReader, folder: URL) {
        for (key, new) in Self.formerKeys where reader.has(key) {
            reader.refuse(key, "'\(key)' is now written as \(new)")
        }
        let named: DomainChoice? =
            reader.either("domain") { path -> DomainChoice? in
                Self.folder(path, beside: folder, reader)
            } mapping: { keys in
                Self.keys(keys, folder: folder)
            } ?? nil
        if !reader.has("domain"), !Self.formerKeys.contains(where: { reader.has($0.key) }) {
            reader.refuse(
                "domain",
                "'domain' is missing: a folder with a domain.yaml, or {world: {…}}, {apis: {…}}, or a domain's own keys"
            )
        }
        guard let named else { return nil }
        self = named
    }

    private static let formerKeys: [(key: String, new: String)] = [
        ("world", "domain: {world: {…}}"), ("apis", "domain: {apis: {…}}"),
        (
            "recorded",
            "domain: {tasks: {test: {SPLIT: FILE}}, grader: math} and teacher: {trajectories: FILE, format: tora, train: N}"
        ),
    ]

    private static func folder(_ path: String, beside folder: URL, _ reader: YAMLReader) -> DomainChoice? {
        let place = URL(fileURLWithPath: path, relativeTo: folder.appendingPathComponent("")).standardizedFileURL
        do {
            return .folder(try DomainPlan(place))
        } catch {
            reader.refuse("domain", "\(error)")
            return nil
        }
    }

    private static func keys(_ reader: YAMLReader, folder: URL) -> DomainChoice {
        if let world = reader.mapping("world", world) { return .world(world) }
        if let apis = reader.mapping("apis", apis) { return .apis(apis) }
        return .folder(DomainPlan(reader, folder: folder.path))
    }

    private static func apis(_ reader: YAMLReader) -> APIWorldPlan {
        APIWorldPlan(
            seed: UInt64(reader.integer("seed", default: 1)),
            people: reader.integer("people", default: 1000, in: 20...200_000),
            train: reader.integer("train", default: 1000, in: 1...1_000_000))
    }

    private static func world(_ reader: YAMLReader) -> WorldPlan {
        let train = reader.mapping("train") { train in
            (train.integer("factual", default: 0), train.integer("math", default: 0))
        }
        return WorldPlan(
            seed: UInt64(reader.integer("seed", default: 1)),
            people: reader.integer("people", default: 1000, in: 20...200_000),
            trainFactual: train?.0 ?? 500, trainMath: train?.1 ?? 500,
            passages: reader.integer("passages", default: 2, in: 1...20),
            noise: reader.mapping("noise") { noise in
                ScriptedTeacherModel.Noise(
                    agentSlip: noise.number("agentSlip", default: 0, in: 0...1),
                    reasoningSlip: noise.number("reasoningSlip", default: 0, in: 0...1),
                    unreadable: noise.number("unreadable", default: 0, in: 0...1))
            })
    }

    /// Why the domain does not support a style; nil when it does.
    func refusal(of style: Recipe.Style) -> String? {
        switch (self, style) {
        case (.apis, .toolAgent): nil
        case (.apis, _): "its tasks are solved by calls of APIs; train a 'tool-agent', or 'curricula'"
        case (.world, .toolAgent): "its tasks are solved by programs; train an 'agent'"
        case (.folder(let plan), .cotWithRetrieval) where plan.documents == nil: "it has no 'documents' to search"
        default: nil
        }
    }

    /// How agents act when a curriculum trains their roles.
    var form: ActionForm {
        switch self {
        case .world: .code
        case .apis: .json
        case .folder(let plan): plan.form
        }
    }

    /// Whether one of its graders is a model with a rubric.
    var needsJudge: Bool { if case .folder(let plan) = self { plan.needsJudge } else { false } }

    /// Whether a deciding grader is a model with a rubric.
    var isJudged: Bool { if case .folder(let plan) = self { plan.isJudged } else { false } }

    /// Its graders in addition to the deciding one.
    var otherGraders: [GraderPlan] { if case .folder(let plan) = self { plan.also } else { [] } }

    /// Whether it has training tasks besides those that recorded trajectories bring.
    var hasTrainingTasks: Bool { if case .folder(let plan) = self { plan.train != nil } else { true } }

    /// Whether it has a teacher of its own, which can be asked for any step.
    var hasTeacher: Bool { if case .folder = self { false } else { true } }

    /// Opens the domain.
    /// - Parameters:
    ///   - tests: the number of tasks for each split (and, in the world, each family).
    ///   - folder: where files derived from its documents are kept.
    func open(
        tests: Int, keepingIn folder: URL, limits: PythonLimits, requiring sandbox: SandboxLevel
    ) async throws -> any Domain {
        switch self {
        case .world(let plan): try WorldDomain(plan, tests: tests, folder: folder)
        case .apis(let plan): try APIWorldDomain(plan, tests: tests)
        case .folder(let plan):
            try await FolderDomain(
                plan, keepingIndexIn: folder, limits: limits, requiring: sandbox, models: LocalRetrievalModels(),
                progress: embeddingProgress())
        }
    }
}
