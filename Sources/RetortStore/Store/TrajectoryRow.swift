import Foundation
import GRDB
import RetortCore

/// A stored trajectory as a row: the whole as JSON, and the searchable parts in columns.
struct TrajectoryRow: FetchableRecord, Sendable {
    /// The position in the order of saving; nil before the row is saved.
    let sequence: Int64?
    let set: String
    let id: String
    private let columns: [(any DatabaseValueConvertible & Sendable)?]
    private let verdict: String?
    private let judge: String?
    private let also: String?
    private let trajectory: String
    /// The label of a person; nil where there is none, and in a row that is to be saved.
    private let label: String?
    private let facts: TrajectoryFacts?

    init(_ stored: StoredTrajectory, set: String) throws {
        let trajectory = stored.trajectory
        sequence = nil
        self.set = set
        id = trajectory.id
        columns = [
            trajectory.task.id, trajectory.task.family.rawValue, trajectory.task.split, trajectory.provenance.policy,
            Self.kind(of: trajectory.ending), stored.verdict?.isCorrect,
        ]
        verdict = try stored.verdict.map(Self.json)
        judge = try stored.judge.map(Self.json)
        also = try stored.also.map(Self.json)
        self.trajectory = try Self.json(ExactValues.marked(trajectory))
        label = nil
        facts = TrajectoryFacts(trajectory, verdict: stored.verdict, content: FactTables.digest(self.trajectory))
    }

    init(row: Row) throws {
        sequence = row["sequence"]
        set = row["set"]
        id = row["id"]
        columns = []
        verdict = row["verdict"]
        judge = row["judge"]
        also = row["also"]
        trajectory = row["trajectory"]
        label = row["label"]
        facts = nil
    }

    /// The whole row, with the label of a trajectory that has not changed since it was labelled.
    static let selection = """
        SELECT t.sequence, t."set", t.id, t.verdict, t.judge, t.also, t.trajectory, l.label
        FROM trajectory t LEFT JOIN fact f ON f.sequence = t.sequence
        LEFT JOIN label l ON l."set" = t."set" AND l.id = t.id AND l.content = f.content
        """

    /// Saves the row; a row with the same set and id keeps its position.
    func upsert(_ database: Database) throws {
        let values: [(any DatabaseValueConvertible)?] = [set, id] + columns + [verdict, judge, also, trajectory]
        try database.execute(
            sql: """
                INSERT INTO trajectory
                    ("set", id, task, family, split, policy, ending, correct, verdict, judge, also, trajectory)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT ("set", id) DO UPDATE SET
                    task = excluded.task, family = excluded.family, split = excluded.split, policy = excluded.policy,
                    ending = excluded.ending, correct = excluded.correct, verdict = excluded.verdict,
                    judge = excluded.judge, also = excluded.also, trajectory = excluded.trajectory
                """, arguments: StatementArguments(values))
        let place = try Int64.fetchOne(
            database, sql: "SELECT sequence FROM trajectory WHERE \"set\" = ? AND id = ?", arguments: [set, id])
        if let facts, let place { try facts.save(as: place, in: set, database) }
    }

    /// The trajectory of the row.
    /// - Throws: `StoreError.unreadable` with the set and the id.
    func stored(path: String) throws -> StoredTrajectory {
        do {
            let decoder = JSONCoding.decoder
            return StoredTrajectory(
                trajectory: ExactValues.unmarked(try decoder.decode(Trajectory.self, from: Data(trajectory.utf8))),
                verdict: try verdict.map { try decoder.decode(Verdict.self, from: Data($0.utf8)) },
                judge: try judge.map { try decoder.decode(Verdict.self, from: Data($0.utf8)) },
                also: try also.map { try decoder.decode([String: Verdict].self, from: Data($0.utf8)) },
                label: try label.map { try decoder.decode(TrajectoryLabel.self, from: Data($0.utf8)) })
        } catch {
            throw StoreError.unreadable(file: path, set: set, id: id, reason: "\(error)")
        }
    }

    private static func json(_ value: some Encodable) throws -> String {
        String(decoding: try JSONCoding.encoder.encode(value), as: UTF8.self)
    }

    static func kind(of ending: Ending?) -> String {
        switch ending {
        case nil: "unfinished"
        case .answered: "answered"
        case .forced: "forced"
        case .gaveUp: "gaveUp"
        case .failed: "failed"
        }
    }
}
