import Foundation
import RetortAgents
import RetortCore
import RetortDomains
import RetortEvaluation

/// Makes tasks from a domain's tools and documents: a teacher calls them, asks a question about what it found, and
/// solves it again several times. A question whose solutions agree, and whose answer was looked up, becomes a task with
/// that answer as its reference.
///
/// A log records every try on a line of its own, so that stopped work can continue without paying for anything twice.
package struct TaskMaker: Sendable {
    /// How many tasks are made, and what they must satisfy.
    package struct Plan: Codable, Sendable, Hashable {
        /// How many tasks to make.
        package var tasks = 50
        /// The most questions to try.
        package var tries = 200
        /// How often each question is solved again.
        package var solutions = 4
        /// How many of these solutions must agree with the asker's answer.
        package var agreeing = 3
        /// The temperature of questions and solutions.
        package var temperature = 0.8
        /// Whether the answer must have been looked up or computed.
        package var evidence = true
        /// The seed of everything that is sampled.
        package var seed: UInt64 = 7

        /// Fifty tasks, each solved four times, three of which agree.
        package init() {}
    }

    /// The result of making tasks.
    package struct Tally: Sendable, Hashable {
        /// The number of tasks in the file.
        package var tasks = 0
        /// The number of questions tried, by outcome.
        package var outcomes: [MadeTask.Outcome: Int] = [:]
        /// The cost of all tries.
        package var usage = Usage()
        /// Why it ended before there were enough tasks; nil when there are enough.
        package var ending: String?
    }

    private let agent: Agent
    private let plan: Plan
    private let grader: any TrajectoryGrader
    private let topics: [String]

    /// - Parameter agent: the teacher's agent in the domain, within its model's budget.
    /// - Throws: `TaskMakerError`.
    package init(_ agent: Agent, _ plan: Plan) throws {
        let domain = agent.bench.domain
        if let folder = domain as? FolderDomain, [.python, .state, .judge].contains(folder.plan.grader.kind) {
            throw TaskMakerError.noAnswers(domain: domain.name, grader: folder.plan.grader.kind.rawValue)
        }
        guard !agent.plan.tools.isEmpty else { throw TaskMakerError.noTools(domain: domain.name) }
        self.agent = agent
        self.plan = plan
        grader = domain.grader(symbolic: nil, judge: nil) ?? FamilyGrader()
        topics = try Topics.of(domain)
    }

    /// Tries questions until there are enough tasks, or no more may be tried.
    /// - Parameters:
    ///   - file: the tasks' file of JSON Lines; the log is beside it.
    ///   - trajectories: the file for the tasks' solutions, as a teacher's; nil keeps them only in the log.
    ///   - concurrency: how many questions are tried at the same time.
    /// - Throws: `TaskMakerError`, `RunError`, and errors that halt an agent's work, except for a spent budget.
    package func make(into file: URL, trajectories: URL?, concurrency: Int) async throws -> Tally {
        let progress = ProgressLine("make-tasks")
        let log = try MakingLog(file.appendingPathExtension("log"), header: header)
        var known = QuestionPool(agent.bench.domain)
        for one in log.made where one.outcome == .kept { known.add(one.question) }
        var ending: String?
        // Always the full number at the same time, however few tasks are missing: most questions fail.
        while log.kept.count < plan.tasks, log.made.count < plan.tries {
            let next = log.made.count..<min(log.made.count + max(concurrency, 1), plan.tries)
            let pool = known
            do {
                try await concurrentMap(Array(next), width: concurrency) { try await tried($0, pool) }
                    .forEach { one in
                        var one = one
                        // Two questions of a batch may be alike.
                        if one.outcome == .kept, known.fault(one.question) != nil { one.outcome = .repeated }
                        if one.outcome == .kept { known.add(one.question) }
                        try log.append(one)
                    }
            } catch let error as BudgetError {
                ending = "\(error)"
                break
            }
            progress.show(min(log.kept.count, plan.tasks), of: plan.tasks, "\(log.made.count) questions tried")
        }
        try log.write(tasks: plan.tasks, to: file, trajectories: trajectories)
        var tally = Tally(tasks: min(log.kept.count, plan.tasks))
        for one in log.made {
            tally.outcomes[one.outcome, default: 0] += 1
            tally.usage = tally.usage + one.usage
        }
        if tally.tasks < plan.tasks { tally.ending = ending ?? "\(plan.tries) questions were tried" }
        return tally
    }

    /// What all tries of a log have in common.
    private var header: String {
        let settings = (try? String(decoding: JSONCoding.encoder.encode(plan.comparable), as: UTF8.self)) ?? ""
        return ContentDigest.of(
            [agent.bench.domain.name, agent.modelIdentity, settings] + agent.plan.tools.map { "\($0)" })
    }

    // MARK: One try

    private func tried(_ number: Int, _ known: QuestionPool) async throws -> MadeTask {
        let wish = QuestionWish(number, plan.seed, topics: topics, examples: agent.bench.domain.train)
        var asking = agent.task(wish.text)
        asking.id = "wish-\(number)"
        let rollout = try agent.rollout(AgentWay(search: .greedy, sampling: sampling(number)))
        let asked = try await rollout.trajectory(for: asking)
        var made = MadeTask(number: number, usage: asked.usage)
        guard let (question, answer) = QuestionWish.read(asked) else {
            made.said = asked.steps.last.map(QuestionWish.words(of:))
            made.outcome = if case .failed = asked.ending { .failed } else { .unread }
            return made
        }
        (made.question, made.answer) = (question, answer)
        if let fault = QuestionWish.fault(question, answer) ?? known.fault(question) {
            made.outcome = fault
            return made
        }
        return try await solved(made)
    }

    /// Has a question solved again, and decides whether it becomes a task.
    private func solved(_ made: MadeTask) async throws -> MadeTask {
        var made = made
        var task = agent.task(made.question)
        task.id = made.id
        task.split = "train"
        task.answers = [made.answer]
        for attempt in 0..<plan.solutions {
            let rollout = try agent.rollout(AgentWay(search: .greedy, sampling: sampling(made.number, attempt + 1)))
            let solution = try await rollout.trajectory(for: task, attempt: attempt)
            made.usage = made.usage + solution.usage
            if try await grader.grade(solution).isCorrect { made.solutions.append(solution) }
            let left = plan.solutions - attempt - 1
            // If too few can still agree, no further solution is paid for.
            if made.solutions.count + left < plan.agreeing { break }
        }
        guard made.solutions.count >= plan.agreeing else {
            made.outcome = .disagreed
            return made
        }
        if plan.evidence, !made.solutions.contains(where: Evidence.isIn) {
            made.outcome = .unseen
            return made
        }
        made.outcome = .kept
        return made
    }

    private func sampling(_ number: Int, _ attempt: Int = 0) -> Sampling {
        Sampling(
            temperature: plan.temperature, seed: StableHash.of("\(plan.seed) \(number) \(attempt)") >> 1)
    }
}

