import RetortAgents
import RetortCore
import RetortEvaluation
import RetortStore

extension RunContext {
    /// The students' results round by round, and what their loops found; empty in recipes without rounds.
    func roundTables(_ summary: EvaluationSummary) async throws -> [ReportTable] {
        guard recipe.rounds != nil else { return [] }
        var (accuracies, loops): ([[String]], [[String]]) = ([], [])
        let kinds = summary.cells.reduce(into: [[String]]()) { kinds, cell in
            let kind = [cell.family.rawValue, cell.split]
            if !kinds.contains(kind) { kinds.append(kind) }
        }
        for student in recipe.students {
            for style in Recipe.Style.allCases {
                let plans = recipe.rounds(of: style)
                guard !plans.isEmpty else { continue }
                for number in 0...plans.count {
                    let system = number == plans.count ? style.rawValue : "\(style.rawValue)@\(number)"
                    let record = TrainingRecord.of(
                        stage: TrainStage.name(student, style, round: number), in: folder.url)
                    let origins = record?.origins.map { origins in
                        origins.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
                    }
                    let cells = kinds.map { kind in
                        summary.cells.first {
                            [$0.system, $0.student, $0.family.rawValue, $0.split]
                                == [system, student.name, kind[0], kind[1]]
                        }.map(Self.accuracy) ?? "–"
                    }
                    accuracies.append(
                        [student.name, style.rawValue, "\(number)", origins ?? "the teacher alone"] + cells)
                }
                for (index, plan) in plans.enumerated() {
                    let round = StudentRound(context: self, student: student, style: style, number: index + 1)
                    loops += try await rows(of: round, plan)
                }
            }
        }
        return [
            ReportTable(
                "Round by round",
                columns: ["Student", "Kind", "Round", "Learned from"] + kinds.map { "\($0[0]), \($0[1])" }, names: 2,
                rows: accuracies,
                note: "Round 0 is imitation alone. Percent of tasks solved, with 95 % Wilson intervals."),
            ReportTable(
                "What the rounds found",
                columns: [
                    "Student", "Kind", "Round", "Loop", "Tasks", "Runs", "Right", "pass@k", "pass^k",
                    "Teacher's tokens",
                    "Tokens each",
                ], names: 2, rows: loops,
                note:
                    "Of draws, pass@k is the share of tasks that one of the first k draws solves, pass^k the share that all "
                    + "of them do. Of repair, tasks are those that went wrong, runs the steps that were replaced, right the "
                    + "repairs that came right, and the last columns what the teacher read and wrote for them."),
        ]
    }

    private static func accuracy(_ cell: EvaluationSummary.Cell) -> String {
        "\(Self.tenths(cell.accuracy)) [\(Self.tenths(cell.low)), \(Self.tenths(cell.high))]"
    }

    private static func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

    private func rows(of round: StudentRound, _ plan: RoundPlan) async throws -> [[String]] {
        let names = [round.student.name, round.style.rawValue, "\(round.number)"]
        var rows: [[String]] = []
        let drawn =
            (plan.rejection.map { [(loop: RejectionStage.loop, samples: $0.samples)] } ?? [])
            + plan.draws.map { (loop: $0.loop, samples: $0.plan.samples) }
        for (loop, samples) in drawn {
            let entries = try await store.entries(in: round.name(loop)).filter { !$0.isBroken }
            let first = Dictionary(
                grouping: entries.filter { $0.trajectory.provenance.attempt < samples }, by: \.trajectory.task.id
            ).mapValues { $0.map { $0.verdict?.isCorrect == true } }
            func share(_ isSolved: ([Bool]) -> Bool) -> String {
                let solved = first.values.count(where: isSolved)
                return first.isEmpty ? "–" : Self.tenths(100 * Double(solved) / Double(first.count))
            }
            rows.append(
                names + [
                    "\(loop), k = \(samples)", "\(first.count)", "\(entries.count)",
                    "\(entries.count { $0.verdict?.isCorrect == true })", share { $0.contains(true) },
                    share { !$0.contains(false) }, "–", "–",
                ])
        }
        if plan.repair != nil {
            let entries = try await store.entries(in: round.name(RepairStage.loop)).filter { !$0.isBroken }
            let right = entries.count { $0.verdict?.isCorrect == true }
            let tokens = entries.reduce(0) { total, entry in
                let index = entry.trajectory.provenance.attempt
                guard entry.trajectory.steps.indices.contains(index) else { return total }
                let usage = entry.trajectory.steps[index].usage
                return total + usage.promptTokens + usage.completionTokens
            }
            rows.append(
                names + [
                    "repair", "\(Set(entries.map(\.trajectory.task.id)).count)", "\(entries.count)", "\(right)", "–",
                    "–",
                    "\(tokens)", right == 0 ? "–" : "\(tokens / right)",
                ])
        }
        return rows
    }
}
