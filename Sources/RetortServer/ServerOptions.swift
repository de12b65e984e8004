/// Where a server listens, and its limits.
public struct ServerOptions: Sendable {
    /// The interface; `127.0.0.1` is this machine only.
    public var host = "127.0.0.1"
    /// 0 takes any free port.
    public var port = 8000
    /// The keys that clients may present; without any, everybody may ask.
    public var keys = APIKeys()
    /// The most samples that run at once, of all requests together.
    public var maximumRunning = 64
    /// The most requests that wait for a place; further ones are refused with 503.
    public var maximumWaiting = 256
    /// The most agents that work at once; others wait as requests do.
    public var maximumAgents = 8
    /// The longest wait, in seconds; after it a request is refused with 503.
    public var waitSeconds = 60.0
    /// The longest a request may take once it runs, in seconds.
    public var requestSeconds = 600.0
    /// The longest a client may take to send its request, and to read a piece of the answer, in seconds.
    public var clientSeconds = 30.0
    /// How long running requests may go on after the server was told to stop, in seconds.
    public var drainSeconds = 30.0
    /// The longest request body, in bytes.
    public var maximumBodyBytes = 4 << 20
    /// How much of an answer may wait until its client reads it, in bytes; beyond it the request is ended.
    public var maximumBacklogBytes = 4 << 20
    /// The most connections; further ones wait to be accepted.
    public var maximumConnections = 1024
    /// The most choices or votes of one request.
    public var maximumChoices = 64
    /// The most tokens of an answer, whatever a request asks for; also the default of a chat that names no limit.
    public var maximumTokens = 4096
    /// The temperature of requests that name none; nil takes the model's own (`generation_config.json`), else
    /// OpenAI's default, 1.
    public var temperature: Double?

    /// OpenAI's defaults, on this machine only.
    public init() {}
}
