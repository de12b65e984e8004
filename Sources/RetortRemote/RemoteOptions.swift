import RetortCore

/// How a `RemoteModel` asks.
public struct RemoteOptions: Sendable {
    /// Which of a server's operations is used.
    public enum Operation: Sendable {
        /// `/chat/completions`: the server applies the chat template.
        case chat
        /// `/completions`: the template is applied here, so the prompt, and where a prefilled message goes on, are exactly
        /// what they are in training. The function writes the messages and the start of the next one as a prompt.
        case completions(render: @Sendable (_ messages: [Message], _ prefill: String) throws -> PlainPrompt)
    }

    /// In seconds; 0 is none.
    public struct TimeLimits: Sendable, Hashable {
        /// Until the connection stands.
        public var connect: Double
        /// From then until the first byte of the reply's body.
        public var firstByte: Double
        /// Between two parts of the body.
        public var idle: Double
        /// For the whole of one attempt.
        public var total: Double

        /// - Parameters are in seconds; 0 is none.
        public init(connect: Double = 10, firstByte: Double = 300, idle: Double = 60, total: Double = 900) {
            self.connect = connect
            self.firstByte = firstByte
            self.idle = idle
            self.total = total
        }
    }

    /// What happens after a failure that may pass.
    public struct Retries: Sendable, Hashable {
        /// The most attempts for a request, the first one included.
        public var attempts: Int
        /// Before attempt `k + 1` comes a pause drawn evenly from 0 to `base · 2^k` seconds, at most `cap` ("full jitter";
        /// M. Brooker, Exponential Backoff and Jitter, 2015). A longer `Retry-After` of the endpoint is obeyed.
        public var base: Double
        /// The longest pause, in seconds.
        public var cap: Double
        /// How long a request goes on while none succeeds anywhere, in seconds.
        public var patience: Double
        /// After so many failures on end an endpoint is left alone; a single request then tries it again.
        public var failuresToOpen: Int

        /// The usual values, unless said otherwise.
        public init(
            attempts: Int = 6, base: Double = 0.5, cap: Double = 30, patience: Double = 600, failuresToOpen: Int = 8
        ) {
            self.attempts = attempts
            self.base = base
            self.cap = cap
            self.patience = patience
            self.failuresToOpen = failuresToOpen
        }

        /// A pause before another attempt, in seconds.
        func pause(after attempt: Int, using generator: inout some RandomNumberGenerator) -> Double {
            let longest = min(cap, base * Double(1 << min(attempt, 20)))
            return longest > 0 ? Double.random(in: 0...longest, using: &generator) : 0
        }
    }

    /// Which of a server's operations is used.
    public var operation: Operation
    /// How long it waits.
    public var limits: TimeLimits
    /// What happens after a failure that may pass.
    public var retries: Retries
    /// Whether the reply comes piece by piece. Without, `firstByte` covers the whole generation.
    public var streams: Bool
    /// The most requests that wait for an endpoint.
    public var queue: Int
    /// Whether every reply is to come with the token ids of prompt and completion (`return_token_ids`: vLLM, Retort). A
    /// server that refuses the field is not asked again; one that passes it over tells none.
    public var asksForTokenIDs: Bool

    /// The usual values, unless said otherwise.
    public init(
        operation: Operation = .chat, limits: TimeLimits = TimeLimits(), retries: Retries = Retries(),
        streams: Bool = true, queue: Int = 4096, asksForTokenIDs: Bool = false
    ) {
        self.operation = operation
        self.limits = limits
        self.retries = retries
        self.streams = streams
        self.queue = queue
        self.asksForTokenIDs = asksForTokenIDs
    }
}
