import Foundation
import RetortCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Where a run keeps everything: manifest, trajectories, checkpoints, results.
///
/// One process works in a folder at a time; the kernel lets go of the lock when that process dies, however it dies.
public final class RunFolder: Sendable {
    /// The folder itself.
    public let url: URL
    private let lock: Int32

    /// Opens a folder for work, and makes it when it is not there.
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
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw RunError.inUse(url.path)
        }
        self.url = url
    }

    deinit { close(lock) }

    var manifestFile: URL { url.appendingPathComponent("manifest.json") }
    /// What the judge was asked and said.
    var judgeFile: URL { url.appendingPathComponent("judge.sqlite") }
    var storeFile: URL { url.appendingPathComponent("trajectories.sqlite") }
    var summaryFile: URL { url.appendingPathComponent("summary.json") }
    var reportFile: URL { url.appendingPathComponent("report.html") }
    var figuresFile: URL { url.appendingPathComponent("summary.csv") }
    var tableFile: URL { url.appendingPathComponent("report.md") }
    func checkpoint(_ student: String, _ style: Recipe.Style) -> URL {
        url.appendingPathComponent("checkpoints/\(student)/\(style.rawValue)")
    }
    func result(_ name: String) -> URL { url.appendingPathComponent("results/\(name).json") }
}

/// What a run did: its recipe, and each finished stage with the hash of all it depended on.
public struct Manifest: Codable, Sendable, Hashable {
    /// A finished stage.
    public struct Stage: Codable, Sendable, Hashable {
        /// Of the recipe's part, the data and the stages before.
        public var hash: String
        public var seconds: Double
        public var finished: Date
    }

    /// The recipe as it was understood.
    public var recipe: Recipe
    /// Retort's version.
    public var version: String
    /// By stage name.
    public var stages: [String: Stage]

    /// Reads `manifest.json` of a run folder.
    public init(folder: URL) throws {
        let file = folder.appendingPathComponent("manifest.json")
        guard let data = try? Data(contentsOf: file) else { throw RunError.noRun(folder.path) }
        do {
            self = try JSONCoding.decoder.decode(Self.self, from: data)
        } catch {
            throw RunError.damaged(file.path, "\(error)")
        }
    }

    init(recipe: Recipe, stages: [String: Stage]) {
        self.recipe = recipe
        version = Retort.version
        self.stages = stages
    }
}

/// A run that cannot be opened or go on.
public enum RunError: Error, CustomStringConvertible {
    case cannotWrite(String, String)
    case inUse(String)
    case noRun(String)
    case damaged(String, String)
    case nothingToTrainOn(style: String, of: Int)
    case noAgent(String)
    case noTeacher

    public var description: String {
        switch self {
        case .cannotWrite(let path, let reason): "\(path) cannot be written: \(reason)"
        case .inUse(let path): "another process is working in \(path); wait for it, or choose another --folder"
        case .noRun(let path): "\(path) holds no run; make one with 'retort run RECIPE'"
        case .damaged(let path, let reason):
            "\(path) cannot be read: \(reason); name another folder with --folder, or move this one away, and run again"
        case .nothingToTrainOn(let style, let count):
            "none of the teacher's \(count) trajectories for '\(style)' passed the filters; "
                + "see results/filter.json for the reasons"
        case .noTeacher:
            "the recipe has no teacher that costs anything; name one with 'teacher' or --teacher URL"
        case .noAgent(let path): "\(path) has no distilled agent yet; finish it with 'retort run RECIPE'"
        }
    }
}
