import Foundation
import RetortAgents
import RetortCore
import RetortStore
import Synchronization

/// The results of a stage's trajectories so far, for its progress line.
struct RolloutTally: Sendable {
    private(set) var done = 0
    private(set) var correct = 0
    /// Trajectories that ended because the model or the environment broke, by cause.
    private(set) var failures: [String: Int] = [:]
    private var tokens = 0
    private let start = ContinuousClock.now

    mutating func add(_ trajectory: Trajectory, _ verdict: Verdict) {
        done += 1
        correct += verdict.isCorrect ? 1 : 0
        tokens += trajectory.usage.promptTokens + trajectory.usage.completionTokens
        if case .failed(let reason) = trajectory.ending { failures[Self.cause(reason), default: 0] += 1 }
    }

    /// The words of an error before its first colon, which errors of the same kind share.
    static func cause(_ reason: String) -> String {
        String(reason.prefix { $0 != ":" && !$0.isNewline }.prefix(40))
    }

    /// One line: correct, failed by cause, tokens per second, cost.
    func detail(_ budget: Budget?) -> String {
        var parts = [String(format: "%.1f %% correct", 100 * Double(correct) / Double(max(done, 1)))]
        if !failures.isEmpty {
            let causes = failures.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(4)
                .map { "\($0.value) \($0.key)" }
            parts.append("\(failures.values.reduce(0, +)) failed (\(causes.joined(separator: ", ")))")
        }
        let seconds = start.duration(to: .now) / .seconds(1)
        if seconds > 0, tokens > 0 { parts.append("\(Int(Double(tokens) / seconds)) tokens/s") }
        if let budget {
            let spent = budget.spent
            let used = spent.promptTokens + spent.completionTokens
            parts.append(budget.tokens.map { "\(used) of \($0) tokens" } ?? "\(used) tokens")
            let guessed = budget.estimated.promptTokens + budget.estimated.completionTokens
            if guessed > 0 { parts.append("of these \(guessed) by estimate, as the server does not tell") }
            // An unknown cost is not shown as zero.
            if let cost = budget.cost {
                parts.append("cost \(Budget.amount(cost))" + (budget.money.map { " of \(Budget.amount($0))" } ?? ""))
            }
        }
        return parts.joined(separator: "  ")
    }
}

/// A tally and the line it is shown on.
final class SharedProgress: Sendable {
    private struct State {
        var tally = RolloutTally()
        let line: ProgressLine
    }

    private let state: Mutex<State>

    init(_ line: sending ProgressLine) { state = Mutex(State(line: line)) }

    func show(_ entries: [StoredTrajectory], of total: Int, _ budget: Budget?) {
        state.withLock { state in
            for entry in entries {
                state.tally.add(entry.trajectory, entry.verdict ?? Verdict(isCorrect: false, reason: "not graded"))
            }
            state.line.show(
                state.tally.done, of: total, state.tally.detail(budget),
                figures: ["correct": Double(state.tally.correct)])
        }
    }
}
