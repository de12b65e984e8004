/// Where a retrieval server listens and how much it takes on.
public struct PassageServerOptions: Sendable {
    /// The interface; `127.0.0.1` is this machine only.
    public var host = "127.0.0.1"
    /// 0 takes any free port.
    public var port = 8000
    /// Who may ask.
    public var keys = APIKeys()
    /// Passages for a query where a request does not say.
    public var results = 3
    /// The most passages that a request may ask for, for each query.
    public var maximumResults = 1000
    /// The most queries of a request.
    public var maximumQueries = 4096
    /// The longest query, in bytes.
    public var maximumBytes = 100_000
    /// The most requests that are worked on at once; further ones wait.
    public var maximumRunning = 32
    /// The most requests that wait; further ones are refused with 503.
    public var maximumWaiting = 1024
    /// The longest a request may take, its wait included, in seconds.
    public var requestSeconds = 60.0
    /// The longest a client may take to send its request, in seconds.
    public var clientSeconds = 30.0
    /// The longest request body, in bytes.
    public var maximumBodyBytes = 16 << 20
    /// The most connections; further ones wait to be accepted.
    public var maximumConnections = 1024
    /// The most lists of passages that are remembered.
    public var remembered = 4096

    /// Search-R1's defaults on this machine.
    public init() {}

    /// What the parts that all servers share need of it.
    var shared: ServerOptions {
        var options = ServerOptions()
        (options.host, options.port, options.keys) = (host, port, keys)
        (options.clientSeconds, options.maximumBodyBytes) = (clientSeconds, maximumBodyBytes)
        options.maximumConnections = maximumConnections
        return options
    }
}
