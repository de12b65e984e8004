import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// The state of a fleet's run, with its cost.
package struct FleetReport: Codable, Sendable, Hashable {
    /// What was spent on a teacher or a judge, and what is left of its budget.
    package struct Account: Codable, Sendable, Hashable {
        /// `teacher` or `judge`.
        package var name: String
        /// The tokens read and written so far.
        package var promptTokens, completionTokens: Int
        /// The cost in the currency of the recipe's prices; nil where no price is known.
        package var cost: Double?
        /// What is left of the recipe's budget of money; nil where there is none.
        package var moneyLeft: Double?
        /// What is left of the recipe's budget of tokens; nil where there is none.
        package var tokensLeft: Int?
    }

    /// The state of stages and workers.
    package var status: FleetStatus
    /// The spending by account, sorted by name.
    package var accounts: [Account]

    /// Reads the report from a store.
    /// - Parameter name: the run's name; nil is the only one that is not done, or the only one at all.
    /// - Throws: `FleetError`.
    package init(_ store: FleetStore, run name: String? = nil) async throws {
        let known = try await store.runs()
        // A single run need not be named, even when it is done.
        let chosen = if let name { name } else { try await store.run()?.name ?? (known.count == 1 ? known[0] : "") }
        guard let run = try await store.run(chosen), let status = try await store.status(of: chosen) else {
            throw FleetError.noRun(chosen, known: known)
        }
        self.status = status
        let recipe = try? ExactJSON.decode(Recipe.self, from: run.recipe.utf8)
        let plans = ["teacher": recipe?.teacher, "judge": recipe?.judge?.access]
        accounts = status.spent.sorted { $0.key < $1.key }.map { name, spent in
            let plan = plans[name] ?? nil
            let price = plan.flatMap { plan in
                plan.name.flatMap { plan.prices[$0] } ?? (plan.prices.count == 1 ? plan.prices.first?.value : nil)
            }
            let cost = price?.cost(spent)
            let used = spent.promptTokens + spent.completionTokens
            return Account(
                name: name, promptTokens: spent.promptTokens, completionTokens: spent.completionTokens, cost: cost,
                moneyLeft: cost.flatMap { cost in plan?.budget?.money.map { $0 - cost } },
                tokensLeft: plan?.budget?.tokens.map { $0 - used })
        }
    }

    /// The report as lines of text.
    package var text: String {
        let state =
            status.isDone
            ? "done"
            : status.isPlanned ? "planned by \(status.planner)" : "without a planner (the last was \(status.planner))"
        var lines = ["\(status.run)  \(state)  since \(ProgressLine.time(status.seconds))"]
        for stage in status.stages {
            var parts = ["\(stage.done)/\(stage.tasks) done", "\(stage.claimed) at work"]
            if stage.silent > 0 { parts.append("\(stage.silent) of silent workers") }
            if stage.done > 0 {
                parts.append(String(format: "%.1f %% correct", 100 * Double(stage.correct) / Double(stage.done)))
            }
            let failed = stage.failures.values.reduce(0, +)
            if failed > 0 {
                let causes = stage.failures.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(4)
                parts.append("\(failed) failed (\(causes.map { "\($0.value) \($0.key)" }.joined(separator: ", ")))")
            }
            if stage.isOpen {
                parts.append(String(format: "%.1f/s", stage.rate))
                if let left = stage.secondsLeft { parts.append("\(ProgressLine.time(left)) left") }
            }
            lines.append("  \(stage.name)  \(stage.isOpen ? "open" : "closed")  " + parts.joined(separator: "  "))
        }
        for account in accounts {
            var parts = ["\(account.promptTokens) tokens read", "\(account.completionTokens) written"]
            if let cost = account.cost { parts.append("cost \(Budget.amount(cost))") }
            if let left = account.moneyLeft { parts.append("\(Budget.amount(left)) left") }
            if let left = account.tokensLeft { parts.append("\(left) tokens left") }
            lines.append("  \(account.name)  " + parts.joined(separator: "  "))
        }
        for worker in status.workers {
            let dropped = worker.dropped > 0 ? ", \(worker.dropped) too late" : ""
            lines.append(
                "  \(worker.name)  \(worker.state.rawValue)  \(worker.busy) of \(worker.width) at work  \(worker.done) done, "
                    + "\(worker.failed) failed\(dropped)  heard of \(ProgressLine.time(worker.seen)) ago")
        }
        return lines.joined(separator: "\n")
    }

    /// A metric for Prometheus.
    package struct Figure: Sendable, Hashable {
        /// The metric's name, beginning with `retort_fleet_`.
        package var name: String
        /// Its description.
        package var help: String
        /// Its labels; `run` is always one of them.
        package var labels: [String: String]
        /// Its value.
        package var value: Double
    }

    /// The report as metrics for Prometheus; those of the same name follow one another.
    package var figures: [Figure] {
        var figures: [Figure] = []
        func add(_ name: String, _ help: String, _ values: [([String: String], Double)]) {
            figures += values.map { labels, value in
                Figure(
                    name: "retort_fleet_\(name)", help: help, labels: labels.merging(["run": status.run]) { $1 },
                    value: value)
            }
        }
        add(
            "tasks", "Tasks of a stage by state.",
            status.stages.flatMap { stage in
                [("open", stage.open), ("claimed", stage.claimed), ("silent", stage.silent), ("done", stage.done)].map {
                    (["stage": stage.name, "state": $0.0], Double($0.1))
                }
            })
        add("correct", "Tasks graded as correct.", status.stages.map { (["stage": $0.name], Double($0.correct)) })
        add(
            "failures", "Tasks that broke, by cause.",
            status.stages.flatMap { stage in
                stage.failures.sorted { $0.key < $1.key }.map {
                    (["stage": stage.name, "cause": $0.key], Double($0.value))
                }
            })
        add("rate", "Tasks done a second, over the last minute.", status.stages.map { (["stage": $0.name], $0.rate) })
        add(
            "seconds_left", "How long the rest takes at this rate.",
            status.stages.compactMap { stage in stage.secondsLeft.map { (["stage": stage.name], $0) } })
        add(
            "workers", "Those who take part, by state.",
            [FleetStatus.Worker.State.working, .silent, .left].map { state in
                (["state": state.rawValue], Double(status.workers.count { $0.state == state }))
            })
        add(
            "busy", "Tasks at work, by worker.",
            status.workers.filter { $0.state == .working }.map { (["worker": $0.name], Double($0.busy)) })
        add(
            "tokens", "Tokens of models behind endpoints.",
            accounts.flatMap { account in
                [
                    (["account": account.name, "kind": "prompt"], Double(account.promptTokens)),
                    (["account": account.name, "kind": "completion"], Double(account.completionTokens)),
                ]
            })
        add(
            "cost", "Money spent.",
            accounts.compactMap { account in account.cost.map { (["account": account.name], $0) } })
        add("planned", "Whether a planner lives.", [([:], status.isPlanned ? 1 : 0)])
        return figures
    }
}