extension TaskMaker.Plan {
    /// The settings without those that may change while work continues.
    fileprivate var comparable: Self {
        var plan = self
        (plan.tasks, plan.tries) = (0, 0)
        return plan
    }
}

/// Why tasks cannot be made.
public enum TaskMakerError: Error, CustomStringConvertible {
    /// The domain's grader does not compare answers.
    case noAnswers(domain: String, grader: String)
    /// The domain has neither tools nor documents.
    case noTools(domain: String)
    /// The log was made with another model, other tools or other settings.
    case otherSettings(log: String)
    /// A line of the log cannot be read.
    case damagedLog(String, line: Int)

    /// A message for users: what is wrong, and what to do.
    public var description: String {
        switch self {
        case .noAnswers(let domain, let grader):
            "'\(domain)' grades by '\(grader)', and made tasks have an answer as their reference alone; give the domain a grader of "
                + "answers, such as exact or number"
        case .noTools(let domain):
            "'\(domain)' has no tools and no documents, so there is nothing that questions could be made from"
        case .otherSettings(let log):
            "\(log) is of another model, other tools or other settings; name another --out, or remove the log"
        case .damagedLog(let log, let line):
            "\(log), line \(line), cannot be read; remove the log to start again, or the line to try its question again"
        }
    }
}
