import Foundation
import RetortCore

/// Reads trajectories that others recorded, in any format.
///
/// ```swift
/// let (trajectories, account) = try RecordedTrajectories.read(file, format: .auto)
/// print(account)          // which format it was, what was left out and why
/// ```
public enum RecordedTrajectories {
    /// What is known in addition to the file.
    public struct Options: Sendable {
        /// How answers are graded, for questions of no known task.
        public var family: AgentTask.Family
        /// The name of the tasks' split.
        public var split: String
        /// The tasks that were worked on; records get their ids and references back, by their questions.
        public var tasks: [AgentTask]
        let known: [String: AgentTask]

        /// Training tasks with factual answers by default.
        public init(family: AgentTask.Family = .factual, split: String = "train", tasks: [AgentTask] = []) {
            self.family = family
            self.split = split
            self.tasks = tasks
            known = Dictionary(tasks.map { ($0.question, $0) }, uniquingKeysWith: { first, _ in first })
        }

        /// The trajectory with the known task of its question, where there is one.
        func adopted(_ trajectory: Trajectory) -> Trajectory {
            let own = trajectory.task
            guard var task = known[own.question], task.id != own.id else { return trajectory }
            var trajectory = trajectory
            task.metadata.merge(own.metadata) { known, _ in known }
            if !own.tools.isEmpty { task.tools = own.tools }
            trajectory.task = task
            trajectory.number(trajectory.provenance.attempt)
            return trajectory
        }
    }

    /// The trajectories of a file, or of a folder of logs, and what happened to each record.
    /// - Throws: `RecordedTrajectoriesError` for a file whose format is unknown, and the formats' own errors for a file
    ///   that cannot be read at all.
    public static func read(
        _ url: URL, format: TrajectoryFormat, options: Options = Options()
    ) throws -> (trajectories: [Trajectory], account: ImportAccount) {
        let (stored, account) = try stored(url, format: format, options: options)
        return (stored.map(\.trajectory), account)
    }

    /// The same, with the grades that some logs contain.
    public static func stored(
        _ url: URL, format: TrajectoryFormat, options: Options = Options()
    ) throws -> (trajectories: [StoredTrajectory], account: ImportAccount) {
        var all: [StoredTrajectory] = []
        let account = try forEach(url, format: format, options: options) { all.append($0) }
        return (all, account)
    }

    /// Calls `body` with each trajectory as it is read. Of files with one record per line only one is in memory at a
    /// time.
    public static func forEach(
        _ url: URL, format: TrajectoryFormat, options: Options = Options(), _ body: (StoredTrajectory) throws -> Void
    ) throws -> ImportAccount {
        let files = try files(in: url)
        let format = try format == .auto ? recognised(url, files) : format
        var names = TrajectoryNames()
        var matched = 0
        var account = ImportAccount()
        func give(_ stored: StoredTrajectory, _ record: Int) throws {
            var stored = stored
            stored.trajectory = names.named(options.adopted(stored.trajectory), record: record)
            if options.known[stored.trajectory.task.question] != nil { matched += 1 }
            try body(stored)
        }
        switch format {
        case .auto: break
        case .toolbench where files != [url]:
            let read = try ToolBenchImporter(split: options.split).read(url)
            account = read.account
            for (index, trajectory) in read.trajectories.enumerated() {
                try give(StoredTrajectory(trajectory: trajectory, verdict: nil), index + 1)
            }
        case .tora, .fireact, .toolbench, .atif, .distillationLog:
            try published(files, format, options, &account, give)
        case .claudeCode: try logs(files, ClaudeCodeLog.self, options, &account, give)
        case .codex: try logs(files, CodexLog.self, options, &account, give)
        case .trajectories: try records(files, OwnRecords(), options, &account, give)
        case .messages: try records(files, ChatRecords(form: .messages), options, &account, give)
        case .promptCompletion: try records(files, ChatRecords(form: .promptCompletion), options, &account, give)
        case .shareGPT: try records(files, ChatRecords(form: .shareGPT), options, &account, give)
        case .smolagents: try records(files, SmolagentsMemory(), options, &account, give)
        }
        account.format = format
        for note in names.notes { account.repair(note.record, note.fault) }
        if !options.known.isEmpty { account.matched = matched }
        if url != files[0], ![.claudeCode, .codex, .toolbench].contains(format) {
            try noteOthers(in: url, files, &account)
        }
        return account
    }

    // MARK: Files

