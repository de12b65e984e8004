/// A request that no replica of a model answered, and what to do.
public enum ReplicaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// All are left alone for now because they failed.
    case unavailable(model: String, reasons: [String], seconds: Double)
    /// Each that could be asked failed before anything of the answer was there.
    case failed(model: String, reasons: [String])
    /// The answer broke off after a part of it was passed on.
    case broken(replica: String, reason: String)
    /// The answer took longer than it may.
    case timeLimit(replica: String, seconds: Double)
    /// As many requests wait as may.
    case crowded(model: String, waiting: Int)
    /// No replica had a place in time.
    case noPlace(model: String, seconds: Double)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .unavailable(let model, let reasons, _):
            "no replica of '\(model)' is up: \(reasons.joined(separator: "; ")); start one, or try again in a while"
        case .failed(let model, let reasons):
            "no replica of '\(model)' answered: \(reasons.joined(separator: "; ")); see that they are up, then ask again"
        case .broken(let replica, let reason):
            "the answer broke off: \(replica): \(reason); ask again, and another replica will answer if that one is down"
        case .timeLimit(let replica, let seconds):
            "\(replica) took longer than \(seconds) s; ask for fewer tokens, or raise the server's limit"
        case .crowded(let model, let waiting):
            "\(waiting) requests wait for a replica of '\(model)' already; try again, or add a replica"
        case .noPlace(let model, let seconds):
            "no replica of '\(model)' had a place within \(seconds) s; try again, or add a replica"
        }
    }
}
