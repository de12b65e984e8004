import Foundation
import RetortCore
import RetortDomains
import RetortPython
import RetortStore

/// A run's opened domain, with the tasks that the recipe takes from it and the recorded trajectories that teach.
struct TaskSource: Sendable {
    let domain: any Domain
    /// The tasks that the teacher works on.
    let train: [AgentTask]
    /// The domain's own tasks that choose among a training's checkpoints; the teacher works on them, too.
    let validation: [AgentTask]
    /// The tasks that students are measured on.
    let tests: [AgentTask]
    /// Existing trajectories of the training tasks; nil when no recorded ones teach.
    let recorded: [Trajectory]?
    /// Existing trajectories of the validation tasks.
    let recordedValidation: [Trajectory]
    /// Existing chains of thought on training and validation tasks; nil when none accompany the recorded trajectories.
    let reasoned: [Trajectory]?

    /// The tools that the host answers.
    var tools: [any Tool] { domain.hostTools }
    /// All tools that agents are told of.
    var specifications: [ToolSpecification] { domain.tools }
    var documents: URL? { domain.documents }

    /// Makes or reads everything; the index of passages is kept in the run's folder.
    init(_ recipe: Recipe, folder: URL, requiring sandbox: SandboxLevel) async throws {
        let count = recipe.evaluation.tasks
        domain = try await recipe.domain.open(
            tests: count, keepingIn: folder, limits: PythonLimits(seconds: recipe.evaluation.programSeconds),
            requiring: sandbox)
        var tests: [AgentTask] = []
        if domain.dealsTests {
            tests = domain.tests
        } else {
            // This many of each split, in the order of the splits.
            var taken: [String: Int] = [:]
            for task in domain.tests where taken[task.split, default: 0] < count {
                taken[task.split, default: 0] += 1
                tests.append(task)
            }
        }
        validation = domain.validation
        guard let plan = recipe.recorded else {
            (train, recorded, recordedValidation, reasoned, self.tests) = (domain.train, nil, [], nil, tests)
            return
        }
        let all = try plan.trajectories(fitting: domain.tools)
        let reasoning = try plan.chainsOfThought()
        guard domain.train.isEmpty else {
            let known = domain.train + domain.validation
            (train, self.tests) = (domain.train, tests)
            let matched = Self.matched(all, to: known)
            let held = Set(domain.validation.map(\.id))
            recordedValidation = matched.filter { held.contains($0.task.id) }
            recorded = matched.filter { !held.contains($0.task.id) }
            reasoned = reasoning.map { Self.matched($0, to: known) }
            return
        }
        // The trajectories bring the tasks, except the validation tasks. Ids from different sources may be equal.
        let held = Dictionary(validation.map { ($0.question, $0) }, uniquingKeysWith: { first, _ in first })
        recordedValidation = all.compactMap { trajectory in
            held[trajectory.task.question].map { task in trajectory.with { $0 = task } }
        }
        let family = recipe.domain.family
        let own = all.filter { held[$0.task.question] == nil }.map { trajectory in
            trajectory.with { $0.family = family ?? $0.family }
        }
        let training = Array(own.prefix(plan.train ?? .max))
        train = training.map(\.task).uniqued
        recorded = training
        let brought = training.map(\.task).uniqued + domain.validation
        reasoned = reasoning.map { Self.matched($0, to: brought) }
        let rest = own.dropFirst(training.count).map { trajectory in
            trajectory.with { $0.split = "in" }.task
        }
        self.tests = Array(rest.prefix(count)) + tests
    }

    /// Trajectories of the domain's tasks, with the domain's own task in them.
    private static func matched(_ trajectories: [Trajectory], to tasks: [AgentTask]) -> [Trajectory] {
        let known = KnownTasks(tasks)
        let matched = trajectories.compactMap { trajectory in
            known.task(of: trajectory).map { task in trajectory.with { $0 = task } }
        }
        if matched.count < trajectories.count {
            ProgressLine("teach").note(
                "\(trajectories.count - matched.count) of \(trajectories.count) recorded trajectories are of no training task "
                    + "of the domain, and are left out")
        }
        return matched
    }
}

extension [AgentTask] {
    /// Each task once, by its id.
    fileprivate var uniqued: [AgentTask] {
        var known: Set<String> = []
        return filter { known.insert($0.id).inserted }
    }
}

extension Trajectory {
    /// The same work on a modified task.
    func with(_ change: (inout AgentTask) -> Void) -> Trajectory {
        var copy = self
        change(&copy.task)
        return copy
    }
}

extension RecordedTeacher {
    /// All trajectories of the file. Corrections, omissions and unread content are reported, and so are calls that do
    /// not fit the tools.
    /// - Throws: errors of the format's reader; `ToolMappingError`.
    func trajectories(fitting tools: [ToolSpecification]) throws -> [Trajectory] {
        let progress = ProgressLine("teacher")
        var trajectories = try read(file)
        if !map.isEmpty {
            let absent = ToolMapping.absent(map, in: trajectories)
            if !absent.isEmpty { throw ToolMappingError.absent(names: absent) }
            let (renamed, left) = try ToolMapping(map).applied(to: trajectories)
            trajectories = renamed
            let untouched = left.programs + left.collisions
            if !untouched.isEmpty {
                progress.note("names of 'map' are left in \(untouched.count) trajectories, such as \(untouched[0])")
            }
        }
        let drift = ToolDrift(trajectories, tools: tools)
        if !drift.isEmpty { progress.note("\(file): \(drift)") }
        return trajectories
    }

    /// The chains of thought that the recipe names; nil where it names none.
    /// - Throws: errors of the format's reader.
    func chainsOfThought() throws -> [Trajectory]? { try reasoning.map(read) }

    private func read(_ file: String) throws -> [Trajectory] {
        let (trajectories, account) = try RecordedTrajectories.read(URL(fileURLWithPath: file), format: format)
        if !account.rejections.isEmpty || !account.repairs.isEmpty || !account.unread.isEmpty {
            ProgressLine("teacher").note("\(file): \(account)")
        }
        return trajectories
    }
}

extension DomainChoice {
    /// How the answers of recorded tasks are graded; nil leaves it to the trajectories.
    var family: AgentTask.Family? {
        if case .folder(let plan) = self { plan.grader.family } else { nil }
    }
}
