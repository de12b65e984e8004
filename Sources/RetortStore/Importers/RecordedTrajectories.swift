import Foundation
import RetortCore

/// Trajectories that others recorded, in any format.
///
/// ```swift
/// let (trajectories, account) = try RecordedTrajectories.read(file, format: .auto)
/// print(account)          // which format it was, what was left out and why
/// ```
public enum RecordedTrajectories {
    /// What is known beside the file.
    public struct Options: Sendable {
        /// How answers are graded, for questions of no known task.
        public var family: AgentTask.Family
        /// What the tasks' split is called.
        public var split: String
        /// The tasks that were worked on, to give records back their ids and references, by their questions.
        public var tasks: [AgentTask]
        let known: [String: AgentTask]

        public init(family: AgentTask.Family = .factual, split: String = "train", tasks: [AgentTask] = []) {
            self.family = family
            self.split = split
            self.tasks = tasks
            known = Dictionary(tasks.map { ($0.question, $0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// The trajectories of a file, or of a folder of logs, and what became of each record.
    /// - Throws: `RecordedTrajectoriesError` for a file whose format is not known, and the formats' own errors for a file
    ///   that cannot be read at all.
    public static func read(
        _ url: URL, format: TrajectoryFormat, options: Options = Options()
    ) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        let (stored, account) = try stored(url, format: format, options: options)
        return (stored.map(\.trajectory), account)
    }

    /// The same, with the grades that some logs hold.
    public static func stored(
        _ url: URL, format: TrajectoryFormat, options: Options = Options()
    ) throws -> (trajectories: [StoredTrajectory], account: ImportAccount) {
        var all: [StoredTrajectory] = []
        let account = try forEach(url, format: format, options: options) { all.append($0) }
        return (all, account)
    }

    /// Calls `body` with each trajectory as it is read. Of files with a record a line only one is held at a time.
    public static func forEach(
        _ url: URL, format: TrajectoryFormat, options: Options = Options(), _ body: (StoredTrajectory) throws -> Void
    ) throws -> ImportAccount {
        let files = try files(url, format)
        let format = try format == .auto ? recognised(url, files) : format
        var attempts = Attempts()
        var account = ImportAccount()
        func give(_ stored: StoredTrajectory) throws { try body(attempts.numbered(stored)) }
        switch format {
        case .auto: break
        case .tora, .fireact, .toolbench, .atif, .distillationLog:
            let (stored, told) = try published(url, format, options)
            account = told
            if files == [url] { try PublishedKeys.check(url, format, &account) }
            for trajectory in stored { try body(trajectory) }
        case .claudeCode: try logs(files, ClaudeCodeLog.self, options, &account, give)
        case .codex: try logs(files, CodexLog.self, options, &account, give)
        case .trajectories: try records(files, OwnRecords(), options, &account, give)
        case .messages: try records(files, ChatRecords(form: .messages), options, &account, give)
        case .promptCompletion: try records(files, ChatRecords(form: .promptCompletion), options, &account, give)
        case .shareGPT: try records(files, ChatRecords(form: .shareGPT), options, &account, give)
        case .smolagents: try records(files, SmolagentsMemory(), options, &account, give)
        }
        account.format = format
        return account
    }

    // MARK: Files

    /// A file, or the logs in a folder in order of their paths.
    private static func files(_ url: URL, _ format: TrajectoryFormat) throws -> [URL] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw JSONFileError.missing(file: url.path)
        }
        guard isFolder.boolValue else { return [url] }
        let paths = FileManager.default.enumerator(atPath: url.path)?.compactMap { $0 as? String } ?? []
        // Beside their logs agents keep indexes and settings in other files.
        let lines = paths.filter { $0.hasSuffix(".jsonl") }
        let files = (lines.isEmpty ? paths.filter { $0.hasSuffix(".json") } : lines).sorted()
            .map(url.appendingPathComponent)
        guard !files.isEmpty else { throw RecordedTrajectoriesError.empty(file: url.path) }
        return files
    }

    private static func recognised(_ url: URL, _ files: [URL]) throws -> TrajectoryFormat {
        var found: [TrajectoryFormat] = []
        for file in files {
            let format: TrajectoryFormat
            do {
                format = try FormatRecognition.format(of: RecordFile(file))
            } catch RecordedTrajectoriesError.empty where files.count > 1 {
                continue
            }
            if !found.contains(format) { found.append(format) }
        }
        switch found.count {
        case 0: throw RecordedTrajectoriesError.empty(file: url.path)
        case 1: return found[0]
        default: throw RecordedTrajectoriesError.ambiguous(file: url.path, candidates: found)
        }
    }

    private static func published(
        _ url: URL, _ format: TrajectoryFormat, _ options: Options
    ) throws -> ([StoredTrajectory], ImportAccount) {
        func bare(_ read: (trajectories: [Trajectory], account: ImportAccount)) -> ([StoredTrajectory], ImportAccount) {
            (read.trajectories.map { StoredTrajectory(trajectory: $0, verdict: nil) }, read.account)
        }
        let source = url.deletingPathExtension().lastPathComponent
        switch format {
        case .toolbench: return bare(try ToolBenchImporter(split: options.split).read(url))
        case .atif: return bare(try ATIFImporter(family: options.family).read(url))
        case .distillationLog:
            return try DistillationLogImporter(family: options.family, questions: options.tasks).read(url)
        case .fireact:
            let trajectories = try FireActImporter.read(url)
            return bare((trajectories, ImportAccount(all: trajectories.count)))
        default:
            let importer = options.split == "test" ? ToRAImporter() : ToRAImporter(source: source, split: options.split)
            let trajectories = try importer.trajectories(from: url)
            return bare((trajectories, ImportAccount(all: trajectories.count)))
        }
    }

    // MARK: Records

    private static func records(
        _ files: [URL], _ reader: some RecordReader, _ options: Options, _ account: inout ImportAccount,
        _ give: (StoredTrajectory) throws -> Void
    ) throws {
        var reader = reader
        for url in files {
            let place = files.count > 1 ? "\(url.lastPathComponent): " : ""
            let source = url.deletingPathExtension().lastPathComponent
            func take(_ record: Result<JSONValue, RecordRejection>, _ number: Int) throws {
                account.records += 1
                let read: [ReadTrajectory]
                do throws(RecordRejection) {
                    let context = RecordContext(source: source, number: number, options: options)
                    read = try reader.trajectories(record.get(), context)
                } catch {
                    return account.reject(number, place + error.reason)
                }
                for one in read {
                    account.add(number, one.notes, place)
                    try give(StoredTrajectory(trajectory: one.trajectory, verdict: nil))
                    account.imported += 1
                }
            }
            let file = try RecordFile(url)
            // One memory is a list of steps.
            if file.form == .whole, reader is SmolagentsMemory, case let value = try JSONFile.value(url),
                FormatRecognition.isMemory(value.array ?? [])
            {
                try take(.success(value), 1)
            } else {
                try file.forEach(take)
            }
        }
    }

    private static func logs<Log: SessionLog>(
        _ files: [URL], _ type: Log.Type, _ options: Options, _ account: inout ImportAccount,
        _ give: (StoredTrajectory) throws -> Void
    ) throws {
        for url in files {
            let place = files.count > 1 ? "\(url.lastPathComponent): " : ""
            var log = Log(source: url.deletingPathExtension().lastPathComponent, options: options)
            try RecordFile(url).forEach { line, number in
                switch line {
                case .success(let value): log.take(value, number: number)
                case .failure(let rejection): account.reject(number, place + rejection.reason)
                }
            }
            for run in log.runs() {
                account.records += 1
                switch run.outcome {
                case .failure(let rejection): account.reject(run.line, place + rejection.reason)
                case .success(let read):
                    account.add(run.line, read.notes, place)
                    try give(StoredTrajectory(trajectory: read.trajectory, verdict: nil))
                    account.imported += 1
                }
            }
            for (what, lines) in log.notes.unread { for line in lines { account.leaveUnread(line, place + what) } }
            for (what, lines) in log.notes.repairs { for line in lines { account.repair(line, place + what) } }
        }
    }
}

/// Numbers trajectories of the same task, so that each has an id of its own.
private struct Attempts {
    private var counts: [String: Int] = [:]

