import RetortCore
import RetortTensor

/// A model's requests: waiting ones, those whose prompts are being read, and those being answered.
protocol SampleBatch: AnyObject {
    /// Whether nothing is left to do.
    var isEmpty: Bool { get }
    /// The number of waiting requests.
    var waitingCount: Int { get }
    /// The memory of keys and values of prompts and answers.
    var cacheUse: CacheUse { get }

    /// Takes a request, to be answered in the following rounds.
    /// - Throws: when it could never be answered.
    func add(_ request: PendingRequest) throws

    /// Reads prompts as far as there is room, and generates one or more tokens for every sample. Failures are
    /// reported to their requests.
    func round()
}

/// The memory of keys and values, in bytes unless stated otherwise.
public struct CacheUse: Sendable, Hashable {
    /// The most that may be used.
    public var budget = 0
    /// What running requests use; shared parts count once.
    public var running = 0
    /// What is also kept of earlier requests, and is given up when room is needed.
    public var kept = 0
    /// What running requests may still need, which is reserved for them.
    public var reserved = 0
    /// The memory of one token.
    public var token = 0
    /// The number of running texts: prompts that are being read, and answers.
    public var sequences = 0
    /// The number of their tokens; those of a shared beginning count in each text.
    public var tokens = 0
    /// The number of pages that several of them share.
    public var sharedPages = 0
}
