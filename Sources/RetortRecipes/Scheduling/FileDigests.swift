import Foundation
import RetortCore
import RetortHub
import RetortLLM
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The SHA-256 of files, cached by device, inode, size and times, so that weights are read once and not on each run.
///
/// A file that changed within the last second is read each time, because its times may not reveal a second change.
public final class FileDigests: Sendable {
    private struct Known: Codable {
        /// Device, inode, size, and the nanoseconds of the last changes of content and of the inode.
        var state: String
        var digest: String
    }

    private let file: URL?
    private let known: Mutex<[String: Known]>

    /// - Parameter file: the cache between runs; nil for none.
    public init(_ file: URL? = nil) {
        self.file = file
        let kept = file.flatMap { try? Data(contentsOf: $0) }.flatMap {
            try? JSONCoding.decoder.decode([String: Known].self, from: $0)
        }
        known = Mutex(kept ?? [:])
    }

    /// - Throws: `RunError.unreadable`.
    func file(_ url: URL) throws -> String {
        let path = url.standardizedFileURL.path
        let (state, isSettled) = try Self.state(path)
        if let kept = known.withLock({ $0[path] }), kept.state == state { return kept.digest }
        let digest = try Self.read(path)
        if isSettled { remember(path, Known(state: state, digest: digest)) }
        return digest
    }

    /// A model's weights: each file of the model, by name and content, including an adapter's base. For a GGUF file
    /// only the content counts, not its name.
    /// - Throws: `RunError.unreadable`, also for a folder that does not exist.
    public func model(_ folder: URL) throws -> String {
        if CheckpointSource.isGGUF(folder) {
            return ContentDigest.of(try ["gguf"] + CheckpointSource.files(ofGGUF: folder).map { try file($0) })
        }
        let files = try Self.modelFiles(folder)
        var parts = try files.flatMap { [$0, try file(folder.appendingPathComponent($0))] }
        if files.contains("adapter_config.json"), let base = Self.base(of: folder) { parts.append(try model(base)) }
        return ContentDigest.of(parts)
    }

    /// The digest of a folder's weights; nil when it contains none.
    func modelIfThere(_ folder: URL) throws -> String? {
        let adapter = folder.appendingPathComponent("adapter_config.json").path
        let isThere = CheckpointSource.holdsModel(folder) || FileManager.default.fileExists(atPath: adapter)
        return isThere ? try model(folder) : nil
    }

    private static let endings: Set<String> = ["json", "safetensors", "jinja", "model", "txt", "tiktoken"]
    /// A Seedling's record of how it was made, and a training's state between two updates.
    private static let strangers: Set<String> = ["manifest.json", "training.safetensors", "training.json"]

    /// The only folder below a model's that is read with it: further chat templates by name.
    private static let templates = "additional_chat_templates"

    /// The files of a model, by their paths in its folder.
    /// - Throws: `RunError.unreadable`.
    static func modelFiles(_ folder: URL) throws -> [String] {
        let (names, more): ([String], [String])
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            let below = folder.appendingPathComponent(templates)
            more = names.contains(templates) ? try FileManager.default.contentsOfDirectory(atPath: below.path) : []
        } catch {
            throw RunError.unreadable(folder.path, "the folder is not there, or cannot be listed")
        }
        let own = names.filter { endings.contains(URL(fileURLWithPath: $0).pathExtension) && !strangers.contains($0) }
        return own.filter { !$0.hasPrefix(".") }.sorted()
            + more.filter { $0.hasSuffix(".jinja") }.sorted().map { "\(templates)/\($0)" }
    }

    private static func base(of adapter: URL) -> URL? {
        ModelLocator().base(ofAdapter: adapter).flatMap { CheckpointSource.holdsModel($0) ? $0 : nil }
    }

    private static func state(_ path: String) throws -> (text: String, isSettled: Bool) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw RunError.unreadable(path, String(cString: strerror(errno))) }
        #if canImport(Darwin)
            let (content, inode) = (status.st_mtimespec, status.st_ctimespec)
        #else
            let (content, inode) = (status.st_mtim, status.st_ctim)
        #endif
        let times = [content, inode].map { "\($0.tv_sec).\($0.tv_nsec)" }
        let text = "\(status.st_dev) \(status.st_ino) \(status.st_size) \(times.joined(separator: " "))"
        return (text, Date().timeIntervalSince1970 - Double(inode.tv_sec) > 2)
    }

    private static func read(_ path: String) throws -> String {
        do {
            return try ContentHash.sha256([URL(fileURLWithPath: path)])
        } catch {
            if error is CancellationError { throw error }
            throw RunError.unreadable(path, "\(error)")
        }
    }

    /// If the cache cannot be written, the file is read again next time.
    private func remember(_ path: String, _ digest: Known) {
        let all = known.withLock { known in
            known[path] = digest
            return known
        }
        if let file, let data = try? JSONCoding.encoder.encode(all) { try? AtomicFile.write(data, to: file) }
    }
}
