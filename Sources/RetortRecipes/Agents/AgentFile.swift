import Foundation
import RetortAgents
import RetortCore
import RetortLLM

/// `agent.json`: everything about an agent except the weights, adapters, modules and documents in the files beside it.
struct AgentFile: Codable, Sendable, Hashable {
    static let name = "agent.json"
    static let format = "retort-agent"
    /// Raised when an older Retort would overlook something in a file.
    static let version = 1

    var format = Self.format
    var version = Self.version
    /// The version of Retort that wrote it.
    var madeBy = Retort.version
    /// The student whose weights they are.
    var student: String
    /// Its name among its student's agents: a style or a curriculum.
    var system: String
    var agent: AgentPlan
    /// Identifies the prompts that it learned.
    var prompt: String
    /// The models of its roles.
    var players: [String: Player]
    /// The base of its adapters, or the model that its own weights were made from.
    var base: AgentBase
    /// The precision of the weights when it was measured; nil takes what is usual on the machine.
    var precision: WeightPrecision?
    /// What its tools need.
    var domain: AgentDomain
    /// A task like those it is for, without its answer.
    var sample: AgentTask?
    /// All files beside this one, by their path in the folder.
    var files: [String: Entry]

    /// The model of a role.
    struct Player: Codable, Sendable, Hashable {
        /// The folder of its weights; nil is the base.
        var weights: String?
        /// The folder of the adapter over them; nil is none.
        var adapter: String?
    }

    /// The size and the digest of a file.
    struct Entry: Codable, Sendable, Hashable {
        var bytes: Int
        var sha256: String
    }

    /// Whether the base is needed to open it.
    var needsBase: Bool { players.values.contains { $0.weights == nil } }

    /// Its name for people.
    var title: String { "\(student)/\(system)" }
}

extension AgentFile {
    /// The largest `agent.json` that is read, in bytes.
    private static let mostBytes = 32 << 20

    /// Reads `agent.json` of a folder.
    /// - Throws: `AgentError` that names the file and what in it cannot be followed.
    init(in folder: URL) throws {
        let file = folder.appendingPathComponent(Self.name)
        let json = try Self.json(file)
        guard case .integer(let version)? = json["version"] else {
            throw AgentError.malformed(file: file.path, "it has no 'version'")
        }
        guard version <= Self.version else {
            throw AgentError.newer(file: file.path, version: version, known: Self.version)
        }
        guard version > 0 else { throw AgentError.malformed(file: file.path, "there never was a version \(version)") }
        do {
            self = try StrictJSON.decode(Self.self, from: json)
        } catch {
            throw AgentError.malformed(file: file.path, StrictJSON.words(error))
        }
        try check(file.path)
    }

    /// The names of a folder's agent, without checking anything else.
    static func title(in folder: URL) throws -> (student: String, system: String) {
        let file = folder.appendingPathComponent(name)
        let json = try json(file)
        guard let student = json["student"]?.string, let system = json["system"]?.string else {
            throw AgentError.malformed(file: file.path, "it does not say whose agent it is ('student', 'system')")
        }
        return (student, system)
    }

    private static func json(_ file: URL) throws -> JSONValue {
        let values = try? FileManager.default.attributesOfItem(atPath: file.path)
        guard values?[.type] as? FileAttributeType == .typeRegular else {
            throw AgentError.notAFile(folder: file.deletingLastPathComponent().path, path: name)
        }
        let bytes = (values?[.size] as? NSNumber)?.intValue ?? 0
        guard bytes <= mostBytes else {
            throw AgentError.malformed(file: file.path, "it has \(bytes) bytes; no agent's is longer than \(mostBytes)")
        }
        let json: JSONValue
        do {
            json = try ExactJSON.value(of: Data(contentsOf: file))
        } catch {
            throw AgentError.malformed(file: file.path, "it is no JSON, or was cut: \(error)")
        }
        guard json["format"]?.string == format else {
            throw AgentError.malformed(file: file.path, "it is no agent of Retort's (no 'format': '\(format)')")
        }
        return json
    }

    /// Checks numbers against their bounds, paths against the folder, and that every role is played.
    private func check(_ file: String) throws {
        func hold(_ isTrue: Bool, _ words: String) throws {
            guard isTrue else { throw AgentError.malformed(file: file, words) }
        }
        let (limits, search) = (agent.limits, agent.search)
        try hold((1...1000).contains(limits.steps), "agent.limits.steps must be 1 to 1000, not \(limits.steps)")
        try hold(
            (1...1_000_000).contains(limits.tokens), "agent.limits.tokens must be 1 to 1000000, not \(limits.tokens)")
        try hold((0.1...600).contains(limits.seconds), "agent.limits.seconds must be 0.1 to 600, not \(limits.seconds)")
        try hold(
            (2...64).contains(search.vote.samples),
            "agent.search.vote.samples must be 2 to 64, not \(search.vote.samples)")
        try hold((0...5).contains(search.vote.temperature), "agent.search.vote.temperature must be 0 to 5")
        try hold((0.01...1).contains(search.vote.topP), "agent.search.vote.topP must be 0.01 to 1")
        try hold((0...5).contains(search.sampling.temperature), "agent.search.sampling.temperature must be 0 to 5")
        try hold((0.01...1).contains(search.sampling.topP), "agent.search.sampling.topP must be 0.01 to 1")
        try hold(search.sampling.topK >= 0, "agent.search.sampling.topK must not be below 0")
        try hold((1...16).contains(search.depthFirst.width), "agent.search.depthFirst.width must be 1 to 16")
        try hold((1...10_000).contains(search.depthFirst.queries), "agent.search.depthFirst.queries must be 1 to 10000")
        if case .single(let form) = agent.view {
            try hold(form.observationCharacters > 0, "agent.view.observationCharacters must be above 0")
        } else if case .team(let form) = agent.view {
            try hold(form.observationCharacters > 0, "agent.view.observationCharacters must be above 0")
        }
        if let documents = domain.documents {
            try hold(
                (documents.index == nil) != (documents.service == nil),
                "domain.documents must have an 'index' or a 'service'")
            try hold((1...100).contains(documents.results), "domain.documents.results must be 1 to 100")
            try hold(
                documents.tool.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) != nil,
                "domain.documents.tool must be a Python name, not '\(documents.tool)'")
        }
        let roles = Set(agent.view.roles.map(\.rawValue))
        try hold(
            Set(players.keys) == roles,
            "'players' must name \(roles.sorted().joined(separator: ", ")), not \(players.keys.sorted().joined(separator: ", "))"
        )
        let paths =
            Array(files.keys) + players.values.flatMap { [$0.weights, $0.adapter].compactMap(\.self) } + domain.paths
        for path in paths where !Self.isInside(path) { throw AgentError.outside(file: file, path: path) }
    }

    /// Whether a path names something in the folder, and in only one way.
    static func isInside(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return path != name && !path.contains("\0") && !path.contains("\\")
            && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && $0 != "~" }
    }
}
