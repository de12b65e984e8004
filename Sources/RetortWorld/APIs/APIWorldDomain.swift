import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortPython

/// Settings of the built-in world's JSON APIs.
public struct APIWorldPlan: Codable, Sendable, Hashable {
    /// Makes the world, the providers and the tasks.
    public var seed: UInt64
    /// The number of people; the numbers of other entities are proportional to it.
    public var people: Int
    /// The number of training tasks, which the teacher solves.
    public var train: Int

    /// The usual settings.
    public init(seed: UInt64 = 1, people: Int = 1000, train: Int = 1000) {
        (self.seed, self.people, self.train) = (seed, people, train)
    }
}

/// The built-in world's JSON APIs as a domain: each task comes with its own tools, and a scripted teacher solves it,
/// for some tasks by a search that backtracks.
public struct APIWorldDomain: Domain {
    /// `apis`.
    public let name = "apis"
    /// The tasks that the teacher solves, each with its tools.
    public let train: [AgentTask]
    /// The tests of the splits `in` (known providers) and `out` (new ones).
    public let tests: [AgentTask]
    /// None: each task brings its own tools.
    public let hostTools: [any Tool] = []
    /// JSON calls only.
    public let forms: Set<ActionForm> = [.json]
    private let plan: APIWorldPlan
    private let own: Teacher
    private let backend: APIBackend

    /// - Parameter count: the number of tests for known APIs, and again for new ones.
    public init(_ plan: APIWorldPlan, tests count: Int) throws {
        self.plan = plan
        let world = World(seed: plan.seed, people: plan.people)
        let tasks = try APITasks(world, seed: plan.seed)
        let items = tasks.items("train", count: plan.train)
        train = items.map(\.task)
        let taken = Set(train.map(\.question))
        tests = ["in", "out"].flatMap { tasks.items($0, count: count, excluding: taken) }.map(\.task)
        own = Teacher(items)
        backend = try APIBackend(world)
    }

    /// The scripted teacher of the training tasks.
    public var teacher: (any DomainTeacher)? { own }

    /// A session with the APIs that a task offers; no interpreter is started.
    public func session(
        for task: AgentTask, form: ActionForm, tools: [any Tool],
        python: @Sendable () async throws -> PythonInterpreter
    ) async throws -> any Environment { APISession(backend, offered: task.tools.map(\.name)) }

    /// The plan's settings for the tasks; nothing else affects results.
    public func content(
        of part: DomainPart, digest: (URL) throws -> String
    ) throws -> [(name: String, value: String)] {
        switch part {
        case .train, .tests:
            [("apis.seed", "\(plan.seed)"), ("apis.people", "\(plan.people)"), ("apis.train", "\(plan.train)")]
        case .tools, .validation, .grading, .otherGrading: []
        }
    }

    private struct Teacher: DomainTeacher {
        private let policy: APITeacher
        private let straying: Set<String>

        init(_ items: [APITasks.Item]) {
            policy = APITeacher(items)
            straying = Set(items.filter(\.plan.strays).map(\.task.id))
        }

        var maximumSteps: Int? { 8 }

        func policy(_ form: ActionForm) -> (any Policy)? { form == .json ? policy : nil }

        /// Backtracking search for all tasks that it strays on, and for some others, so that students also see attempts
        /// where backtracking does not help.
        func search(for task: AgentTask) -> any Search {
            straying.contains(task.id) || Dealing.part(of: task.id, among: 4) == 0
                ? DepthFirstSearch(reminder: .kept) : GreedySearch()
        }
    }
}
