import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortPython
import RetortRetrieval

/// Settings of the built-in world.
public struct WorldPlan: Codable, Sendable, Hashable {
    /// Makes the world and its tasks.
    public var seed: UInt64
    /// The number of people; the numbers of other entities are proportional to it.
    public var people: Int
    /// The number of factual training questions.
    public var trainFactual: Int
    /// The number of training word problems.
    public var trainMath: Int
    /// How many passages a search returns.
    public var passages: Int
    /// How often the scripted teacher makes mistakes, as language models do; nil when it never does.
    public var noise: ScriptedTeacherModel.Noise?

    /// The usual settings.
    public init(
        seed: UInt64 = 1, people: Int = 1000, trainFactual: Int = 500, trainMath: Int = 500, passages: Int = 2,
        noise: ScriptedTeacherModel.Noise? = nil
    ) {
        self.seed = seed
        self.people = people
        self.trainFactual = trainFactual
        self.trainMath = trainMath
        self.passages = passages
        self.noise = noise
    }
}

/// The built-in world as a domain: an encyclopedia to search, questions about it, word problems, and a scripted
/// teacher.
public struct WorldDomain: Domain {
    /// `world`.
    public let name = "world"
    /// The factual questions, then the word problems.
    public let train: [AgentTask]
    /// The tests of the splits `in` and `out`, each with factual questions and word problems.
    public let tests: [AgentTask]
    /// The search tool alone.
    public let hostTools: [any Tool]
    /// The same search tool.
    public let retriever: (any Tool)?
    /// The encyclopedia's file of passages.
    public let documents: URL?
    /// Programs only.
    public let forms: Set<ActionForm> = [.code]
    private let plan: WorldPlan
    private let own: Teacher

    /// - Parameters:
    ///   - tasks: the number of tests for each family and split.
    ///   - folder: where the encyclopedia and its index are kept; both are made when missing.
    public init(_ plan: WorldPlan, tests tasks: Int, folder: URL) throws {
        self.plan = plan
        let world = World(seed: plan.seed, people: plan.people)
        // Each world has files of its own, so looking at another recipe leaves this one's unchanged.
        let name = "passages-\(plan.seed)-\(plan.people)"
        let passages = folder.appendingPathComponent("\(name).jsonl")
        if !FileManager.default.fileExists(atPath: passages.path) { try world.writePassages(to: passages) }
        let index = folder.appendingPathComponent("\(name).sqlite")
        try PassageIndex.buildIfNeeded(from: passages, to: index)
        let search = WebSearchTool(try PassageIndex(index), limit: plan.passages)
        (hostTools, retriever, documents) = ([search], search, passages)

        let questions = FactualQuestions(world, seed: plan.seed)
        let problems = WordProblems(seed: plan.seed)
        let factual = questions.items("train", count: plan.trainFactual)
        let math = problems.items("train", count: plan.trainMath)
        train = factual.map(\.task) + math.map(\.task)
        let taken = Set(train.map(\.question))
        tests = ["in", "out"].flatMap { split in
            questions.items(split, count: tasks, excluding: taken).map(\.task)
                + problems.items(split, count: tasks, excluding: taken).map(\.task)
        }
        own = Teacher(
            teacher: ScriptedTeacher(world: world, factual: factual, problems: math), noise: plan.noise)
    }

    /// The scripted teacher of the training tasks.
    public var teacher: (any DomainTeacher)? { own }

    /// A session of the interpreter with the tools.
    public func session(
        for task: AgentTask, form: ActionForm, tools: [any Tool],
        python: @Sendable () async throws -> PythonInterpreter
    ) async throws -> any Environment { try await python().session(tools: tools) }

    /// The plan's settings that a part depends on, and for the tools also the documents' SHA-256.
    public func content(
        of part: DomainPart, digest: (URL) throws -> String
    ) throws -> [(name: String, value: String)] {
        switch part {
        case .train, .tests:
            [
                ("world.seed", "\(plan.seed)"), ("world.people", "\(plan.people)"),
                ("world.trainFactual", "\(plan.trainFactual)"), ("world.trainMath", "\(plan.trainMath)"),
            ]
        case .tools:
            try documents.map { [("documents", "sha256:\(try digest($0))"), ("world.passages", "\(plan.passages)")] }
                ?? []
        case .validation, .grading, .otherGrading: []
        }
    }

    private struct Teacher: DomainTeacher {
        let teacher: ScriptedTeacher
        let noise: ScriptedTeacherModel.Noise?

        var slips: Bool { noise != nil }

        var content: [(name: String, value: String)] {
            guard let noise else { return [] }
            return [
                ("world.noise.agentSlip", "\(noise.agentSlip)"),
                ("world.noise.reasoningSlip", "\(noise.reasoningSlip)"),
                ("world.noise.unreadable", "\(noise.unreadable)"),
            ]
        }

        func policy(_ form: ActionForm) -> (any Policy)? { form == .code ? teacher : nil }

        func reasoned(_ task: AgentTask, passages: (query: String, text: String)?) -> Trajectory? {
            teacher.reasoned(task, passages: passages)
        }

        func model(for tasks: [AgentTask]) -> (any LanguageModel)? {
            ScriptedTeacherModel(teacher, tasks: tasks, noise: noise ?? .init())
        }
    }
}
