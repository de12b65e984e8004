/// Where a recorder listens, and what stands behind it.
public struct RecorderOptions: Sendable {
    /// The interface; `127.0.0.1` is this machine only.
    public var host = "127.0.0.1"
    /// 0 takes any free port.
    public var port = 8100
    /// The address of the model's server, such as `https://api.openai.com/v1` or `http://127.0.0.1:8000`.
    public var upstream: String
    /// Sent upstream where a client shows no key of its own; it is stored nowhere.
    public var key: String?
    /// The longest a call may take, in seconds.
    public var seconds = 3600.0
    /// The longest request or answer that is recorded, in bytes; a longer request is refused, and a longer answer passes and is told.
    public var maximumBytes = 64 << 20
    /// The longest a client may take to send its request, in seconds.
    public var clientSeconds = 60.0
    /// The most connections; further ones wait to be accepted.
    public var maximumConnections = 1024

    /// - Parameter upstream: the address that requests are passed on to.
    public init(upstream: String) { self.upstream = upstream }
}
