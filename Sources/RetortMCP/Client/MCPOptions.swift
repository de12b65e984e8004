/// The limits of a client.
public struct MCPOptions: Sendable, Hashable {
    /// Until a server that is started has introduced itself, in seconds.
    public var startSeconds = 30.0
    /// Until a call is answered, or goes on after a word of progress, in seconds.
    public var callSeconds = 120.0
    /// The longest a call may take with progress, in seconds.
    public var longestCallSeconds = 600.0
    /// Until a server ends after its input was closed, in seconds; then it is told to, and killed a second later.
    public var closeSeconds = 2.0
    /// The longest message, in bytes.
    public var maximumMessageBytes = 16 << 20
    /// The most tools of a server.
    public var maximumTools = 1024
    /// The most requests that wait for answers.
    public var maximumRequests = 256
    /// How often a server is started in a row without having answered a call.
    public var maximumStarts = 4
    /// The most lines that are no messages: some servers greet whoever starts them. They are told in errors.
    public var maximumStrayLines = 20
    /// How much of the end of a server's standard error is kept, in bytes.
    public var errorBytes = 4096

    /// The usual limits.
    public init() {}
}

/// Where a server is.
public enum MCPPlace: Sendable {
    /// A program that speaks over its standard input and output.
    case command(MCPCommand)
    /// An address that speaks streamable HTTP.
    case http(MCPAddress)
    /// Anything else that carries messages; called for each new connection.
    case transport(@Sendable () async throws -> any MCPTransport)
}

/// A program that is a server.
public struct MCPCommand: Sendable, Hashable {
    /// Its name or path.
    public var program: String
    /// What follows it.
    public var arguments: [String]
    /// Its environment, beyond `inheritedVariables`.
    public var environment: [String: String]
    /// Where it starts; nil is this process's own folder. Relative programs are looked for here.
    public var folder: String?

    /// A command that starts a server on its standard streams.
    public init(
        _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], folder: String? = nil
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.folder = folder
    }

    /// The variables of this process that a server gets: no keys among them.
    public static let inheritedVariables = [
        "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
    ]
}

/// An address that is a server.
public struct MCPAddress: Sendable, Hashable {
    /// `http` or `https`.
    public var url: String
    /// Sent with each request, such as `Authorization`.
    public var headers: [String: String]

    /// - Parameter headers: sent with each request.
    public init(_ url: String, headers: [String: String] = [:]) {
        self.url = url
        self.headers = headers
    }
}
