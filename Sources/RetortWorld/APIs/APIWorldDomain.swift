import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortPython

/// How the built-in world's JSON APIs are made.
public struct APIWorldPlan: Codable, Sendable, Hashable {
    public var seed: UInt64
    /// How many people; the other entities come in proportion.
    public var people: Int
    /// How many tasks the teacher solves.
    public var train: Int

    public init(seed: UInt64 = 1, people: Int = 1000, train: Int = 1000) {
        (self.seed, self.people, self.train) = (seed, people, train)
    }
}

/// The built-in world's JSON APIs as a domain: each task comes with its own tools, and a scripted teacher solves it, some by
/// a search that goes back.
public struct APIWorldDomain: Domain {
    public let name = "apis"
    public let train: [AgentTask]
    public let tests: [AgentTask]
    public let hostTools: [any Tool] = []
    public let forms: Set<ActionForm> = [.json]
    private let plan: APIWorldPlan
    private let own: Teacher
    private let backend: APIBackend

    /// - Parameter count: tests for each of seen and unseen APIs.
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

    public var teacher: (any DomainTeacher)? { own }

    /// A session with the APIs that a task offers.
    public func session(
        for task: AgentTask, form: ActionForm, tools: [any Tool],
        python: @Sendable () async throws -> PythonInterpreter
    ) async throws -> any Environment { APISession(backend, offered: task.tools.map(\.name)) }

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

        /// A search that goes back for all tasks it strays on, and for some others, so that students also see where going
        /// back is in vain.
        func search(for task: AgentTask) -> any Search {
            straying.contains(task.id) || Dealing.part(of: task.id, among: 4) == 0
                ? DepthFirstSearch(reminder: .kept) : GreedySearch()
        }
    }
}
