/// What an endpoint can do wrong.
public enum Fault: String, Sendable, CaseIterable {
    /// 429 with `Retry-After: 0.02`.
    case tooManyRequests
    /// 500.
    case serverError
    /// The connection is closed without an answer.
    case reset
    /// Nothing ever comes.
    case stall
    /// The stream breaks off in the middle.
    case halfStream
    /// What comes is not JSON.
    case invalidJSON
    /// One choice too few.
    case wrongCount
}

/// A request as the endpoint sees it.
public struct ReceivedRequest: Sendable {
    /// Such as `/v1/chat/completions`.
    public let path: String
    public let headers: [String: String]
    public let body: [UInt8]
}

/// What the endpoint is to answer.
public struct CannedAnswer: Sendable {
    /// One text for each choice.
    public var choices: [String]
    public var finish: String
    public var promptTokens: Int
    public var completionTokens: Int
    /// Another status than 200, with the first choice as the error's message.
    public var status: Int
    /// Sent besides with another status than 200.
    public var headers: [String: String]
    /// Into how many parts a streamed text is cut.
    public var parts: Int

    public init(
        _ choices: [String], finish: String = "stop", promptTokens: Int = 100, completionTokens: Int = 20,
        status: Int = 200, headers: [String: String] = [:], parts: Int = 4
    ) {
        self.choices = choices
        self.finish = finish
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.status = status
        self.headers = headers
        self.parts = parts
    }
}

/// What an endpoint saw and did.
public struct EndpointTally: Sendable {
    public var requests = 0
    public var served = 0
    public var faults: [Fault: Int] = [:]
    /// Seconds that all slots together were at work.
    public var busySeconds = 0.0
    public var mostAtOnce = 0
}
