import Crypto
import Foundation
import GRDB
import RetortCore

/// The searchable facts of a trajectory: kept beside it in small tables, so that a hundred thousand can be searched at
/// once.
struct TrajectoryFacts: Sendable {
    private let trajectory: Trajectory
    private let isCorrect: Bool?
    /// Identifies the trajectory's content.
    private let content: String

    /// The most characters that are searchable in a trajectory, and in any single text of it, and that a list shows.
    private static let mostCharacters = (trajectory: 40_000, text: 4_000, title: 400)

    init(_ trajectory: Trajectory, verdict: Verdict?, content: String) {
        self.trajectory = trajectory
        isCorrect = verdict?.isCorrect
        self.content = content
    }

    /// Saves them in place of the trajectory's earlier facts.
    func save(as sequence: Int64, in set: String, _ database: Database) throws {
        let known = try Row.fetchOne(
            database, sql: "SELECT content, correct FROM fact WHERE sequence = ?", arguments: [sequence])
        // Often only the grade is new.
        if known?["content"] == content {
            guard known?["correct"] as Bool? != isCorrect else { return }
            return try database.execute(
                sql: "UPDATE fact SET correct = ? WHERE sequence = ?", arguments: [isCorrect, sequence])
        }
        if known != nil { try database.execute(sql: "DELETE FROM fact WHERE sequence = ?", arguments: [sequence]) }
        let usage = trajectory.usage
        try database.execute(
            sql: """
                INSERT INTO fact (sequence, "set", id, task, ending, correct, steps, calls, tokens, seconds, content)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                sequence, set, trajectory.id, trajectory.task.id, TrajectoryRow.kind(of: trajectory.ending), isCorrect,
                trajectory.steps.count, trajectory.toolCallCount, usage.promptTokens + usage.completionTokens,
                trajectory.steps.reduce(0) { $0 + $1.usage.seconds + $1.observation.seconds }, content,
            ])
        try database.execute(
            sql: "INSERT INTO title (sequence, question, answer) VALUES (?, ?, ?)",
            arguments: [
                sequence, String(trajectory.task.question.prefix(Self.mostCharacters.title)),
                trajectory.answer.map { String($0.prefix(Self.mostCharacters.title)) },
            ])
        for (kind, values) in [("tool", tools), ("fault", faults)] {
            for value in values {
                try database.execute(
                    sql: "INSERT INTO mark (kind, \"set\", value, sequence) VALUES (?, ?, ?, ?)",
                    arguments: [kind, set, value, sequence])
            }
        }
        try database.execute(
            sql: "INSERT INTO words (rowid, text) VALUES (?, ?)", arguments: [sequence, text])
    }

    /// The tools that were called.
    private var tools: Set<String> {
        trajectory.steps.reduce(into: []) { names, step in
            names.formUnion(step.observation.toolCalls.map { Self.name($0.name) })
            if let name = step.action.toolName { names.insert(Self.name(name)) }
        }
    }

    /// What went wrong during the run, by kind; an error also by its type.
    private var faults: Set<String> {
        trajectory.steps.reduce(into: []) { faults, step in
            switch step.observation.outcome {
            case .success, .final: break
            case .parseError: faults.insert("parse error")
            case .timeout: faults.insert("timeout")
            case .executionError(let type, _):
                faults.insert("execution error")
                if !type.isEmpty { faults.insert(Self.name(type)) }
            }
            if step.observation.toolCalls.contains(where: { $0.error != nil }) { faults.insert("tool error") }
        }
    }

    /// A name for lists and addresses: models invent names that are too long, or that cannot be shown.
    private static func name(_ text: String) -> String {
        let shown = text.unicodeScalars.prefix(120).map { scalar -> UnicodeScalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: "\u{FFFD}"
            default: scalar
            }
        }
        return String(String.UnicodeScalarView(shown))
    }

    /// Everything that was said, done and seen; of long texts the beginning.
    private var text: String {
        var parts = [trajectory.id, trajectory.task.question] + trajectory.task.answers
        if let answer = trajectory.answer { parts.append(answer) }
        if case .gaveUp(let reason)? = trajectory.ending { parts.append(reason) }
        if case .failed(let reason)? = trajectory.ending { parts.append(reason) }
        for step in trajectory.steps {
            parts += [step.thought, Self.words(of: step.action), step.observation.text]
        }
        var left = Self.mostCharacters.trajectory
        var shown: [Substring] = []
        for part in parts where left > 0 && !part.isEmpty {
            let piece = part.prefix(min(Self.mostCharacters.text, left))
            shown.append(piece)
            left -= piece.count
        }
        return shown.joined(separator: "\n")
    }

    private static func words(of action: Action) -> String {
        switch action {
        case .code(let program): program
        case .toolCall(let name, let arguments): "\(name) \(arguments.jsonText)"
        case .answer(let value): value.text
        case .giveUp(let reason): reason
        case .unparsable(let text, _): text
        }
    }
}

/// The tables of searchable facts, and of labels.
enum FactTables {
    /// Identifies a trajectory by its stored text.
    static func digest(_ text: String) -> String { ContentHash.text(SHA256.hash(data: Data(text.utf8))) }

    static func create(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE fact (
                    sequence INTEGER PRIMARY KEY REFERENCES trajectory (sequence) ON DELETE CASCADE,
                    "set" TEXT NOT NULL, id TEXT NOT NULL, task TEXT NOT NULL, ending TEXT NOT NULL, correct BOOLEAN,
                    steps INTEGER NOT NULL, calls INTEGER NOT NULL, tokens INTEGER NOT NULL, seconds DOUBLE NOT NULL,
                    content TEXT NOT NULL);
                CREATE INDEX fact_set ON fact ("set");
                CREATE INDEX fact_outcome ON fact ("set", ending, correct, steps);
                CREATE INDEX fact_task ON fact (task, "set");
                CREATE TABLE title (
                    sequence INTEGER PRIMARY KEY REFERENCES fact (sequence) ON DELETE CASCADE,
                    question TEXT NOT NULL, answer TEXT);
                CREATE TABLE mark (
                    kind TEXT NOT NULL, "set" TEXT NOT NULL, value TEXT NOT NULL,
                    sequence INTEGER NOT NULL REFERENCES fact (sequence) ON DELETE CASCADE,
                    PRIMARY KEY (kind, "set", value, sequence)) WITHOUT ROWID;
                CREATE INDEX mark_sequence ON mark (sequence);
                CREATE VIRTUAL TABLE words USING fts5 (text, detail = 'none', tokenize = 'unicode61');
                CREATE TRIGGER fact_gone AFTER DELETE ON fact
                    BEGIN DELETE FROM words WHERE rowid = old.sequence; END;
                CREATE TABLE label (
                    "set" TEXT NOT NULL, id TEXT NOT NULL, content TEXT NOT NULL, label TEXT NOT NULL,
                    kind TEXT NOT NULL, PRIMARY KEY ("set", id));
                """)
    }

    /// Collects the facts of the stored trajectories. One that cannot be read has none; whoever reads it gets the
    /// error.
    static func fill(_ database: Database) throws {
        let rows = try Row.fetchCursor(
            database, sql: "SELECT sequence, \"set\", trajectory, verdict FROM trajectory")
        while let row = try rows.next() {
            let (text, verdict): (String, String?) = (row["trajectory"], row["verdict"])
            guard let trajectory = try? JSONCoding.decoder.decode(Trajectory.self, from: Data(text.utf8)) else {
                continue
            }
            let graded = verdict.flatMap { try? JSONCoding.decoder.decode(Verdict.self, from: Data($0.utf8)) }
            try TrajectoryFacts(
                ExactValues.unmarked(trajectory), verdict: graded, content: digest(text)
            ).save(as: row["sequence"], in: row["set"], database)
        }
    }
}