    /// A file, or the logs in a folder in the order of their paths.
    package static func files(in url: URL) throws -> [URL] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
            throw JSONFileError.missing(file: url.path)
        }
        guard isFolder.boolValue else {
            let place = url.resolvingSymlinksInPath().path
            let kind = try? FileManager.default.attributesOfItem(atPath: place)[.type] as? FileAttributeType
            guard kind == .typeRegular else {
                throw JSONFileError.malformed(
                    file: url.path, reason: "it is a pipe or a device, and a file is read more than once; save it first"
                )
            }
            return [url]
        }
        let paths = FileManager.default.enumerator(atPath: url.path)?.compactMap { $0 as? String } ?? []
        // Agents keep indexes and settings in other files beside their logs.
        let lines = paths.filter { $0.hasSuffix(".jsonl") || $0.hasSuffix(".ndjson") }
        let files = (lines.isEmpty ? paths.filter { $0.hasSuffix(".json") } : lines).sorted()
            .map(url.appendingPathComponent)
        guard !files.isEmpty else { throw RecordedTrajectoriesError.empty(file: url.path) }
        return files
    }

    /// Notes the JSON files of a folder that were not read because there are files of lines.
    private static func noteOthers(in url: URL, _ files: [URL], _ account: inout ImportAccount) throws {
        guard files[0].pathExtension != "json" else { return }
        let paths = FileManager.default.enumerator(atPath: url.path)?.compactMap { $0 as? String } ?? []
        for path in paths.sorted() where path.hasSuffix(".json") {
            account.leaveUnread(1, "\(path), for the folder has files of one record per line")
        }
    }

    private static func recognised(_ url: URL, _ files: [URL]) throws -> TrajectoryFormat {
        var found: [TrajectoryFormat] = []
        for file in files {
            let format: TrajectoryFormat
            do {
                format = try FormatRecognition.format(of: RecordFile(file), isOneOfMany: files.count > 1)
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

    // MARK: Published sets

    private static func published(
        _ files: [URL], _ format: TrajectoryFormat, _ options: Options, _ account: inout ImportAccount,
        _ give: (StoredTrajectory, Int) throws -> Void
    ) throws {
        for file in files {
            var (stored, told) = try published(file, format, options)
            try PublishedKeys.check(file, format, &told)
            account.merge(told, files.count > 1 ? "\(file.lastPathComponent): " : "")
            for (index, trajectory) in stored.enumerated() { try give(trajectory, index + 1) }
        }
    }

    private static func published(
        _ file: URL, _ format: TrajectoryFormat, _ options: Options
    ) throws -> ([StoredTrajectory], ImportAccount) {
        func bare(_ read: (trajectories: [Trajectory], account: ImportAccount)) -> ([StoredTrajectory], ImportAccount) {
            (read.trajectories.map { StoredTrajectory(trajectory: $0, verdict: nil) }, read.account)
        }
        let (family, split) = (options.family, options.split)
        switch format {
        case .toolbench: return bare(try ToolBenchImporter(split: split).read(file))
        case .atif: return bare(try ATIFImporter(family: family, split: split).read(file))
        case .distillationLog:
            return try DistillationLogImporter(family: family, split: split, questions: options.tasks).read(file)
        case .fireact: return bare(try FireActImporter.records(of: file, family: family, split: split))
        default:
            let source = file.deletingPathExtension().lastPathComponent
            let importer = split == "test" ? ToRAImporter() : ToRAImporter(source: source, split: split)
            return bare(try importer.read(file))
        }
    }

    // MARK: Records

    private static func records(
        _ files: [URL], _ reader: some RecordReader, _ options: Options, _ account: inout ImportAccount,
        _ give: (StoredTrajectory, Int) throws -> Void
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
                    try give(StoredTrajectory(trajectory: one.trajectory, verdict: nil), number)
                    account.imported += 1
                }
            }
            let file = try RecordFile(url)
            // A single memory is a list of steps.
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
        _ give: (StoredTrajectory, Int) throws -> Void
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
                    try give(StoredTrajectory(trajectory: read.trajectory, verdict: nil), run.line)
                    account.imported += 1
                }
            }
            for (what, lines) in log.notes.unread { for line in lines { account.leaveUnread(line, place + what) } }
            for (what, lines) in log.notes.repairs { for line in lines { account.repair(line, place + what) } }
        }
    }
}

/// Reads Retort's own trajectories. A member that this version does not know is reported.
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

    /// Notes what a record contains and its parsed form does not.
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

/// A file of trajectories that cannot be imported.
public enum RecordedTrajectoriesError: Error, CustomStringConvertible, Equatable {
    /// It contains no record.
    case empty(file: String)
    /// No format fits its records; the names are those of the first record that no format fits.
    case unrecognised(file: String, names: [String])
    /// Several formats fit.
    case ambiguous(file: String, candidates: [TrajectoryFormat])

    /// A message for users: what is wrong, and what to do.
    public var description: String {
        switch self {
        case .empty(let file): "\(file) holds no record; give another file"
        case .unrecognised(let file, let names):
            "\(file) is in no known format: a record has "
                + (names.isEmpty ? "no names" : names.prefix(12).map { "'\($0)'" }.joined(separator: ", "))
                + "; the formats are " + TrajectoryFormat.named.map(\.rawValue).joined(separator: ", ")
        case .ambiguous(let file, let candidates):
            "\(file) may be in one of several formats: "
                + candidates.map(\.rawValue).joined(separator: ", ") + "; say which"
        }
    }
}
