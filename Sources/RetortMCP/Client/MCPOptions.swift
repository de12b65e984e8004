/// The limits of a client.
public struct MCPOptions: Sendable, Hashable {
    /// The longest time until a started server has introduced itself, in seconds.
    public var startSeconds = 30.0
    /// The longest time until a call is answered or reports progress, in seconds.
    public var callSeconds = 120.0
    /// The longest a call that reports progress may take, in seconds.
    public var longestCallSeconds = 600.0
    /// How long a server may take to end after its input was closed, in seconds; then it gets a signal to end, and a
    /// second later it is killed.
    public var closeSeconds = 2.0
    /// The longest message, in bytes.
    public var maximumMessageBytes = 16 << 20
    /// The most tools that a server may have.
    public var maximumTools = 1024
    /// The most requests that wait for answers at the same time.
    public var maximumRequests = 256
    /// How often in a row a server is started without having answered a call.
    public var maximumStarts = 4
    /// The most lines that are not messages, since some servers print a greeting. Errors quote them.
    public var maximumStrayLines = 20
    /// How much of the end of a server's standard error is kept, in bytes.
    public var errorBytes = 4096

    /// The default limits.
    public init() {}
}

/// How a server is reached.
public enum MCPPlace: Sendable {
    /// A program that speaks over its standard input and output.
    case command(MCPCommand)
    /// An address that speaks streamable HTTP.
    case http(MCPAddress)
    /// Any other transport; called for each new connection.
    case transport(@Sendable () async throws -> any MCPTransport)
}

/// A program that is a server.
public struct MCPCommand: Sendable, Hashable {
    /// The program's name or path.
    public var program: String
    /// The program's arguments.
    public var arguments: [String]
    /// Environment variables in addition to `inheritedVariables`.
    public var environment: [String: String]
    /// The working folder, from which a relative program path is resolved; nil is this process's own.
    public var folder: String?

    /// - Parameters:
    ///   - program: a path, or a name that is looked up in `PATH`.
    ///   - environment: variables in addition to `inheritedVariables`, over which they take precedence.
    ///   - folder: the working folder; nil is this process's own.
    public init(
        _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], folder: String? = nil
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.folder = folder
    }

    /// The variables of this process that a server inherits. None of them holds a key.
    public static let inheritedVariables = [
        "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
    ]
}

/// The address of a server.
public struct MCPAddress: Sendable, Hashable {
    /// `http` or `https`.
    public var url: String
    /// Headers sent with each request, such as `Authorization`.
    public var headers: [String: String]

    /// - Parameters:
    ///   - url: an `http` or `https` address; it is checked when the connection is made.
    ///   - headers: sent with each request.
    public init(_ url: String, headers: [String: String] = [:]) {
        self.url = url
        self.headers = headers
    }
}
