import Foundation
import RetortCore

/// The cache that `huggingface_hub` and Retort share: `models--ORG--NAME/snapshots/COMMIT/` with links into `blobs/`,
/// and `refs/REVISION` with the commit of a branch or tag.
struct HubCache: Sendable {
    let root: URL

    /// A model in the cache: its folder, or its GGUF file; nil when it or a part of it is missing.
    func find(_ name: ModelName) -> URL? {
        guard let commit = commit(of: name) else { return nil }
        return whole(snapshot(name, commit), name)
    }

    /// All complete models by name, each at the commit of its `main` branch (or of its only other branch or tag).
    func models() -> [(name: ModelName, place: URL)] {
        let folders = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        return folders.sorted().flatMap { folder -> [(name: ModelName, place: URL)] in
            let parts = folder.split(separator: "--", omittingEmptySubsequences: false)
            guard parts.count == 3, parts[0] == "models", let name = ModelName("\(parts[1])/\(parts[2])") else {
                return []
            }
            let refs = (try? FileManager.default.contentsOfDirectory(atPath: refs(name).path)) ?? []
            let named = refs.sorted().compactMap {
                ModelName($0 == "main" ? name.repository : "\(name.repository)@\($0)")
            }
            return named.flatMap(entries)
        }
    }

    /// The model's folder, or each of its GGUF files if there are several.
    private func entries(_ name: ModelName) -> [(name: ModelName, place: URL)] {
        if let place = find(name) { return [(name, place)] }
        guard let commit = commit(of: name), let all = listing(snapshot(name, commit), name),
            case .choice(_, let files)? = Result(catching: { () throws(HubError) in try ModelFiles(all, name: name) })
                .failure
        else { return [] }
        return files.compactMap { file in
            guard let one = ModelName("\(name):\(file)"), let place = find(one) else { return nil }
            return (one, place)
        }
    }

    private func commit(of name: ModelName) -> String? {
        let revision = name.revision ?? "main"
        if let text = try? String(contentsOf: refs(name).appendingPathComponent(revision), encoding: .utf8) {
            return text.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        return FileManager.default.fileExists(atPath: snapshot(name, revision).path) ? revision : nil
    }

    /// The folder or file of a snapshot to open, if the snapshot is complete.
    private func whole(_ snapshot: URL, _ name: ModelName) -> URL? {
        guard let all = listing(snapshot, name), let chosen = try? ModelFiles(all, name: name) else { return nil }
        if let main = chosen.main {
            // Each part's name gives the number of parts: `-00001-of-00003`.
            let count = main.firstMatch(of: /-of-([0-9]{5})\.gguf$/.ignoresCase()).flatMap { Int($0.1) } ?? 1
            return chosen.files.count == count ? snapshot.appendingPathComponent(main) : nil
        }
        let names = Set(chosen.files.map(\.path))
        guard names.contains("config.json") || names.contains("adapter_config.json") else { return nil }
        let index = snapshot.appendingPathComponent("model.safetensors.index.json")
        guard names.contains(index.lastPathComponent) else { return snapshot }
        guard let data = try? Data(contentsOf: index), let map = (try? ExactJSON.value(of: data))?["weight_map"]?.object
        else {
            return nil
        }
        return Set(map.values.compactMap(\.string)).isSubset(of: names) ? snapshot : nil
    }

    /// The readable files of a snapshot; a link whose target is gone does not count.
    private func listing(_ snapshot: URL, _ name: ModelName) -> HubRepository? {
        guard let paths = FileManager.default.enumerator(atPath: snapshot.path) else { return nil }
        let files = paths.compactMap { $0 as? String }.filter { path in
            var isFolder: ObjCBool = false
            let file = snapshot.appendingPathComponent(path).path
            return FileManager.default.fileExists(atPath: file, isDirectory: &isFolder) && !isFolder.boolValue
        }
        return HubRepository(commit: snapshot.lastPathComponent, paths: files.sorted())
    }

    // MARK: Places

    func folder(_ name: ModelName) -> URL { root.appendingPathComponent(name.folder) }
    private func refs(_ name: ModelName) -> URL { folder(name).appendingPathComponent("refs") }
    func snapshot(_ name: ModelName, _ commit: String) -> URL {
        folder(name).appendingPathComponent("snapshots/\(commit)")
    }

    /// The place of a file's content, which is named by its hash.
    func blob(_ name: ModelName, _ key: String) -> URL { folder(name).appendingPathComponent("blobs/\(key)") }

    /// Links a completely fetched file into a snapshot.
    func link(_ path: String, to key: String, of name: ModelName, commit: String) throws {
        let link = snapshot(name, commit).appendingPathComponent(path)
        try FileManager.default.createDirectory(at: link.deletingLastPathComponent(), withIntermediateDirectories: true)
        let up = String(repeating: "../", count: path.split(separator: "/").count + 1)
        let target = "\(up)blobs/\(key)"
        if (try? FileManager.default.destinationOfSymbolicLink(atPath: link.path)) == target { return }
        try? FileManager.default.removeItem(at: link)
        try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: target)
    }

    /// Records the commit of a revision, once all of it is there.
    func note(_ commit: String, for name: ModelName) throws {
        guard name.revision != commit else { return }
        let file = refs(name).appendingPathComponent(name.revision ?? "main")
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(commit.utf8).write(to: file, options: .atomic)
    }
}

extension HubRepository {
    /// The files on disk; only their paths are known.
    fileprivate init(commit: String, paths: [String]) {
        self.commit = commit
        files = paths.map { File(path: $0, size: nil, sha256: nil, blob: nil) }
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}
