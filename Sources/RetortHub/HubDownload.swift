import Foundation
import RetortCore

/// Brings a model into the cache: resumed where it was interrupted, checked by its hashes, and never half there.
struct HubDownload: Sendable {
    let settings: HubSettings
    let progress: @Sendable (FetchProgress) -> Void

    /// How long another process that fetches the same is waited for, in seconds.
    private static let longestWait = 3600.0

    private var cache: HubCache { HubCache(root: settings.cache) }

    /// Fetches what of a model is not there.
    /// - Returns: its folder, or its GGUF file.
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

    /// A file's content under its hash.
    private func bring(
        _ file: HubRepository.File, _ name: ModelName, _ commit: String, _ client: HubClient
    ) async throws -> String {
        guard let key = file.key else {
            throw HubError.malformed(what: "\(name.repository)/\(file.path)", reason: "it has no hash")
        }
        let blob = cache.blob(name, key)
        guard !FileManager.default.fileExists(atPath: blob.path) else { return key }
        let part = blob.appendingPathExtension("incomplete")
        // What is damaged once may have been cut by an earlier process; it is fetched from its beginning once more.
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
        // An empty file has no bytes that could have made one.
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
    /// So many bytes of a file are there; `of` is nil where its size is not known.
    case file(path: String, bytes: Int64, of: Int64?)
    /// Another process fetches the same.
    case waiting(name: String)
    /// A Python package is being fetched.
    case package(String)
}
