/// Where a retrieval server listens, and its limits.
public struct PassageServerOptions: Sendable {
    /// The interface; `127.0.0.1` is this machine only.
    public var host = "127.0.0.1"
    /// 0 takes any free port.
    public var port = 8000
    /// The keys that clients may present; without any, everybody may ask.
    public var keys = APIKeys()
    /// How many passages a query gets if the request does not say.
    public var results = 3
    /// The most passages that a request may ask for per query.
    public var maximumResults = 1000
    /// The most queries per request.
    public var maximumQueries = 4096
    /// The longest query, in bytes.
    public var maximumBytes = 100_000
    /// The most requests that are worked on at once; further ones wait.
    public var maximumRunning = 32
    /// The most requests that wait; further ones are refused with 503.
    public var maximumWaiting = 1024
    /// The longest a request may take, its waiting time included, in seconds.
    public var requestSeconds = 60.0
    /// The longest a client may take to send its request, in seconds.
    public var clientSeconds = 30.0
    /// The longest request body, in bytes.
    public var maximumBodyBytes = 16 << 20
    /// The most connections; further ones wait to be accepted.
    public var maximumConnections = 1024
    /// The most result lists that are remembered.
    public var remembered = 4096

    /// Search-R1's defaults, on this machine only.
    public init() {}

    /// The options that the code shared by all servers needs.
    var shared: ServerOptions {
        var options = ServerOptions()
        (options.host, options.port, options.keys) = (host, port, keys)
        (options.clientSeconds, options.maximumBodyBytes) = (clientSeconds, maximumBodyBytes)
        options.maximumConnections = maximumConnections
        return options
    }
}
