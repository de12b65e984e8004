import RetortCore

/// A request that no endpoint answered.
public enum RemoteError: Error, Sendable, Hashable, CustomStringConvertible {
    /// An endpoint that cannot be used as it is configured.
    case configuration(String)
    /// No connection, or one that broke.
    case connection(endpoint: String, reason: String)
    /// A time limit was reached: `connect`, `first byte`, `idle` or `total`.
    case timeLimit(endpoint: String, limit: String, seconds: Double)
    /// The endpoint answered with an error that may pass: 408, 409, 425, 429 or 5xx.
    case busy(endpoint: String, status: Int, message: String)
    /// The endpoint will not answer this request: other 4xx.
    case rejected(endpoint: String, status: Int, message: String)
    /// The account behind the key has nothing left.
    case quota(endpoint: String, message: String)
    /// What came is not what the protocol says.
    case malformed(endpoint: String, reason: String)
    /// The endpoint ended without finishing these samples.
    case incomplete(endpoint: String, samples: [Int])
    /// All attempts failed; the last one so.
    indirect case exhausted(attempts: Int, last: RemoteError)
    /// No endpoint took a request for so long.
    case unavailable(seconds: Double, reason: String)
    /// The reply's grammar cannot be said in the endpoint's terms.
    case inexpressible(endpoint: String, reason: String)
    /// Too many requests wait for an endpoint already.
    case overloaded(waiting: Int)

    /// A few words to count by.
    public var cause: String {
        switch self {
        case .configuration: "configuration"
        case .connection: "connection"
        case .timeLimit(_, let limit, _): "time limit (\(limit))"
        case .busy(_, let status, _), .rejected(_, let status, _): "status \(status)"
        case .quota: "quota"
        case .malformed: "malformed reply"
        case .incomplete: "samples missing"
        case .exhausted(_, let last): last.cause
        case .unavailable: "no endpoint"
        case .inexpressible: "grammar"
        case .overloaded: "overloaded"
        }
    }

    /// Whether the same request may succeed a little later.
    var mayPass: Bool {
        switch self {
        case .connection, .timeLimit, .busy, .malformed, .incomplete: true
        case .configuration, .rejected, .quota, .exhausted, .unavailable, .inexpressible, .overloaded: false
        }
    }

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .configuration(let reason): reason
        case .connection(let endpoint, let reason):
            "connection: \(endpoint): \(reason); see that it is up, and that its address is right"
        case .timeLimit(let endpoint, let limit, let seconds):
            "time limit (\(limit)): \(endpoint) was silent or slow for \(seconds) s; raise the limit or lower the load"
        case .busy(let endpoint, let status, let message): "status \(status): \(endpoint): \(message)"
        case .rejected(let endpoint, let status, let message): "status \(status): \(endpoint) refused: \(message)"
        case .quota(let endpoint, let message): "quota: \(endpoint): \(message); raise the quota, then run again"
        case .malformed(let endpoint, let reason): "malformed reply: \(endpoint): \(reason)"
        case .incomplete(let endpoint, let samples):
            "samples missing: \(endpoint) ended without finishing \(samples.count == 1 ? "sample" : "samples") "
                + samples.map(String.init).joined(separator: ", ")
        case .exhausted(let attempts, let last): "\(last) (after \(attempts) attempts)"
        case .unavailable(let seconds, let reason):
            "no endpoint: none took a request for \(seconds) s (\(reason)); see that one is up, then run again"
        case .inexpressible(let endpoint, let reason): "grammar: \(endpoint) cannot be told \(reason)"
        case .overloaded(let waiting):
            "overloaded: \(waiting) requests wait for an endpoint already; lower the concurrency"
        }
    }
}

extension RemoteError: RunHalting {
    /// A wrong key or address, an empty account, a dead endpoint and a grammar it cannot be told would fail every task
    /// alike.
    public var haltsRun: Bool {
        switch self {
        case .configuration, .quota, .unavailable, .inexpressible: true
        case .rejected(_, let status, _): [401, 402, 403, 404].contains(status)
        case .exhausted(_, let last): last.haltsRun
        case .connection, .timeLimit, .busy, .malformed, .incomplete, .overloaded: false
        }
    }
}
