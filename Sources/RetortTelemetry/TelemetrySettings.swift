import Foundation

/// Where traces or metrics go, and which: OpenTelemetry's environment variables.
///
/// Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter Configuration".
public struct TelemetrySettings: Sendable, Hashable {
    /// What is sent.
    public enum Signal: String, Sendable, CaseIterable {
        case traces, metrics
    }

    /// How sums are sent (OpenTelemetry's metrics data model, "Temporality").
    public enum Temporality: Int, Sendable {
        /// What was added since the last report.
        case delta = 1
        /// What was added since the beginning.
        case cumulative = 2
    }

    /// Which traces are kept, when none was begun by a caller.
    public enum Sampler: Sendable, Hashable {
        case always, never
        /// A share of them, 0 to 1, chosen by the trace's id.
        case share(Double)
    }

    /// Where spans or metrics are posted to.
    public var endpoint: URL
    /// Sent with each request; they may hold keys.
    public var headers: [String: String] = [:]
    /// The longest that one request may take, in seconds.
    public var seconds = 10.0
    /// How long spans wait for others to be sent with, or the time between two reports of metrics, in seconds.
    public var delaySeconds = 5.0
    /// The source that a collector is told; `service.name` is part of it.
    public var resource = ["service.name": "retort"]
    /// Which traces are kept.
    public var sampler = Sampler.always
    /// Whether a caller's choice is followed, when a trace was begun by one.
    public var followsCaller = true
    /// How sums are sent.
    public var temporality = Temporality.cumulative

    /// The usual settings for an address.
    /// - Parameter endpoint: takes OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`.
    public init(endpoint: URL) { self.endpoint = endpoint }

