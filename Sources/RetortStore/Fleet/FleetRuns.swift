import Foundation
import RetortCore

/// A run as the store holds it.
public struct FleetRun: Sendable, Hashable {
    /// The run's name, unique in the store.
    public var name: String
    /// The recipe as the planner read it, as JSON.
    public var recipe: String
    /// The files that the recipe names, as JSON.
    public var roots: String
    /// The planner's version of Retort; workers must have the same.
    public var version: String
    /// How long a claim lasts without a sign of life, in seconds.
    public var lease: Double
    /// Whether everything is made.
    public var isDone: Bool

    /// A run; not done by default.
    public init(name: String, recipe: String, roots: String, version: String, lease: Double, isDone: Bool = false) {
        (self.name, self.recipe, self.roots) = (name, recipe, roots)
        (self.version, self.lease, self.isDone) = (version, lease, isDone)
    }
}

/// A stage whose tasks are shared among workers.
public struct FleetStage: Sendable, Hashable {
    /// The stage's name, such as `teach/agent`.
    public var name: String
    /// What its results depend on, by name.
    public var inputs: [String: String]
    /// The trained models that it needs, as JSON.
    public var models: String

    /// A stage with what it depends on.
    public init(name: String, inputs: [String: String], models: String) {
        (self.name, self.inputs, self.models) = (name, inputs, models)
    }

    /// Identifies what its results depend on.
    fileprivate var key: String { Self.text(inputs) + models }
    fileprivate var inputText: String { Self.text(inputs) }

    private static func text(_ inputs: [String: String]) -> String {
        ExactJSON.text(.object(inputs.mapValues(JSONValue.string)))
    }
}

/// Plans: at most one process plans a run at a time.
extension FleetStore {
    /// Takes over a run, or creates it.
    /// - Parameters:
    ///   - folder: identifies the run's folder. The same folder may continue at once, because only one process at a
    ///     time works in a folder.
    ///   - planner: identifies the process.
    /// - Throws: `FleetError.planned` where another process plans the run, `taken` where it belongs to another folder
    ///   or recipe and is not done.
    public func plan(_ run: FleetRun, folder: String, planner: String) async throws {
        let taken = try await count(
            """
            INSERT INTO retort.run AS r (name, folder, planner, planner_until, version, recipe, roots, lease)
            VALUES ($1, $2, $3, now() + $7::float8 * interval '1 second', $4, $5, $6, $7::float8)
            ON CONFLICT (name) DO UPDATE SET
                folder = excluded.folder, planner = excluded.planner, planner_until = excluded.planner_until,
                version = excluded.version, recipe = excluded.recipe, roots = excluded.roots, lease = excluded.lease,
                is_done = false, started = CASE WHEN r.is_done THEN now() ELSE r.started END
            WHERE r.folder = excluded.folder OR r.planner = excluded.planner
                OR r.planner_until < now() AND (r.is_done OR r.recipe = excluded.recipe)
            RETURNING 1
            """, [run.name, folder, planner, run.version, run.recipe, run.roots, "\(run.lease)"])
        guard taken == 0 else { return }
        let other = try await rows(
            "SELECT planner, lease - extract(epoch FROM planner_until - now()), planner_until > now() FROM retort.run WHERE name = $1",
            [run.name]
        ).first
        guard let other else { return try await plan(run, folder: folder, planner: planner) }
        throw other.flag(2)
            ? FleetError.planned(run: run.name, planner: other[0], seconds: other.number(1))
            : FleetError.taken(run: run.name, planner: other[0])
    }

    /// Signals that the planner is alive.
    /// - Throws: `FleetError.planned` when another process has taken over the run.
    public func keepPlanning(_ run: String, planner: String) async throws {
        let kept = try await count(
            """
            UPDATE retort.run SET planner_until = now() + lease * interval '1 second' WHERE name = $1 AND planner = $2
            RETURNING 1
            """, [run, planner])
        if kept == 0 {
            let other = try await rows("SELECT planner FROM retort.run WHERE name = $1", [run]).first?[0] ?? "nobody"
            throw FleetError.planned(run: run, planner: other, seconds: 0)
        }
    }

    /// Ends a planner's work.
    /// - Parameter isDone: whether everything is made, so that workers may leave; the run's transferred files are then
    ///   removed.
    public func endPlanning(_ run: String, planner: String, isDone: Bool) async throws {
        _ = try await rows(
            "UPDATE retort.run SET planner_until = now(), is_done = $3::boolean WHERE name = $1 AND planner = $2",
            [run, planner, isDone ? "t" : "f"])
        guard isDone else { return }
        _ = try await rows("DELETE FROM retort.file WHERE run = $1", [run])
    }

