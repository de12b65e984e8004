/// What a program may use. Reaching a limit becomes an observation; it never ends the session.
public struct PythonLimits: Sendable, Hashable {
    /// Wall-clock seconds for a program, not counting time in tools.
    public var seconds: Double
    /// The most characters of printed output, and of the last value.
    public var outputCharacters: Int
    /// Address space of each process, in bytes.
    public var memoryBytes: Int
    /// The longest program, in UTF-8 bytes.
    public var programBytes = 256 << 10
    /// Processor seconds for a program. This limit counts work, whatever the machine's load. Nil is two more than
    /// `seconds`.
    public var processorSeconds: Int?
    /// The most tool calls in one program.
    public var toolCalls = 30
    /// The longest a single tool call may take, in seconds; its time does not count towards the program's.
    public var toolSeconds: Double = 120
    /// The size of a session's private `/tmp`, in bytes; also the largest size of any file.
    public var temporaryBytes = 16 << 20
    /// The memory of all sessions together, in bytes, where control groups are available; nil is three quarters of
    /// the machine's.
    public var totalMemoryBytes: Int?
    /// The most processes of all sessions together, where control groups are available.
    public var totalProcesses = 4096
    /// The time at which a program's clocks stand still, in seconds since 1970; nil lets them run. With a fixed time,
    /// a recorded trajectory replays to the same observations even if it asks for the time.
    public var clock: Double?

    /// The limits that are most often changed: wall-clock seconds and characters of output per program, and address
    /// space per process in bytes.
    public init(seconds: Double = 10, outputCharacters: Int = 10_000, memoryBytes: Int = 2 << 30) {
        self.seconds = seconds
        self.outputCharacters = outputCharacters
        self.memoryBytes = memoryBytes
    }
}