    /// What the environment asks for; nil where it names no address, or switches the signal off.
    /// - Throws: `TelemetryError` for a variable that cannot be followed: another protocol or sampler, an invalid number.
    public init?(_ signal: Signal = .traces, environment: [String: String]) throws(TelemetryError) {
        let environment = Environment(values: environment, signal: signal)
        if environment["OTEL_SDK_DISABLED"]?.lowercased() == "true" { return nil }
        let exporter = "OTEL_\(signal.rawValue.uppercased())_EXPORTER"
        switch environment[exporter] {
        case nil, "otlp": break
        case "none": return nil
        case let other?: throw .unknown(variable: exporter, value: other, known: ["otlp", "none"])
        }
        let own = environment.own("ENDPOINT")
        let (name, text, path) =
            environment[own].map { (own, $0, "") }
            ?? (
                "OTEL_EXPORTER_OTLP_ENDPOINT", environment["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "", "v1/\(signal.rawValue)"
            )
        guard !text.isEmpty else { return nil }
        guard var url = URL(string: text), ["http", "https"].contains(url.scheme), url.host() != nil else {
            throw .noAddress(variable: name, value: text)
        }
        if !path.isEmpty { url.append(path: path) }
        self.init(endpoint: url)
        if let name = environment.unread.first { throw .unread(variable: name) }
        if let (name, value) = environment.first("PROTOCOL"), value != "http/json" {
            throw .unknown(variable: name, value: value, known: ["http/json"])
        }
        if let (name, value) = environment.first("COMPRESSION"), value != "none" {
            throw .unknown(variable: name, value: value, known: ["none"])
        }
        if let (name, value) = environment.first("HEADERS") { headers = try Self.pairs(name, value) }
        if let (name, value) = environment.first("TIMEOUT") { seconds = try Self.milliseconds(name, value) }
        let delay = signal == .traces ? "OTEL_BSP_SCHEDULE_DELAY" : "OTEL_METRIC_EXPORT_INTERVAL"
        delaySeconds =
            try environment[delay].map { text throws(TelemetryError) in try Self.milliseconds(delay, text) }
            ?? (signal == .traces ? 5 : 60)
        if let value = environment["OTEL_RESOURCE_ATTRIBUTES"] {
            resource.merge(try Self.pairs("OTEL_RESOURCE_ATTRIBUTES", value)) { $1 }
        }
        if let value = environment["OTEL_SERVICE_NAME"] { resource["service.name"] = value }
        switch signal {
        case .traces: try readSampler(environment)
        case .metrics: try readTemporality(environment)
        }
    }

    private mutating func readTemporality(_ environment: Environment) throws(TelemetryError) {
        let name = environment.own("TEMPORALITY_PREFERENCE")
        switch environment[name]?.lowercased() {
        case nil, "cumulative": temporality = .cumulative
        case "delta": temporality = .delta
        case let other?: throw .unknown(variable: name, value: other, known: ["cumulative", "delta"])
        }
        let buckets = environment.own("DEFAULT_HISTOGRAM_AGGREGATION")
        if let value = environment[buckets], value.lowercased() != "explicit_bucket_histogram" {
            throw .unknown(variable: buckets, value: value, known: ["explicit_bucket_histogram"])
        }
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
        let signal: Signal

        subscript(_ name: String) -> String? { values[name].flatMap { $0.isEmpty ? nil : $0 } }

        /// The variable that is for this signal alone.
        func own(_ suffix: String) -> String { "OTEL_EXPORTER_OTLP_\(signal.rawValue.uppercased())_\(suffix)" }

        /// What is set and would change where the signal goes or how, but is not followed, in order. Sizes, limits and variables of other
        /// signals and languages change nothing that matters here.
        var unread: [String] {
            let exporter = "OTEL_EXPORTER_OTLP_"
            let others = ["TRACES", "METRICS", "LOGS", "PROFILES"].filter { $0 != signal.rawValue.uppercased() }
            return values.keys.sorted().filter { name in
                guard let value = self[name] else { return false }
                switch name {
                case "OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE": return true
                case "OTEL_PROPAGATORS":
                    let asked = value.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
                    return signal == .traces && !Set(asked).isSubset(of: ["tracecontext", "baggage"])
                case let name where name.hasPrefix(exporter):
                    let key = name.dropFirst(exporter.count)
                    if others.contains(where: { key.hasPrefix($0 + "_") }) { return false }
                    let own = signal.rawValue.uppercased() + "_"
                    return !Self.exporterKeys.contains(
                        key.hasPrefix(own) ? String(key.dropFirst(own.count)) : String(key))
                default: return false
                }
            }
        }

        /// What is read of an exporter's variables. `INSECURE` is for gRPC alone, as the specification has it.
        private static let exporterKeys: Set<String> = [
            "ENDPOINT", "PROTOCOL", "COMPRESSION", "HEADERS", "TIMEOUT", "INSECURE", "TEMPORALITY_PREFERENCE",
            "DEFAULT_HISTOGRAM_AGGREGATION",
        ]

        /// What is set for the signal, or else for everything that is exported, with the variable's name.
        func first(_ suffix: String) -> (String, String)? {
            for name in [own(suffix), "OTEL_EXPORTER_OTLP_\(suffix)"] {
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
    case unread(variable: String)

    /// What is wrong, and what to set instead. Values that may hold keys are not shown.
    public var description: String {
        switch self {
        case .noAddress(let variable, let value):
            "\(variable) is '\(value)', which is no address of a server; give one such as http://127.0.0.1:4318"
        case .noNumber(let variable, let value): "\(variable) is '\(value)', which is no number in its range"
        case .noPairs(let variable): "\(variable) is no list of key=value, separated by commas"
        case .unread(let variable):
            "\(variable) is set, and retort does not follow it; unset it for this command, "
                + "or set OTEL_SDK_DISABLED=true to go on without telemetry"
        case .unknown(let variable, let value, let known):
            "\(variable) is '\(value)'; retort knows \(known.joined(separator: ", ")). "
                + "Set one of these, or OTEL_SDK_DISABLED=true to go on without telemetry"
        }
    }
}
