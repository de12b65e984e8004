import Foundation
import RetortCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Where a run keeps everything: manifest, trajectories, checkpoints, results.
///
/// One process works in a folder at a time; the kernel releases the lock when that process ends, for any reason.
public final class RunFolder: Sendable {
    /// The folder itself.
    public let url: URL
    private let lock: Int32

    /// Opens a folder for work, and creates it when it does not exist.
    /// - Throws: `RunError` when another process works in it, or it cannot be written.
    public init(_ url: URL) throws {
        do {
            for folder in ["checkpoints", "results"] {
                try FileManager.default.createDirectory(
                    at: url.appendingPathComponent(folder), withIntermediateDirectories: true)
            }
        } catch {
            throw RunError.cannotWrite(url.path, "\(error.localizedDescription)")
        }
        let file = url.appendingPathComponent("lock").path
        lock = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0o644)
        guard lock >= 0 else { throw RunError.cannotWrite(file, String(cString: strerror(errno))) }
        // A process that was just forked holds the lock of a finished run until it has started its own program.
        var isLocked = flock(lock, LOCK_EX | LOCK_NB) == 0
        for _ in 0..<Self.lockTries where !isLocked {
            usleep(50_000)
            isLocked = flock(lock, LOCK_EX | LOCK_NB) == 0
        }
        guard isLocked else {
            close(lock)
            throw RunError.inUse(url.path)
        }
        self.url = url
    }

    private static let lockTries = 40

    /// Whether a process is working in a run's folder now.
    public static func isInUse(_ url: URL) -> Bool {
        let file = open(url.appendingPathComponent("lock").path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        // Released at once; a process that starts a run meanwhile retries for longer than that.
        guard flock(file, LOCK_SH | LOCK_NB) == 0 else { return true }
        flock(file, LOCK_UN)
        return false
    }

    deinit { close(lock) }

    /// Identifies this folder, even after it is moved.
    func identity() throws -> String {
        let file = url.appendingPathComponent("fleet.id")
        if let known = try? String(contentsOf: file, encoding: .utf8), !known.isEmpty { return known }
        let made = UUID().uuidString.lowercased()
        try AtomicFile.write(Data(made.utf8), to: file)
        return made
    }

    var manifestFile: URL { url.appendingPathComponent("manifest.json") }
    /// The digests of files that the run depends on.
    var digestsFile: URL { url.appendingPathComponent("digests.json") }
    /// The spending on models behind endpoints.
    var spendingFile: URL { url.appendingPathComponent("spending.jsonl") }
    /// The judge's questions and replies.
    var judgeFile: URL { url.appendingPathComponent("judge.sqlite") }
    /// The progress of its stages, line by line.
    var progressFile: URL { url.appendingPathComponent(ProgressJournal.file) }
    var storeFile: URL { url.appendingPathComponent("trajectories.sqlite") }
    var summaryFile: URL { url.appendingPathComponent("summary.json") }
    var reportFile: URL { url.appendingPathComponent("report.html") }
    var figuresFile: URL { url.appendingPathComponent("summary.csv") }
    var tableFile: URL { url.appendingPathComponent("report.md") }
    /// - Parameter training: its name, such as `agent`.
    func checkpoint(_ student: String, _ training: String) -> URL {
        url.appendingPathComponent("checkpoints/\(student)/\(training)")
    }
    func agent(_ student: String, _ system: String) -> URL {
        url.appendingPathComponent("\(AgentPlaces.folder)/\(student)/\(system)")
    }
    func result(_ name: String) -> URL { url.appendingPathComponent("results/\(name).json") }

    /// Makes `passages.jsonl` and `passages.sqlite` links to the documents of the present recipe.
    func link(_ documents: URL) throws {
        for ending in ["jsonl", "sqlite"] {
            let link = url.appendingPathComponent("passages.\(ending)")
            // A dangling link exists as well, although no file does.
            try? FileManager.default.removeItem(at: link)
            let target = documents.deletingPathExtension().appendingPathExtension(ending).lastPathComponent
            try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: target)
        }
    }

    /// Removes a result, if it is there.
    func remove(_ result: URL) throws {
        guard FileManager.default.fileExists(atPath: result.path) else { return }
        try FileManager.default.removeItem(at: result)
    }

    /// Removes agents that the recipe no longer makes, so that nobody opens them by mistake.
    /// - Parameter others: students whose agents stay.
    func removeAgents(besides stages: [AgentStage], of others: [String]) throws {
        let top = url.appendingPathComponent(AgentPlaces.folder)
        let kept = Set(stages.map(\.name))
        let names = { (folder: URL) in
            ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter { !$0.hasPrefix(".") }
        }
        for student in names(top) where !others.contains(student) {
            let own = top.appendingPathComponent(student)
            for system in names(own) where !kept.contains("\(AgentPlaces.folder)/\(student)/\(system)") {
                try remove(own.appendingPathComponent(system))
            }
            if names(own).isEmpty { try remove(own) }
        }
    }

    /// Removes the figures of an earlier run, which no longer match the results.
    func removeFigures() throws {
        for file in [summaryFile, reportFile, figuresFile, tableFile] { try remove(file) }
    }
}
