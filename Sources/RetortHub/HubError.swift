/// A model that cannot be had.
public enum HubError: Error, CustomStringConvertible, Equatable {
    /// Neither a folder, nor a file, nor the name of a model.
    case nothing(String, known: [String])
    case offline(name: String, cache: String)
    case missing(name: String, endpoint: String, isAnonymous: Bool)
    case noRevision(name: String, revision: String)
    case gated(name: String, endpoint: String, isAnonymous: Bool)
    case badToken(endpoint: String)
    /// No folder, not in the cache, and no network to fetch it.
    case notHere(name: String, reason: String)
    case unreachable(endpoint: String, reason: String)
    case refused(what: String, status: Int, message: String)
    case malformed(what: String, reason: String)
    /// A repository without weights that are read.
    case noWeights(name: String, reason: String)
    case choice(name: String, of: [String])
    case damaged(file: String, reason: String)
    case noSpace(folder: String, needed: Int64, free: Int64)
    case cannotWrite(path: String, reason: String)
    case busy(file: String, seconds: Double)
    case package(name: String, reason: String)

    /// What went wrong, and what to do.
    public var description: String {
        switch self {
        case .nothing(let text, let known):
            "there is no folder or file '\(text)', and it is no model's name: give a path, a name such as "
                + "Qwen/Qwen2.5-0.5B-Instruct, or one of \(known.joined(separator: ", "))"
        case .offline(let name, let cache):
            "\(name) is not in \(cache), and HF_HUB_OFFLINE forbids to fetch it; copy it there, or unset the variable"
        case .missing(let name, let endpoint, let isAnonymous):
            "there is no folder '\(name)' here, and \(endpoint) has no model \(name)"
                + (isAnonymous ? ", or one that is private: then set HF_TOKEN" : " that HF_TOKEN may see")
        case .noRevision(let name, let revision):
            "\(name) has no revision '\(revision)': give a branch, a tag or a commit"
        case .gated(let name, let endpoint, let isAnonymous):
            "\(name) is given to those who accepted its terms: accept them at \(endpoint)/\(name)"
                + (isAnonymous ? " and set HF_TOKEN" : "; the account of HF_TOKEN has not")
        case .badToken(let endpoint):
            "\(endpoint) does not know the token: renew HF_TOKEN, or unset it for public models"
        case .notHere(let name, let reason):
            "there is no folder '\(name)' here, no model of that name in the cache, and \(reason)"
        case .unreachable(let endpoint, let reason):
            "\(endpoint) cannot be reached: \(reason); with a mirror set HF_ENDPOINT, without a network give a model's folder"
        case .refused(let what, let status, let message): "\(what): the hub answers \(status): \(message)"
        case .malformed(let what, let reason): "\(what): the hub's answer cannot be read: \(reason)"
        case .noWeights(let name, let reason): "\(name) cannot be used: \(reason)"
        case .choice(let name, let files):
            "\(name) has several GGUF files; choose one as \(name):\(files.first ?? ""): \(files.joined(separator: ", "))"
        case .damaged(let file, let reason): "\(file): \(reason); it was removed, try again"
        case .noSpace(let folder, let needed, let free):
            "\(folder) has \(free / 1_000_000) MB free, and \(needed / 1_000_000) MB are to come: free some, or set HF_HOME to another disk"
        case .cannotWrite(let path, let reason): "\(path) cannot be written: \(reason)"
        case .busy(let file, let seconds):
            "\(file): another process has been fetching it for \(Int(seconds)) seconds; wait for it, or end it"
        case .package(let name, let reason): "\(name) could not be fetched as a Python package: \(reason)"
        }
    }

    /// Whether another attempt may bring it.
    var mayPass: Bool {
        switch self {
        case .unreachable: true
        case .refused(_, let status, _): status == 408 || status == 429 || status >= 500
        default: false
        }
    }
}
