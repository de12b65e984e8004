import Foundation

/// A part of a run whose result is kept: what it depends on, how an old result is removed, how a new one is made.
///
/// A stage is a value. It does not know whether it is done: `Scheduler` compares what it depends on with what its last
/// result was made from.
protocol Stage: Sendable {
    /// Unique in a run, such as `train/3m/agent`.
    var name: String { get }

    /// The stages whose outputs it uses, by name.
    var sources: [String] { get }

    /// Trained models in the run's folder that its work needs, for processes on other machines that take part in it.
    var models: [URL] { get }

    /// Everything else that its result depends on.
    /// - Throws: `RunError` for a file that cannot be read.
    func inputs() async throws -> [StageInput]

    /// Identifies the content of the existing result; nil when there is none.
    func output() async throws -> String?

    /// Removes the result, complete or partial.
    func clear() async throws

    /// Makes the result, or continues a partial one, or tries again what failed.
    func run() async throws -> StageOutcome
}

extension Stage {
    var models: [URL] { [] }
}

/// How a stage ended.
struct StageOutcome: Sendable, Hashable {
    /// How many items it had to make.
    var total = 1
    /// How many of them failed, by cause.
    var failures: [String: Int] = [:]

    /// How many failed.
    var failed: Int { failures.values.reduce(0, +) }

    /// Everything was made.
    static let complete = StageOutcome()
}

extension StageOutcome {
    /// - Parameter reasons: why not, for each item that failed.
    init(total: Int, reasons: [String]) {
        self.init(
            total: total, failures: Dictionary(reasons.map { (RolloutTally.cause($0), 1) }, uniquingKeysWith: +))
    }
}
