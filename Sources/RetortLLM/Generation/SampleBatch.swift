import RetortCore
import RetortTensor

/// The requests of a model: those that wait, those whose prompts are being read, and those that are being answered.
protocol SampleBatch: AnyObject {
    /// Whether nothing is left to do.
    var isEmpty: Bool { get }
    /// How many requests wait.
    var waitingCount: Int { get }
    /// What the keys and values of prompts and answers take.
    var cacheUse: CacheUse { get }

    /// Takes a request, to be answered in the rounds to come.
    /// - Throws: where it could never be answered.
    func add(_ request: PendingRequest) throws

    /// Reads what there is room for, and writes a token or more of every sample. What fails tells its requests.
    func round()
}

/// What keys and values take, in bytes.
public struct CacheUse: Sendable, Hashable {
    /// All that may be taken.
    public var budget = 0
    /// What requests under way hold, each shared part once.
    public var running = 0
    /// What is kept of earlier ones besides, and given up when room is needed.
    public var kept = 0
    /// What requests under way may still come to need: it is reserved for them.
    public var reserved = 0
    /// What one token takes.
    public var token = 0
    /// Texts under way: prompts that are being read, and answers.
    public var sequences = 0
    /// Their tokens; those of a beginning that several have in common count in each.
    public var tokens = 0
    /// Pages that several of them share.
    public var sharedPages = 0
}
