import Foundation
import RetortCore

/// Reads the run logs of agent-distillation (arXiv 2505.17612; smolagents' messages): agent and chain-of-thought mode,
/// as written, scored or filtered.
///
/// Each fault in `LogFault` is corrected and counted; a record beyond repair is left out with its line and the reason.
///
/// ```swift
/// let questions = try QuestionFile(file, family: .math, split: "train").tasks
/// let (trajectories, account) = try DistillationLogImporter(questions: questions).read(log)
/// ```
package struct DistillationLogImporter: Sendable {
    private let source: String?
    private let family: AgentTask.Family
    private let split: String
    private let known: [String: AgentTask]

    /// - Parameters:
    ///   - source: begins the ids of tasks that no question file names; nil takes the file's name.
    ///   - family: how answers are graded, for questions of no file.
    ///   - split: the name of the tasks' split, for questions of no file.
    ///   - questions: the tasks that were worked on; records get their ids, references, levels and types back from
    ///     them.
    package init(
        source: String? = nil, family: AgentTask.Family = .factual, split: String = "", questions: [AgentTask] = []
    ) {
        self.source = source
        self.family = family
        self.split = split
        known = Dictionary(questions.map { ($0.question, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The trajectories in file order, and what happened to each record.
    /// - Throws: `JSONLinesError` for a file that cannot be read at all.
    package func read(_ file: URL) throws -> (trajectories: [StoredTrajectory], account: ImportAccount) {
        var trajectories: [StoredTrajectory] = []
        var account = ImportAccount()
        var attempts: [String: Int] = [:]
        let source = source ?? file.deletingPathExtension().lastPathComponent
        try JSONLinesFile(file).forEachValue { value, line in
            account.records += 1
            do {
                var record = try LogRecord(value.get())
                let attempt = attempts[record.question, default: 0]
                var stored = try record.trajectory(
                    source: source, family: family, known: known[record.question], attempt: attempt)
                if known[record.question] == nil { stored.trajectory.task.split = split }
                attempts[record.question] = attempt + 1
                trajectories.append(stored)
                account.imported += 1
                for fault in record.faults { account.repair(line, fault.rawValue) }
                if attempt > 0 { account.repair(line, LogFault.repeatedQuestion.rawValue) }
            } catch let rejection as LogRejection {
                account.reject(line, rejection.rawValue)
            } catch let error as JSONLinesError {
                account.reject(line, error.reason)
            }
        }
        return (trajectories, account)
    }
}
