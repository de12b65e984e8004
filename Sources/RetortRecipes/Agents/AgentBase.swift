import Foundation
import RetortCore
import RetortHub
import RetortLLM

/// The base of an agent's adapters: what it is, and where it was. Its weights are not in the agent's folder; they are
/// recognised by their content, in any place.
struct AgentBase: Codable, Sendable, Hashable {
    /// The name of its folder.
    var name: String
    /// Where it was on the machine that trained.
    var place: String
    /// Identifies its weights, configuration, tokenizer and template (`FileDigests.model`).
    var digest: String
    /// The total size of these files, by which most other folders are excluded at once.
    var bytes: Int

    /// The variable that names folders of models, separated by `:`.
    static let variable = "RETORT_MODELS"
    /// How many folders above the agent's are searched, and how many entries of each.
    private static let (levels, mostEntries) = (4, 500)

    init(_ folder: URL, _ digests: FileDigests) throws {
        place = folder.standardizedFileURL.path
        name = folder.lastPathComponent
        digest = try digests.model(folder)
        bytes = try FileDigests.modelBytes(folder)
    }

    /// Finds the base.
    /// - Parameters:
    ///   - given: the user's choice; nothing else is then searched.
    ///   - agent: the agent's folder, which the base may be beside.
    ///   - environment: contains `RETORT_MODELS`.
    /// - Throws: `AgentError.wrongBase`, `AgentError.noBase`, `RunError.unreadable`.
    func found(
        given: URL?, beside agent: URL, title: String, _ digests: FileDigests,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> URL {
        if let given {
            let found = try digests.model(given)
            guard found == digest else {
                throw AgentError.wrongBase(given.path, agent: title, expected: digest, found: found)
            }
            return given
        }
        let candidates = candidates(beside: agent, environment)
        for candidate in candidates where (try? FileDigests.modelBytes(candidate)) == bytes {
            if (try? digests.model(candidate)) == digest { return candidate }
        }
        throw AgentError.noBase(
            agent: title, base: name, digest: digest, looked: candidates.prefix(8).map(\.path))
    }

    /// The possible places: the original one, beside the agent or a folder above it, the user's models, the hub's
    /// cache.
    private func candidates(beside agent: URL, _ environment: [String: String]) -> [URL] {
        var homes: [URL] = []
        var above = agent.standardizedFileURL
        for _ in 0..<Self.levels where above.path != "/" {
            above = above.deletingLastPathComponent()
            homes.append(above)
        }
        homes += (environment[Self.variable] ?? "").split(separator: ":").map { URL(fileURLWithPath: String($0)) }
        let inside = homes.flatMap { home in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: home.path)) ?? []
            // Folders of the same name come first.
            return names.sorted { ($0 != name ? 1 : 0, $0) < ($1 != name ? 1 : 0, $1) }.prefix(Self.mostEntries)
                .map { home.appendingPathComponent($0) }
        }
        var known: Set<String> = []
        let cached = ModelLocator(settings: HubSettings(environment: environment), environment: environment).models()
        return ([URL(fileURLWithPath: place)] + homes + inside + cached.map(\.place)).filter {
            Self.isModel($0) && known.insert($0.path).inserted
        }
    }

    private static func isModel(_ place: URL) -> Bool {
        let files = FileManager.default
        return place.pathExtension == "gguf" && files.fileExists(atPath: place.path)
            || files.fileExists(atPath: place.appendingPathComponent("config.json").path)
    }
}

extension FileDigests {
    /// The size of all files of a model, in bytes.
    static func modelBytes(_ place: URL) throws -> Int {
        func bytes(_ file: URL) throws -> Int {
            try (FileManager.default.attributesOfItem(atPath: file.resolvingSymlinksInPath().path)[.size] as? NSNumber)?
                .intValue ?? 0
        }
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder)
        guard isFolder.boolValue else { return try bytes(place) }
        return try modelFiles(place).reduce(0) { try $0 + bytes(place.appendingPathComponent($1)) }
    }

    /// Caches the digests of a user's agents and bases, in the system's folder for caches.
    public static let ofUser = FileDigests(UserCache.folder?.appendingPathComponent("digests.json"))
}

/// A place for files that can be made again.
package enum UserCache {
    /// `retort` in the user's folder for caches (`XDG_CACHE_HOME`, `~/.cache`); nil when it cannot be written.
    package static let folder: URL? = {
        let caches = FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask).first
        guard let folder = caches?.appendingPathComponent("retort") else { return nil }
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return FileManager.default.isWritableFile(atPath: folder.path) ? folder : nil
    }()

    /// The folder for the indices of a domain's documents.
    /// - Parameter path: the path of the domain or the documents.
    package static func domain(_ path: String) -> URL {
        (folder ?? FileManager.default.temporaryDirectory)
            .appendingPathComponent("domains/\(String(StableHash.of(path), radix: 16))")
    }
}
