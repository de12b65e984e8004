import RetortCore
import RetortEvaluation

/// What of a recipe's test questions stands in its training questions: as it is, nearly, or with other numbers.
struct TestOverlap {
    private let rows: [[String]]
    private let notes: [String]

    /// The world draws its tests so that no training question is among them, and makes questions of one kind from one
    /// text: only data that came from elsewhere are looked through.
    init(_ context: RunContext) {
        guard !context.source.domain.dealsTests else {
            (rows, notes) = ([], [])
            return
        }
        let training = TrainingText(context.source.train.map(\.question))
        let groups = Dictionary(grouping: context.source.tests, by: \.split).sorted { $0.key < $1.key }
        var (rows, notes): ([[String]], [String]) = ([], [])
        for (split, tasks) in groups {
            let found = Contamination(tasks, in: training)
            guard !found.isEmpty else { continue }
            rows.append([
                split, "\(tasks.count)", "\(found.exact.count)", "\(found.overlapping.count)",
                "\(found.altered?.count ?? 0)",
            ])
            notes.append("\(split): such as \(found.examples.joined(separator: ", "))")
        }
        (self.rows, self.notes) = (rows, notes)
    }

    var table: ReportTable {
        ReportTable(
            "Test questions that training knows",
            columns: ["Split", "Questions", "The same", "Nearly", "With other numbers"], rows: rows,
            note: rows.isEmpty
                ? ""
                : "Figures of these splits are better than they would be on new questions. "
                    + notes.joined(separator: "; ") + ".")
    }
}
