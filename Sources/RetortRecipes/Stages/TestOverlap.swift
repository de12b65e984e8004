import RetortCore
import RetortEvaluation
import RetortStore

/// Which of a recipe's test questions occur in its training questions: exactly, nearly, or with other numbers.
struct TestOverlap {
    private let rows: [[String]]
    private let notes: [String]

    /// The world draws its tests so that no training question is among them, and makes questions of one kind from the
    /// same text: only data from elsewhere is checked, recorded or imported.
    init(_ context: RunContext) async throws {
        var questions = try await Self.imported(context.store)
        if !context.source.domain.dealsTests { questions += context.source.train.map(\.question) }
        guard !questions.isEmpty else {
            (rows, notes) = ([], [])
            return
        }
        let training = TrainingText(questions)
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

    /// The questions of sets that were imported to be learned from.
    static func imported(_ store: TrajectoryStore) async throws -> [String] {
        var questions: Set<String> = []
        for set in try await store.sets() {
            guard try await store.isImported(set.name) else { continue }
            for try await entry in store.trajectories(in: set.name) { questions.insert(entry.trajectory.task.question) }
        }
        return questions.sorted()
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
