import Foundation

/// Finds agents in a place: a folder of one, a run that made some, or a folder of such folders.
public struct AgentPlaces: Sendable {
    /// An agent that was found, but not opened.
    public struct Found: Sendable, Hashable {
        /// Its folder.
        public let folder: URL
        /// The name of its student.
        public let student: String
        /// Its name among its student's agents.
        public let system: String

        /// Its name for people: `student/system`.
        public var title: String { "\(student)/\(system)" }

        /// Whether it acts, as far as its name tells; a name that is not a style's is taken for an acting agent's.
        public var acts: Bool { Recipe.Style(rawValue: system)?.isAgent ?? true }
    }

    /// Sorted by student, and for each student by system: those that answer in one go come first.
    public let found: [Found]
    /// The folder in a run that holds its agents.
    static let folder = "agent"

    /// Whether a place contains agents, or is a run that may make some.
    public static func isPlace(_ url: URL) -> Bool {
        isRun(url) || !folders(in: url).isEmpty
    }

    /// Searches a place.
    /// - Throws: `AgentError.noAgent`, and for an `agent.json` that does not name its student and system.
    public init(_ url: URL) throws {
        let folders = Self.folders(in: url)
        guard !folders.isEmpty else {
            throw AgentError.noAgent(url.path, isRun: Self.isRun(url))
        }
        found = try folders.map { folder in
            let (student, system) = try AgentFile.title(in: folder)
            return Found(folder: folder, student: student, system: system)
        }.sorted { a, b in
            guard a.student == b.student else {
                return a.student.compare(b.student, options: .numeric) == .orderedAscending
            }
            return (Self.rank(a), a.system) < (Self.rank(b), b.system)
        }
    }

    /// The agents of a student or with a name; without both all that act.
    /// - Parameter system: a system's name, such as `agent`, followed by a way of running it, such as `agent+sag`.
    /// - Throws: `AgentError.noSuch`.
    public func chosen(student: String? = nil, system: String? = nil) throws -> [(agent: Found, way: AgentWay)] {
        let own = found.filter { student == nil || $0.student == student }
        let chosen: [(agent: Found, way: AgentWay)]
        if let system {
            chosen = own.compactMap { agent in Self.way(system, of: agent.system).map { (agent, $0) } }
            // If both `agent+ftp` and `agent` match, the longer name is meant.
            let longest = chosen.map(\.agent.system.count).max()
            if let longest, !chosen.isEmpty { return chosen.filter { $0.agent.system.count == longest } }
        } else {
            let acting = own.filter(\.acts)
            chosen = (acting.isEmpty ? own : acting).map { ($0, AgentWay()) }
        }
        guard !chosen.isEmpty else {
            throw AgentError.noSuch(student: student, system: system, known: found.map(\.title))
        }
        return chosen
    }

    /// The last one of the chosen agents.
    /// - Throws: `AgentError.noSuch`.
    public func one(student: String? = nil, system: String? = nil) throws -> (agent: Found, way: AgentWay) {
        let chosen = try chosen(student: student, system: system)
        return chosen[chosen.count - 1]
    }

    private static func way(_ name: String, of system: String) -> AgentWay? {
        if name == system { return AgentWay() }
        guard name.hasPrefix(system + "+") else { return nil }
        return AgentWay(ending: name.dropFirst(system.count))
    }

    private static func rank(_ agent: Found) -> Int {
        Recipe.Style(rawValue: agent.system).flatMap { Recipe.Style.allCases.firstIndex(of: $0) }
            ?? Recipe.Style.allCases.count
    }

    /// A Seedling's folder also has a manifest.
    private static func isRun(_ url: URL) -> Bool { has(url, "manifest.json") && !has(url, "config.json") }

    private static func has(_ url: URL, _ name: String) -> Bool {
        FileManager.default.fileExists(atPath: url.appendingPathComponent(name).path)
    }

    /// Folders with an `agent.json`: the place itself, those of the run, or those in its folders and theirs.
    private static func folders(in url: URL) -> [URL] {
        if has(url, AgentFile.name) { return [url] }
        let top = has(url, folder) ? url.appendingPathComponent(folder) : url
        if has(top, AgentFile.name) { return [top] }
        return inside(top).flatMap { first in has(first, AgentFile.name) ? [first] : inside(first) }
            .filter { has($0, AgentFile.name) }
    }

    private static func inside(_ url: URL) -> [URL] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
        return names.filter { !$0.hasPrefix(".") }.sorted().map { url.appendingPathComponent($0) }
    }
}
