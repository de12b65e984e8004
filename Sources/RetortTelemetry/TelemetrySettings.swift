import Foundation

/// Where traces go, and which: OpenTelemetry's environment variables.
///
/// Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter Configuration".
public struct TelemetrySettings: Sendable, Hashable {
    /// Which traces are kept, when none was begun by a caller.
    public enum Sampler: Sendable, Hashable {
        case always, never
        /// A share of them, 0 to 1, chosen by the trace's id.
        case share(Double)
    }

    /// Where spans are posted to.
    public var endpoint: URL
    /// Sent with each request; they may hold keys.
    public var headers: [String: String] = [:]
    /// The longest that one request may take, in seconds.
    public var seconds = 10.0
    /// How long spans wait for others to be sent with, in seconds.
    public var delaySeconds = 5.0
    /// What every span is told to come from; `service.name` among it.
    public var resource = ["service.name": "retort"]
    /// Which traces are kept.
    public var sampler = Sampler.always
    /// Whether a caller's choice is followed, when a trace was begun by one.
    public var followsCaller = true

    /// The usual settings for an address.
    /// - Parameter endpoint: takes OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`.
    public init(endpoint: URL) { self.endpoint = endpoint }

    /// What the environment asks for; nil where it names no address, or switches traces off.
    /// - Throws: `TelemetryError` for a variable that cannot be followed: another protocol or sampler, a number that is none.
    public init?(environment: [String: String]) throws(TelemetryError) {
        let environment = Environment(values: environment)
        if environment["OTEL_SDK_DISABLED"]?.lowercased() == "true" { return nil }
        switch environment["OTEL_TRACES_EXPORTER"] {
        case nil, "otlp": break
        case "none": return nil
        case let other?: throw .unknown(variable: "OTEL_TRACES_EXPORTER", value: other, known: ["otlp", "none"])
        }
        let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
        let (name, text, path) =
            environment[own].map { (own, $0, "") }
            ?? ("OTEL_EXPORTER_OTLP_ENDPOINT", environment["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "", "v1/traces")
        guard !text.isEmpty else { return nil }
        guard var url = URL(string: text), ["http", "https"].contains(url.scheme), url.host() != nil else {
            throw .noAddress(variable: name, value: text)
        }
        if !path.isEmpty { url.append(path: path) }
        self.init(endpoint: url)
        if let (name, value) = environment.first("PROTOCOL"), value != "http/json" {
            throw .unknown(variable: name, value: value, known: ["http/json"])
        }
        if let (name, value) = environment.first("COMPRESSION"), value != "none" {
            throw .unknown(variable: name, value: value, known: ["none"])
        }
        if let (name, value) = environment.first("HEADERS") { headers = try Self.pairs(name, value) }
        if let (name, value) = environment.first("TIMEOUT") { seconds = try Self.milliseconds(name, value) }
        if let value = environment["OTEL_BSP_SCHEDULE_DELAY"] {
            delaySeconds = try Self.milliseconds("OTEL_BSP_SCHEDULE_DELAY", value)
        }
        if let value = environment["OTEL_RESOURCE_ATTRIBUTES"] {
            resource.merge(try Self.pairs("OTEL_RESOURCE_ATTRIBUTES", value)) { $1 }
        }
        if let value = environment["OTEL_SERVICE_NAME"] { resource["service.name"] = value }
        try readSampler(environment)
    }

    private mutating func readSampler(_ environment: Environment) throws(TelemetryError) {
        guard var name = environment["OTEL_TRACES_SAMPLER"] else { return }
        let parent = "parentbased_"
        followsCaller = name.hasPrefix(parent)
        if followsCaller { name.removeFirst(parent.count) }
        switch name {
        case "always_on": sampler = .always
        case "always_off": sampler = .never
        case "traceidratio":
            let value = environment["OTEL_TRACES_SAMPLER_ARG"] ?? "1"
            guard let share = Double(value), (0...1).contains(share) else {
                throw .noNumber(variable: "OTEL_TRACES_SAMPLER_ARG", value: value)
            }
            sampler = .share(share)
        default:
            throw .unknown(
                variable: "OTEL_TRACES_SAMPLER", value: name,
                known: ["always_on", "always_off", "traceidratio"].flatMap { [$0, parent + $0] })
        }
    }

    /// `key=value,key=value`, percent-encoded.
    private static func pairs(_ variable: String, _ text: String) throws(TelemetryError) -> [String: String] {
        var pairs: [String: String] = [:]
        for part in text.split(separator: ",") where part.contains(where: { !$0.isWhitespace }) {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                .map { String($0).trimmingCharacters(in: .whitespaces).removingPercentEncoding }
            // The text may hold a key: it is not shown.
            guard sides.count == 2, let key = sides[0], !key.isEmpty, let value = sides[1] else {
                throw .noPairs(variable: variable)
            }
            pairs[key] = value
        }
        return pairs
    }

    private static func milliseconds(_ variable: String, _ text: String) throws(TelemetryError) -> Double {
        guard let number = Int(text), (1...3_600_000).contains(number) else {
            throw .noNumber(variable: variable, value: text)
        }
        return Double(number) / 1000
    }
}

extension TelemetrySettings {
    /// Variables; an empty one counts as unset.
    private struct Environment {
        let values: [String: String]

        subscript(_ name: String) -> String? { values[name].flatMap { $0.isEmpty ? nil : $0 } }

        /// What is set for traces, or else for everything that is exported, with the variable's name.
        func first(_ suffix: String) -> (String, String)? {
            for name in ["OTEL_EXPORTER_OTLP_TRACES_\(suffix)", "OTEL_EXPORTER_OTLP_\(suffix)"] {
                if let value = self[name] { return (name, value) }
            }
            return nil
        }
    }
}

/// A variable that cannot be followed.
public enum TelemetryError: Error, Hashable, CustomStringConvertible {
    case noAddress(variable: String, value: String)
    case noNumber(variable: String, value: String)
    case noPairs(variable: String)
    case unknown(variable: String, value: String, known: [String])

    /// What is wrong, and what to set instead. Values that may hold keys are not shown.
    public var description: String {
        switch self {
        case .noAddress(let variable, let value):
            "\(variable) is '\(value)', which is no address of a server; give one such as http://127.0.0.1:4318"
        case .noNumber(let variable, let value): "\(variable) is '\(value)', which is no number in its range"
        case .noPairs(let variable): "\(variable) is no list of key=value, separated by commas"
        case .unknown(let variable, let value, let known):
            "\(variable) is '\(value)'; retort knows \(known.joined(separator: ", ")). "
                + "Set it so, or OTEL_SDK_DISABLED=true to go on without traces"
        }
    }
}
