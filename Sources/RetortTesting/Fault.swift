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
    /// The answer breaks off in the middle.
    case halfStream
    /// What comes is not JSON.
    case invalidJSON
    /// One choice too few.
    case wrongCount
    /// The answer is right, and comes in small pieces with a pause before each (`FaultyEndpoint.Options.pause`).
    case slowBytes
}

/// A request as the endpoint sees it.
public struct ReceivedRequest: Sendable {
    /// Such as `/v1/chat/completions`.
    public let path: String
    /// By lower-case name.
    public let headers: [String: String]
    /// The whole body.
    public let body: [UInt8]
}

/// What the endpoint is to answer.
public struct CannedAnswer: Sendable {
    /// One text for each choice.
    public var choices: [String]
    /// The choices' `finish_reason`.
    public var finish: String
    /// What `usage` says of the prompt, in tokens.
    public var promptTokens: Int
    /// What `usage` says of all choices together, in tokens.
    public var completionTokens: Int
    /// Another status than 200, with the first choice as the error's message.
    public var status: Int
    /// Sent besides with another status than 200, such as `["retry-after": "2"]`.
    public var headers: [String: String]
    /// Into how many parts a streamed text is cut.
    public var parts: Int
    /// What goes wrong with this answer, whatever the endpoint's rate of faults; nil leaves it to that.
    public var fault: Fault?

    /// - Parameters:
    ///   - choices: one text for each choice; with another status than 200, the error's message.
    ///   - completionTokens: of all choices together.
    ///   - headers: sent besides with another status than 200.
    ///   - parts: into how many parts a streamed text is cut.
    ///   - fault: what goes wrong with this answer; nil leaves it to the endpoint's rate.
    public init(
        _ choices: [String], finish: String = "stop", promptTokens: Int = 100, completionTokens: Int = 20,
        status: Int = 200, headers: [String: String] = [:], parts: Int = 4, fault: Fault? = nil
    ) {
        self.choices = choices
        self.finish = finish
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.status = status
        self.headers = headers
        self.parts = parts
        self.fault = fault
    }

    /// A refusal, such as 429 with a time to wait or 503.
    /// - Parameter retryAfter: seconds, sent as `Retry-After`; nil sends none.
    public static func refusal(_ status: Int, _ message: String = "refused", retryAfter: Double? = nil) -> CannedAnswer
    {
        let seconds = retryAfter.map { $0 == $0.rounded() ? "\(Int($0))" : "\($0)" }
        return CannedAnswer([message], status: status, headers: seconds.map { ["retry-after": $0] } ?? [:])
    }
}

/// What an endpoint saw and did.
public struct EndpointTally: Sendable {
    /// Requests for completions that came.
    public var requests = 0
    /// Those that were answered without a fault.
    public var served = 0
    /// The others, by what went wrong.
    public var faults: [Fault: Int] = [:]
    /// Seconds that all slots together were at work.
    public var busySeconds = 0.0
    /// The most requests that were worked on at the same time.
    public var mostAtOnce = 0
}
