import Foundation
import RetortCore

/// An agent's folder, read and checked: nothing in it leads outside, everything that it names exists, and no other file
/// is where it would be read.
struct AgentFolder: Sendable {
    let url: URL
    let file: AgentFile

    /// Reads `agent.json` and checks the names and sizes of all files.
    /// - Throws: `AgentError`.
    init(_ url: URL) throws {
        self.url = url.standardizedFileURL
        file = try AgentFile(in: url)
        try checkFiles()
        try checkPlayers()
        try checkDomain()
    }

    /// A path in the folder.
    func place(_ path: String) -> URL { url.appendingPathComponent(path) }

    /// Reads all files and compares them with `agent.json`.
    /// - Throws: `AgentError.changed`.
    func verify(_ digests: FileDigests) throws {
        for (path, entry) in file.files.sorted(by: { $0.key < $1.key })
        where try digests.file(place(path)) != entry.sha256 {
            throw AgentError.changed(folder: url.path, path: path)
        }
    }

    /// Identifies the content of a part of the folder.
    func content(under folder: String) -> String {
        let own = file.files.filter { $0.key.hasPrefix(folder + "/") }.sorted { $0.key < $1.key }
        return ContentDigest.of(own.flatMap { [String($0.key.dropFirst(folder.count)), $0.value.sha256] })
    }

    // MARK: Looking through it

    private func kind(_ path: String) -> FileAttributeType? {
        try? FileManager.default.attributesOfItem(atPath: place(path).path)[.type] as? FileAttributeType
    }

    private func checkFiles() throws {
        let files = FileManager.default
        for (path, entry) in file.files.sorted(by: { $0.key < $1.key }) {
            var parent = (path as NSString).deletingLastPathComponent
            while !parent.isEmpty {
                guard let kind = kind(parent) else { throw AgentError.missing(folder: url.path, path: path) }
                guard kind == .typeDirectory else { throw AgentError.notAFile(folder: url.path, path: parent) }
                parent = (parent as NSString).deletingLastPathComponent
            }
            guard let found = try? files.attributesOfItem(atPath: place(path).path) else {
                throw AgentError.missing(folder: url.path, path: path)
            }
            guard found[.type] as? FileAttributeType == .typeRegular else {
                throw AgentError.notAFile(folder: url.path, path: path)
            }
            let bytes = (found[.size] as? NSNumber)?.intValue ?? 0
            guard bytes == entry.bytes else {
                throw AgentError.cut(folder: url.path, path: path, bytes: bytes, expected: entry.bytes)
            }
        }
        for top in Set(file.files.keys.compactMap { $0.split(separator: "/").first.map(String.init) }).sorted()
        where kind(top) == .typeDirectory {
            try checkStrays(top)
        }
    }

    /// Checks for further files beside weights, modules and documents, which would be read, too.
    private func checkStrays(_ folder: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: place(folder).path).sorted()
        where !name.hasPrefix(".") {
            let path = "\(folder)/\(name)"
            if kind(path) == .typeDirectory {
                try checkStrays(path)
            } else if file.files[path] == nil {
                throw AgentError.stray(folder: url.path, path: path)
            }
        }
    }

    private func has(_ path: String) -> Bool {
        file.files[path] != nil || file.files.keys.contains { $0.hasPrefix(path + "/") }
    }

    private func checkPlayers() throws {
        for player in file.players.values {
            if let weights = player.weights {
                guard has("\(weights)/config.json") else {
                    throw AgentError.missing(folder: url.path, path: "\(weights)/config.json")
                }
                // This file would make an adapter of the folder, over weights that are somewhere else.
                guard !has("\(weights)/adapter_config.json") else {
                    throw AgentError.stray(folder: url.path, path: "\(weights)/adapter_config.json")
                }
                try checkShards("\(weights)/model.safetensors.index.json")
            }
            if let adapter = player.adapter {
                for name in ["adapter_config.json", "adapter_model.safetensors"] where !has("\(adapter)/\(name)") {
                    throw AgentError.missing(folder: url.path, path: "\(adapter)/\(name)")
                }
            }
        }
    }

    /// Checks that the files named in an index of shards are beside it.
    private func checkShards(_ path: String) throws {
        guard has(path) else { return }
        let map = try? ExactJSON.value(of: Data(contentsOf: place(path)))["weight_map"]?.object
        for name in Set((map ?? [:]).values.compactMap(\.string)).sorted() where name.contains("/") {
            throw AgentError.outside(file: place(path).path, path: name)
        }
    }

    private func checkDomain() throws {
        for path in file.domain.paths where !has(path) { throw AgentError.missing(folder: url.path, path: path) }
    }
}
