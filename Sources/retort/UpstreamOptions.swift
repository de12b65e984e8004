import ArgumentParser
import Foundation
import RetortRemote

/// Other servers that `retort serve` stands in front of.
struct UpstreamOptions: ParsableArguments {
    @Option(
        name: .customLong("upstream"), parsing: .singleValue,
        help: ArgumentHelp(
            """
            A model that other servers answer for: requests for NAME are passed on to one of them. A conversation stays with the \
            server that has read its beginning; one that fails is left out for a while. May be repeated, also to add to a name.
            """, valueName: "name=url,…"))
    var upstreams: [String] = []
    @Option(
        name: .customLong("upstream-model"), parsing: .singleValue,
        help: ArgumentHelp(
            "What those servers call the model; NAME, or their only model, unless given.", valueName: "name=model"))
    var models: [String] = []
    @Option(
        name: .customLong("upstream-key"), parsing: .singleValue,
        help: ArgumentHelp("The environment variable that holds those servers' key.", valueName: "name=variable"))
    var keys: [String] = []
    @Option(
        name: .customLong("upstream-concurrency"),
        help: ArgumentHelp("The most requests that each of those servers gets at once.", valueName: "n"))
    var concurrency = 64
    @Option(
        name: .customLong("upstream-silence"),
        help: ArgumentHelp(
            "The longest that a stream of theirs may be silent, in seconds; 0 is no limit.", valueName: "seconds"))
    var silence = 300.0

    func validate() throws {
        guard concurrency >= 1 else { throw ValidationError("--upstream-concurrency must be at least 1") }
        guard silence >= 0, silence < 1e6 else { throw ValidationError("--upstream-silence must be 0 to 1000000") }
        let names = Set(try upstreams.map { try Self.pair($0, "--upstream", "NAME=URL").name })
        for (option, values, form) in [
            ("--upstream-model", models, "NAME=MODEL"), ("--upstream-key", keys, "NAME=VARIABLE"),
        ] {
            var known: Set<String> = []
            for value in values {
                let name = try Self.pair(value, option, form).name
                guard names.contains(name) else {
                    throw ValidationError("\(option) \(value): no --upstream has the name '\(name)'")
                }
                guard known.insert(name).inserted else {
                    throw ValidationError("\(option) is given twice for '\(name)'")
                }
            }
        }
    }

    /// The models, in the order of their names on the command line.
    /// - Parameter change: sets the limits that these options do not.
    /// - Throws: `RemoteError.configuration`.
    func replicas(_ change: (inout Replicas.Options) -> Void) throws -> [Replicas] {
        var options = Replicas.Options()
        change(&options)
        options.silenceSeconds = silence
        let (models, keys) = (try Self.pairs(models), try Self.pairs(keys))
        var order: [String] = []
        var addresses: [String: [String]] = [:]
        for upstream in upstreams {
            let (name, list) = try Self.pair(upstream, "--upstream", "NAME=URL")
            if addresses[name] == nil { order.append(name) }
            addresses[name, default: []] += list.split(separator: ",").map(String.init)
        }
        return try order.map { name in
            let key = try keys[name].map { try APIKey(environment: $0) }
            let endpoints = try (addresses[name] ?? []).map {
                try Endpoint($0, model: models[name] ?? "", key: key, concurrency: concurrency)
            }
            return try Replicas(name, endpoints, options: options)
        }
    }

    private static func pairs(_ values: [String]) throws -> [String: String] {
        Dictionary(try values.map { try pair($0, "", "") }.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
    }

    private static func pair(_ text: String, _ option: String, _ form: String) throws -> (name: String, value: String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty, !parts[0].contains("://") else {
            throw ValidationError("\(option) must be \(form), not '\(text)'")
        }
        return (parts[0], parts[1])
    }
}