    mutating func numbered(_ stored: StoredTrajectory) -> StoredTrajectory {
        var stored = stored
        let made = stored.trajectory.provenance
        // What is Retort's own has the name it was given.
        guard made.version == nil else { return stored }
        let name = "\(stored.trajectory.task.id)/\(made.policy)"
        let attempt = counts[name, default: 0]
        counts[name] = attempt + 1
        stored.trajectory.provenance.attempt = attempt
        stored.trajectory.id = "\(name)/\(attempt)"
        return stored
    }
}

/// Retort's own trajectories. A member that this version does not know is told.
private struct OwnRecords: RecordReader {
    mutating func trajectories(_ record: JSONValue, _ context: RecordContext) throws(RecordRejection)
        -> [ReadTrajectory]
    {
        var notes = RecordNotes()
        do {
            let trajectory = try ExactJSON.decode(Trajectory.self, from: record)
            Self.compare(record, try ExactJSON.tree(trajectory), "the trajectory", &notes)
            return [ReadTrajectory(trajectory, notes)]
        } catch {
            throw RecordRejection("it is no trajectory of Retort: \(JSONLinesFile.reason(error))")
        }
    }

    /// Notes what stands in a record and not in what was read of it.
    private static func compare(_ record: JSONValue, _ read: JSONValue, _ owner: String, _ notes: inout RecordNotes) {
        switch (record, read) {
        case (.object(let members), .object(let known)):
            for (name, member) in members where member != .null {
                if let found = known[name] {
                    compare(member, found, "'\(name)'", &notes)
                } else {
                    notes.unread.insert("'\(name)' of \(owner)")
                }
            }
        case (.array(let elements), .array(let known)):
            for (element, found) in zip(elements, known) { compare(element, found, owner, &notes) }
        default: break
        }
    }
}

/// A file of trajectories that cannot be taken.
public enum RecordedTrajectoriesError: Error, CustomStringConvertible, Equatable {
    /// It holds no record.
    case empty(file: String)
    /// Its first record has the names of no format.
    case unrecognised(file: String, names: [String])
    /// Several formats fit.
    case ambiguous(file: String, candidates: [TrajectoryFormat])

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .empty(let file): "\(file) holds no record; give another file"
        case .unrecognised(let file, let names):
            "\(file) is in no known format: its first record has "
                + (names.isEmpty ? "no names" : names.prefix(12).map { "'\($0)'" }.joined(separator: ", "))
                + "; the formats are " + TrajectoryFormat.named.map(\.rawValue).joined(separator: ", ")
        case .ambiguous(let file, let candidates):
            "\(file) may be in one of several formats: "
                + candidates.map(\.rawValue).joined(separator: ", ") + "; say which"
        }
    }
}