    /// A run by its name; without a name the only run that is not done.
    /// - Returns: nil where there is none, or none yet.
    /// - Throws: `FleetError.unfit` where several are open and none is named.
    public func run(_ name: String? = nil) async throws -> FleetRun? {
        let found = try await rows(
            """
            SELECT name, recipe, roots, version, lease, is_done FROM retort.run
            WHERE CASE WHEN $1::text IS NULL THEN NOT is_done ELSE name = $1 END ORDER BY name LIMIT 9
            """, [name])
        guard found.count < 2 else {
            throw FleetError.unfit(
                "\(self.name) holds several runs that are not done (\(found.map { $0[0] }.joined(separator: ", "))); name one with --run"
            )
        }
        return found.first.map {
            FleetRun(name: $0[0], recipe: $0[1], roots: $0[2], version: $0[3], lease: $0.number(4), isDone: $0.flag(5))
        }
    }

    /// The names of all runs, sorted.
    public func runs() async throws -> [String] {
        try await rows("SELECT name FROM retort.run ORDER BY name").map { $0[0] }
    }

    /// Removes a run with everything that the store holds of it. The run's folder is kept.
    /// - Throws: `FleetError.planned` while it is planned; `noRun` when there is none.
    public func remove(_ run: String) async throws {
        let removed = try await count(
            "DELETE FROM retort.run WHERE name = $1 AND planner_until < now() RETURNING 1", [run])
        guard removed == 0 else { return }
        let other = try await rows(
            "SELECT planner, lease - extract(epoch FROM planner_until - now()) FROM retort.run WHERE name = $1", [run]
        ).first
        guard let other else { throw FleetError.noRun(run, known: try await runs()) }
        throw FleetError.planned(run: run, planner: other[0], seconds: other.number(1))
    }

    // MARK: Stages

    /// Opens a stage for work. If it depended on other things before, its old tasks are removed.
    /// - Parameter phase: the round of planning, from 0; tasks of this and later rounds are open.
    public func open(_ stage: FleetStage, of run: String, phase: Int) async throws {
        _ = try await rows(
            """
            WITH stale AS (
                DELETE FROM retort.task t USING retort.stage s
                WHERE t.run = $1 AND t.stage = $2 AND s.run = $1 AND s.name = $2 AND s.key <> $3)
            INSERT INTO retort.stage AS s (run, name, key, inputs, models, phase) VALUES ($1, $2, $3, $4, $5, $6::int)
            ON CONFLICT (run, name) DO UPDATE SET
                key = excluded.key, inputs = excluded.inputs, models = excluded.models, phase = excluded.phase, is_open = true,
                started = CASE WHEN s.key = excluded.key THEN s.started ELSE now() END
            """, [run, stage.name, stage.key, stage.inputText, stage.models, "\(phase)"])
    }

    /// Ends a stage: workers take no more tasks from it.
    public func close(_ stage: String, of run: String) async throws {
        _ = try await rows("UPDATE retort.stage SET is_open = false WHERE run = $1 AND name = $2", [run, stage])
    }

    /// Removes a stage with its tasks.
    public func clear(_ stage: String, of run: String) async throws {
        _ = try await rows(
            """
            WITH tasks AS (DELETE FROM retort.task WHERE run = $1 AND stage = $2)
            DELETE FROM retort.stage WHERE run = $1 AND name = $2
            """, [run, stage])
    }

    /// The stage open for work that started first; nil when there is none.
    /// - Throws: `FleetError.unreadable` when its inputs are damaged.
    public func openStage(of run: String) async throws -> FleetStage? {
        let found = try await rows(
            "SELECT name, inputs, models FROM retort.stage WHERE run = $1 AND is_open ORDER BY started LIMIT 1", [run]
        ).first
        return try found.map { row in
            let inputs = try readable("the inputs of \(row[0])") { try ExactJSON.value(of: row[1]).object ?? [:] }
            return FleetStage(name: row[0], inputs: inputs.mapValues { $0.string ?? "" }, models: row[2])
        }
    }

    /// Reads something stored.
    /// - Throws: `FleetError.unreadable`.
    func readable<Value>(_ what: String, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch { throw FleetError.unreadable(store: name, what: what, reason: "\(error)") }
    }
}
