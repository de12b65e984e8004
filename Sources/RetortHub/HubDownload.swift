import Foundation
import RetortCore

/// Brings a model into the cache: resumed where it was interrupted, verified by its hashes, and never visible
/// half-fetched.
struct HubDownload: Sendable {
    let settings: HubSettings
    let progress: @Sendable (FetchProgress) -> Void

    /// The longest wait for another process that fetches the same model, in seconds.
    private static let longestWait = 3600.0

    private var cache: HubCache { HubCache(root: settings.cache) }

    /// Fetches the files of a model that are missing.
    /// - Returns: the model's folder, or its GGUF file.
    /// - Throws: `HubError`.
    func fetch(_ name: ModelName) async throws -> URL {
        guard !settings.isOffline else { throw HubError.offline(name: name.description, cache: settings.cache.path) }
        return try await HubClient.with(settings) { client in
            let repository = try await client.repository(name)
            let chosen = try ModelFiles(repository, name: name)
            let lock = settings.cache.appendingPathComponent(".locks/\(name.folder)/retort.lock")
            let folder = cache.folder(name)
            return try await FileLock.holding(
                lock, seconds: Self.longestWait, waiting: { progress(.waiting(name: name.description)) }
            ) {
                try makeFolder(folder.appendingPathComponent("blobs"))
                try checkSpace(chosen.files, name)
                for file in chosen.files {
                    try Task.checkCancellation()
                    let key = try await bring(file, name, repository.commit, client)
                    try writing(folder) { try cache.link(file.path, to: key, of: name, commit: repository.commit) }
                }
                try writing(folder) { try cache.note(repository.commit, for: name) }
                let snapshot = cache.snapshot(name, repository.commit)
                return chosen.main.map { snapshot.appendingPathComponent($0) } ?? snapshot
            }
        }
    }

    /// Fetches a file's content, which is stored under its hash.
    private func bring(
        _ file: HubRepository.File, _ name: ModelName, _ commit: String, _ client: HubClient
    ) async throws -> String {
        guard let key = file.key else {
            throw HubError.malformed(what: "\(name.repository)/\(file.path)", reason: "it has no hash")
        }
        let blob = cache.blob(name, key)
        guard !FileManager.default.fileExists(atPath: blob.path) else { return key }
        let part = blob.appendingPathExtension("incomplete")
        // A file may be damaged because an earlier process was interrupted; it is fetched once more from its
        // beginning.
        do {
            try await whole(file, name, commit, client, part)
        } catch HubError.damaged {
            try await whole(file, name, commit, client, part)
        }
        try writing(blob) { try FileManager.default.moveItem(at: part, to: blob) }
        return key
    }

    private func whole(
        _ file: HubRepository.File, _ name: ModelName, _ commit: String, _ client: HubClient, _ part: URL
    ) async throws {
        try await client.fetch(file, of: name, commit: commit, into: part) { bytes in
            progress(.file(path: file.path, bytes: bytes, of: file.size))
        }
        // No bytes arrive for an empty file that could have created it.
        if !FileManager.default.fileExists(atPath: part.path) { try PartFile(part, keeping: 0).close() }
        let found =
            try file.sha256 != nil
            ? ContentHash.sha256([part]) : ContentHash.gitBlob(part, size: HubClient.size(of: part))
        guard found == file.key else {
            try? FileManager.default.removeItem(at: part)
            throw HubError.damaged(
                file: "\(name.repository)/\(file.path)", reason: "its hash is \(found), and should be \(file.key ?? "")"
            )
        }
    }

    private func makeFolder(_ folder: URL) throws {
        try writing(folder) { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
    }

    private func checkSpace(_ files: [HubRepository.File], _ name: ModelName) throws {
        let needed = files.reduce(Int64(0)) { sum, file in
            guard let key = file.key, let size = file.size else { return sum }
            let blob = cache.blob(name, key)
            if FileManager.default.fileExists(atPath: blob.path) { return sum }
            return sum + max(0, size - HubClient.size(of: blob.appendingPathExtension("incomplete")))
        }
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: settings.cache.path)
        guard let free = (attributes?[.systemFreeSize] as? NSNumber)?.int64Value, needed > free else { return }
        throw HubError.noSpace(folder: settings.cache.path, needed: needed, free: free)
    }

    private func writing<Value>(_ place: URL, _ work: () throws -> Value) throws -> Value {
        do {
            return try work()
        } catch {
            throw HubError.cannotWrite(path: place.path, reason: "\(error)")
        }
    }
}

/// How far the fetching of a model is.
public enum FetchProgress: Sendable, Equatable {
    /// The number of bytes of a file that are there; `of` is nil when its size is not known.
    case file(path: String, bytes: Int64, of: Int64?)
    /// Another process is fetching the same model.
    case waiting(name: String)
    /// A Python package is being fetched.
    case package(String)
}
