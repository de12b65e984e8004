import Foundation
import RetortCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Writes an agent's folder beside its place and then renames it: a stopped process leaves the old agent, or none.
struct AgentWriter {
    /// The folder that the agent will have.
    let target: URL
    private let digests: FileDigests
    private let files = FileManager.default

    init(_ target: URL, _ digests: FileDigests) {
        (self.target, self.digests) = (target, digests)
    }

    private var unfinished: URL { hidden("unfinished") }
    private var former: URL { hidden("former") }

    private func hidden(_ what: String) -> URL {
        target.deletingLastPathComponent().appendingPathComponent(".\(target.lastPathComponent).\(what)")
    }

    /// Writes the files, then `agent.json` with their sizes and digests.
    /// - Throws: `RunError.cannotWrite`, `RunError.unreadable`.
    func write(_ agent: AgentFile, _ packed: [PackedFile]) throws {
        var agent = agent
        try removeLeftovers()
        do {
            try files.createDirectory(at: unfinished, withIntermediateDirectories: true)
            var known: [String: URL] = [:]
            for file in packed {
                if let other = known.updateValue(file.source, forKey: file.path) {
                    guard other != file.source else { continue }
                    throw RunError.cannotWrite(
                        target.path, "\(other.path) and \(file.source.path) would both be '\(file.path)' in it")
                }
                agent.files[file.path] = try put(file)
            }
            let json = StrictJSON.pages(try ExactJSON.tree(agent)) + "\n"
            try AtomicFile.write(Data(json.utf8), to: unfinished.appendingPathComponent(AgentFile.name))
            // A folder that cannot be opened again is not an agent.
            _ = try AgentFolder(unfinished)
            if files.fileExists(atPath: target.path) { try files.moveItem(at: target, to: former) }
            try files.moveItem(at: unfinished, to: target)
        } catch let error as CocoaError {
            throw RunError.cannotWrite(target.path, error.localizedDescription)
        }
        try removeLeftovers()
    }

    /// Removes the agent, and the remains of stopped processes.
    func remove() throws {
        if files.fileExists(atPath: target.path) { try files.removeItem(at: target) }
        try removeLeftovers()
    }

    private func removeLeftovers() throws {
        for folder in [unfinished, former] where files.fileExists(atPath: folder.path) {
            try files.removeItem(at: folder)
        }
    }

    /// Puts a file into its place: as a hard link if the run made it, as a copy if it is the user's.
    private func put(_ file: PackedFile) throws -> AgentFile.Entry {
        let place = unfinished.appendingPathComponent(file.path)
        try files.createDirectory(at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
        let source = file.source.resolvingSymlinksInPath()
        if !file.isOurs || link(source.path, place.path) != 0 { try copy(source, to: place) }
        let bytes = (try files.attributesOfItem(atPath: place.path)[.size] as? NSNumber)?.intValue ?? 0
        return AgentFile.Entry(bytes: bytes, sha256: try digests.file(place))
    }

    private func copy(_ source: URL, to place: URL) throws {
        guard let from = FileHandle(forReadingAtPath: source.path) else {
            throw RunError.unreadable(source.path, "it cannot be opened")
        }
        defer { try? from.close() }
        try AtomicFile.write(to: place) { to in
            while let part = try from.read(upToCount: 1 << 22), !part.isEmpty { try to.write(contentsOf: part) }
        }
    }
}
